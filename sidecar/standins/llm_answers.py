"""What a stand-in model says: parts in their order, before any provider's wire format.

A token is a word with the space before or after it: text that is streamed has one event
for each, so tests can count both.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidecar.llm import Document, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sidecar.standins.llm_faults import Fault

WORD = re.compile(r"\s*\S+|\s+\Z")
ARGUMENTS_PIECE = 6
"""Characters of a tool's arguments in one event."""
SEAL = b"stand-in"
SEALED = 16


def words(text: str) -> list[str]:
    """The text's tokens; joined they are the text."""
    return WORD.findall(text)


def count(text: str) -> int:
    return len(words(text))


@dataclass(frozen=True, slots=True)
class Text:
    """Text in these deltas."""

    deltas: tuple[str, ...]

    @property
    def text(self) -> str:
        return "".join(self.deltas)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The model's own no, with its words."""

    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """What it thought. Without a `signature` it gets the one that holds the text."""

    text: str
    signature: str = ""

    @property
    def signed(self) -> str:
        return self.signature or sign(self.text)


@dataclass(frozen=True, slots=True)
class Redacted:
    """Thinking that nobody may read."""

    data: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool. `arguments` may be text, also such as is no JSON; without an `id` the provider gives one."""

    name: str
    arguments: Document | str = field(default_factory=dict)
    id: str = ""

    @property
    def json(self) -> str:
        if isinstance(self.arguments, str):
            return self.arguments
        return json.dumps(self.arguments, separators=(",", ":"), ensure_ascii=False)

    @property
    def deltas(self) -> list[str]:
        text = self.json
        return [text[at : at + ARGUMENTS_PIECE] for at in range(0, len(text), ARGUMENTS_PIECE)]


Part = Text | Refusal | Thinking | Redacted | ToolCall


class Answer:
    """What the model says next.

    A part that is a string is text, streamed word by word; a list of strings is text in those deltas. `stop` is the
    provider's own word for why it ended (empty: what fits the parts), `stop_sequence` what ended it; `usage` what it
    says to have cost (None: counted), `cache_written` the part of the input that went into a cache. `interleaved`:
    events of parallel tool calls alternate where the dialect allows it. `headers` are added to the reply, `status`
    replaces its 200, `fault` its fault.
    """

    def __init__(
        self,
        *parts: str | list[str] | Part,
        stop: str = "",
        stop_sequence: str | None = None,
        usage: Usage | None = None,
        cache_written: int = 0,
        interleaved: bool = False,
        headers: Mapping[str, str] | None = None,
        fault: Fault | None = None,
    ) -> None:
        self.parts: list[Part] = [made(part) for part in parts]
        self.stop = stop
        self.stop_sequence = stop_sequence
        self.usage = usage
        self.cache_written = cache_written
        self.interleaved = interleaved
        self.headers = dict(headers or {})
        self.fault = fault

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def refusal(self) -> str | None:
        said = [part.text for part in self.parts if isinstance(part, Refusal)]
        return "".join(said) if said else None

    @property
    def tools(self) -> list[ToolCall]:
        return [part for part in self.parts if isinstance(part, ToolCall)]

    @property
    def thinking_tokens(self) -> int:
        return sum(count(part.text) for part in self.parts if isinstance(part, Thinking))

    def cost(self, asked: int) -> Usage:
        """What is told of it when `asked` tokens came in."""
        return self.usage or Usage(asked, sum(map(tokens, self.parts)))


def made(part: str | list[str] | Part) -> Part:
    if isinstance(part, str):
        return Text(tuple(words(part)))
    if isinstance(part, list):
        return Text(tuple(part))
    return part


def tokens(part: Part) -> int:
    """Of what came out."""
    match part:
        case Text():
            return len(part.deltas)
        case ToolCall():
            return 1 + len(part.deltas)
        case Redacted():
            return 1
        case _:
            return count(part.text)


def prompt_tokens(texts: Iterable[str], messages: int) -> int:
    """Of what went in: its words, and three for each message, as a chat template costs about so much."""
    return sum(map(count, texts)) + 3 * messages


def cut_short(answer: Answer, limit: int, stops: Iterable[str]) -> str:
    """Take from its text all behind `limit` tokens, or from the first of `stops` on.

    Returns why it ended: `"length"`, the stop's own text behind `"stop:"`, or empty when nothing was taken.
    """
    for at, part in enumerate(answer.parts):
        if not isinstance(part, Text):
            continue
        found = min(((part.text.find(stop), stop) for stop in stops if stop and stop in part.text), default=None)
        deltas = tuple(words(part.text[: found[0]])) if found else part.deltas
        if len(deltas) > limit:
            answer.parts[at:] = [Text(deltas[:limit])]
            return "length"
        if found:
            answer.parts[at:] = [Text(deltas)]
            return f"stop:{found[1]}"
        limit -= len(deltas)
    return ""


def sign(thinking: str) -> str:
    """A signature that holds the thinking itself, as the real one does."""
    data = thinking.encode(errors="surrogatepass")
    return base64.b64encode(hmac.digest(SEAL, data, hashlib.sha256)[:SEALED] + data).decode()


def sealed(thinking: str, signature: str) -> bool:
    """Whether this is the signature of that thinking, or of one whose text was left out."""
    try:
        held = base64.b64decode(signature, validate=True)[SEALED:].decode(errors="surrogatepass")
    except (binascii.Error, ValueError):
        return False
    return thinking in {held, ""} and sign(held) == signature
