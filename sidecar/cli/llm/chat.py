"""`sidecar chat`: a conversation. On a terminal with a prompt and a few commands; elsewhere each line is a turn."""

from __future__ import annotations

import os
import sys
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from sidecar.cli.llm.asking import Line
from sidecar.cli.llm.conversation import assistant, user
from sidecar.cli.llm.plain import write
from sidecar.cli.llm.said import how_it_ended
from sidecar.cli.llm.told import by, why
from sidecar.cli.output import harmless, print_line
from sidecar.cli.trouble import BAD_USAGE, NOT_WELL, Trouble

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.cli.llm.asking import Wishes
    from sidecar.cli.llm.conversation import Turn

PROMPT = "> "
HELP = """\
/model [NAME]  which model is asked, or another one from now on
/retry         ask the last question again
/clear         forget what was said
/exit          end; so does Ctrl-D. Ctrl-C stops an answer"""
_INTERRUPTED = 130


def chat(wishes: Wishes, environ: Mapping[str, str] = os.environ) -> int:
    """Until the input ends. Where nobody types: 1 if an answer failed. Ctrl-C ends it at the prompt (130)."""
    line = Line(wishes, environ)
    talk = Talk(line, line.model(wishes.model), stream=wishes.stream)
    if not sys.stdin.isatty():
        return _piped(talk)
    with suppress(ImportError):  # editing of lines, and the ones before, where the system has it
        import readline  # noqa: F401 - imported for what it does to input()
    print_line(f"{talk.model} through {line.url}. /help tells what else; Ctrl-D ends.", "dim")
    try:
        while talk.take(input(PROMPT)):
            pass
    except EOFError:
        print()
    except KeyboardInterrupt:
        print()
        return _INTERRUPTED
    except UnicodeDecodeError:
        raise Trouble("what was typed is no text in this terminal's encoding", BAD_USAGE) from None
    return 0


def _piped(talk: Talk) -> int:
    """Each line is a turn, whatever it begins with."""
    try:
        well = [talk.ask(line.rstrip("\n")) for line in sys.stdin if not line.isspace()]
    except UnicodeDecodeError:
        raise Trouble("stdin is no UTF-8 text", BAD_USAGE) from None
    return 0 if all(well) else NOT_WELL


class Talk:
    """A conversation: `turns` are its questions and the answers that came whole."""

    def __init__(self, line: Line, model: str, *, stream: bool = True) -> None:
        self.model = model
        self._stream = stream
        self.turns: list[Turn] = []
        self._line = line
        self._last = ""
        self._answered = False

    def take(self, typed: str) -> bool:
        """What a person typed: a question, or a command. False: it is over."""
        word, _, rest = typed.strip().partition(" ")
        match word:
            case "":
                pass
            case "/exit":
                return False
            case "/help":
                print(HELP)
            case "/clear":
                self.turns, self._last, self._answered = [], "", False
                print("All of it is forgotten.")
            case "/model":
                self._choose(rest.strip())
            case "/retry":
                self._retry()
            case _ if word.startswith("/"):
                print(f"There is no {harmless(word)}. What there is:\n{HELP}")
            case _:
                self._interruptible(typed)
        return True

    def ask(self, text: str) -> bool:
        """A turn. An answer that is not whole leaves the conversation as it was: False."""
        self._last, self._answered = text, False
        answer, coming = self._line.ask(self.model, [*self.turns, user(text)], stream=self._stream)
        last = ""
        try:
            with closing(coming) as pieces:
                for piece in pieces:
                    write(piece)
                    last = piece or last
        finally:
            if last and not last.endswith("\n"):
                write("\n")
        self._line.tell_cost(answer)
        if answer.error is not None:
            _complain(f"{why(answer)} (the conversation is as it was before)")
            return False
        self.turns += [user(text), assistant(answer.text)] if answer.text else []
        self._answered = bool(answer.text)
        print_line(", ".join(filter(None, (by(answer), how_it_ended(answer.text, answer.reason)))), "dim")
        sys.stdout.flush()
        return True

    def _interruptible(self, text: str) -> None:
        """A turn of a person, who may stop the answer, and ask again where nobody listened."""
        try:
            self.ask(text)
        except KeyboardInterrupt:
            print("Stopped. The conversation is as it was before.")
        except Trouble as trouble:
            _complain(str(trouble))

    def _retry(self) -> None:
        if not self._last:
            print("Nothing was asked yet.")
            return
        if self._answered:
            del self.turns[-2:]
        self._interruptible(self._last)

    def _choose(self, name: str) -> None:
        try:
            self.model = self._line.model(name) if name else self.model
        except Trouble as trouble:
            _complain(str(trouble))
        print(f"The model is {harmless(self.model)}.")


def _complain(text: str) -> None:
    sys.stdout.flush()  # what came before stands before
    print(f"sidecar: {harmless(text)}", file=sys.stderr)
