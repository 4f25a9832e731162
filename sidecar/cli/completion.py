"""`sidecar completion SHELL`, and what the shell's function asks of the command while a line is typed.

Typer has completion of its own. Its zsh and fish load rich for each press of the key (250 ms here), it offers file
names wherever it knows nothing better, and its PowerShell binds the Tab key anew: so the walk is ours.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidecar.cli.completion_scripts import SCRIPTS
from sidecar.cli.trouble import BAD_USAGE, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SHELL = "_SIDECAR_COMPLETE"
LINE = "_SIDECAR_LINE"
FILES = "files"
WORDS = "words"

_NAMES_FILES = {"FILE", "OLD", "NEW", "COMMAND"}
"""What arguments and options that take the name of a file are called in help."""
_HELP = ("--help", "Show this message and exit.")


@dataclass(frozen=True, slots=True)
class Offer:
    """What may stand where the cursor is: words with their meaning, or the names of files."""

    words: tuple[tuple[str, str], ...] = ()
    files: bool = False


def script(shell: str) -> int:
    """Prints what `shell` must run. Raises `Trouble` (2) for one that we do not know."""
    if shell not in SCRIPTS:
        raise Trouble(f"{shell!r} is no shell that can be told; there are {', '.join(SCRIPTS)}", BAD_USAGE)
    print(SCRIPTS[shell], end="")
    return 0


def answer(environ: Mapping[str, str]) -> int:
    """Prints the candidates for the line that the shell tells, in its form; exit code 2 for a shell we do not know."""
    import typer.main

    from sidecar.cli.program import app

    shell = environ[SHELL]
    if shell not in SCRIPTS:
        return BAD_USAGE
    words = typed(environ.get(LINE, ""))
    found = offer(typer.main.get_command(app), words)
    print(FILES if found.files else WORDS)
    for word, meaning in found.words:
        print(_as(shell, word, meaning, words[-1]))
    return 0


def typed(line: str) -> list[str]:
    """The words behind the command's own; the last is where the cursor is, empty behind a blank."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        for word in lexer:
            words.append(word)  # noqa: PERF402 - what was read before a fault stays
        ended = not line or (line[-1].isspace() and not line.endswith("\\" + line[-1]))
    except ValueError:  # a quote that is still open: its text is the last word
        words.append(lexer.token or "")
        ended = False
    while words and re.match(r"\w+=", words[0]):  # VARIABLE=value sidecar …
        words.pop(0)
    return [*words[1:], *([""] if ended or len(words) < 2 else [])]


def offer(command: Any, words: list[str]) -> Offer:
    """What may stand for the last of `words`. `command` is a group of commands as typer makes it."""
    *given, current = words
    position, options, pending = 0, True, None
    used: set[str] = set()
    for word in given:
        if pending is not None:
            pending = None
        elif options and word == "--":
            options = False
        elif options and word.startswith("-") and word != "-":
            name, equals, _ = word.partition("=")
            used.add(name)
            option = _option(command, name)
            pending = option if option is not None and not equals and not _is_flag(option) else None
        elif (commands := _commands(command)) is not None:
            if word not in commands:
                return Offer()
            command, used = commands[word], set()
        else:
            position += 1
    if pending is not None:
        return _values(command, pending, current)
    if options and current.startswith("-") and "=" in current:
        name, _, value = current.partition("=")
        option = _option(command, name)
        return _values(command, option, value, f"{name}=") if option is not None else Offer()
    if options and current.startswith("-"):
        return _matching(_option_names(command, used), current)
    if (commands := _commands(command)) is not None:
        return _matching(((name, _summary(each)) for name, each in commands.items() if not each.hidden), current)
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    if position >= len(arguments) and not (arguments and arguments[-1].nargs == -1):
        return Offer()
    return _values(command, arguments[min(position, len(arguments) - 1)], current)


def _commands(command: Any) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = getattr(command, "commands", None)
    return found


def _options(command: Any) -> Iterator[Any]:
    return (each for each in command.params if each.param_type_name == "option" and not each.hidden)


def _option(command: Any, name: str) -> Any:
    return next((each for each in _options(command) if name in {*each.opts, *each.secondary_opts}), None)


def _is_flag(option: Any) -> bool:
    return bool(option.is_flag or option.count)


def _option_names(command: Any, used: set[str]) -> Iterator[tuple[str, str]]:
    for option in _options(command):
        names = [*option.opts, *option.secondary_opts]
        if option.multiple or not used & set(names):
            yield from ((name, option.help or "") for name in names if name.startswith("--"))
    yield _HELP


def _values(command: Any, param: Any, current: str, before: str = "") -> Offer:
    import typer

    known = param.shell_complete(typer.Context(command), current)  # of a choice: its words
    if words := [(before + each.value, each.help or "") for each in known if each.type == "plain"]:
        return Offer(tuple(words))
    called = re.sub(r"[^A-Z]", "", (param.metavar or param.name or "").upper())
    return Offer(files=called in _NAMES_FILES)


def _matching(words: Iterator[tuple[str, str]], current: str) -> Offer:
    return Offer(tuple((word, " ".join(meaning.split())) for word, meaning in words if word.startswith(current)))


def _summary(command: Any) -> str:
    """The first sentence of its help."""
    return str(re.split(r"(?<=\.)\s", command.help or "", maxsplit=1)[0])


def _as(shell: str, word: str, meaning: str, current: str) -> str:
    if shell == "bash":  # it replaces what stands behind the last of its word breaks
        behind = max(current.rfind("="), current.rfind(":")) + 1
        return word[behind:]
    if shell == "zsh":
        return f"{_colons(word)}:{_colons(meaning)}" if meaning else _colons(word)
    return f"{word}\t{meaning}" if meaning else word


def _colons(text: str) -> str:
    return text.replace("\\", "\\\\").replace(":", "\\:")
