"""What `send` and `chat` share: the wishes of their flags, and a line to the http listener that they are asked over."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidecar.cli.llm.answers import Answer, ask
from sidecar.cli.llm.conversation import MODELS, speech
from sidecar.cli.llm.leads import Leads, choose, listing
from sidecar.cli.llm.listener import Listeners, answering
from sidecar.cli.llm.told import cost_lines, head_lines
from sidecar.cli.output import harmless
from sidecar.cli.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from sidecar.cli.llm.conversation import Turn
    from sidecar.cli.llm.leads import Listing


@dataclass(frozen=True, slots=True)
class Wishes:
    """The flags. What is None was not given."""

    model: str | None = None
    dialect: str = "openai"
    upstream: str | None = None
    key: str | None = field(default=None, repr=False)
    stream: bool = False
    retry: bool = True
    fallback: bool = True
    verbose: bool = False
    admin: str | None = None
    token: str | None = field(default=None, repr=False)


class Line:
    """A line to the http listener. Raises `Trouble` where there is none, or no model to ask for."""

    def __init__(self, wishes: Wishes, environ: Mapping[str, str] = os.environ) -> None:
        self._wishes = wishes
        self.speech = speech(
            wishes.dialect, wishes.key, environ, retry=wishes.retry, fallback=wishes.fallback
        )  # before anything is asked: a bad key is told at once
        self.listeners = Listeners(wishes.admin, wishes.token, environ)
        self._leads: Leads | None = None
        self._listing: Listing | None = None

    @property
    def url(self) -> str:
        return self.listeners.http.url

    def leads(self) -> Leads | None:
        """What the admin listener tells; None where none can be asked, and nobody said that it matters."""
        if self._leads is None:
            try:
                self._leads = Leads.told(self.listeners.admin)
            except Trouble:
                if self._wishes.upstream is not None or self.listeners.admin_named:
                    raise
        return self._leads

    def listing(self) -> Listing:
        """What the sidecar lists in this dialect; asked for once. With `-v` the heads are told."""
        if self._listing is None:
            verbose = self._wishes.verbose
            if verbose:
                _tell(f"> GET {self.url}{MODELS}", *self._wished())
            self._listing = listing(self.listeners.http, self.speech)
            if verbose:
                _tell(*head_lines(self._listing.heard.status, self._listing.heard.fields))
        return self._listing

    def model(self, wanted: str | None) -> str:
        """The model to ask for, by `-u` as well."""
        if wanted is not None and self._wishes.upstream is None:
            return wanted
        return choose(wanted, self._wishes.upstream, self.leads() or Leads(), self.listing)

    def ask(self, model: str, turns: Sequence[Turn], *, stream: bool) -> tuple[Answer, Generator[str, None, None]]:
        """The answer, and its text as it comes; closing the iterator cancels the call. With `-v` the heads are told."""
        answer = Answer(self.speech)
        return answer, self._pieces(answer, model, turns, stream=stream)

    def _pieces(self, answer: Answer, model: str, turns: Sequence[Turn], *, stream: bool) -> Generator[str, None, None]:
        verbose = self._wishes.verbose
        body = self.speech.body(model, turns, stream=stream)
        if verbose:
            how = f"> model: {model}{', stream' * stream}"
            _tell(f"> POST {self.url}{self.speech.path}", how, *self._wished())
        with answering():
            pieces = ask(self.listeners.http, answer, body)
            next(pieces)
        if verbose:
            _tell(*head_lines(answer.status, answer.fields))
        try:
            yield from pieces
        finally:
            pieces.close()

    def _wished(self) -> list[str]:
        return [f"> {name}: {value}" for name, value in self.speech.wishes.items()]

    def tell_cost(self, answer: Answer) -> None:
        """With `-v`, once the answer has ended and stands on lines of its own."""
        if self._wishes.verbose:
            _tell(*cost_lines(answer))


def _tell(*lines: str) -> None:
    for line in lines:
        print(harmless(line), file=sys.stderr)
