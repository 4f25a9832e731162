"""What is asked in a conversation, in either dialect.

Turns are the same in both (`role`, `content`). Fields: `openai` chat completions,
`anthropic` messages, which must say how long an answer may be.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

from sidecar.cli.trouble import BAD_USAGE, Trouble
from sidecar.llm import Dialect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidecar.llm import Document

Turn = dict[str, str]

MODELS = "/v1/models"
ANTHROPIC_VERSION = "2023-06-01"
MOST_TOKENS = 4096
"""Of an answer, where the dialect must name a bound: every model that Anthropic serves takes it."""

KEY_VARIABLE = {Dialect.OPENAI: "OPENAI_API_KEY", Dialect.ANTHROPIC: "ANTHROPIC_API_KEY"}
_PATH = {Dialect.OPENAI: "/v1/chat/completions", Dialect.ANTHROPIC: "/v1/messages"}


@dataclass(frozen=True, slots=True)
class Speech:
    """How a command speaks: in whose dialect, with which key, and what it asks of the sidecar.

    No key: none is sent. The sidecar may have one of its own, and what it says where it has none is clearer than what
    a provider says of a made-up one.
    """

    dialect: Dialect
    key: str = field(default="", repr=False)
    retry: bool = True
    fallback: bool = True

    @property
    def path(self) -> str:
        """Where questions go."""
        return _PATH[self.dialect]

    @property
    def wishes(self) -> dict[str, str]:
        """What is asked of the sidecar itself."""
        wishes = {}
        if not self.retry:
            wishes["X-Sidecar-Retry"] = "off"
        if not self.fallback:
            wishes["X-Sidecar-Fallback"] = "off"
        return wishes

    @property
    def fields(self) -> dict[str, str]:
        """The head of each request, the key included."""
        fields = {"Content-Type": "application/json", **self.wishes}
        if self.dialect is Dialect.ANTHROPIC:
            fields["anthropic-version"] = ANTHROPIC_VERSION
            if self.key:
                fields["x-api-key"] = self.key
        elif self.key:
            fields["Authorization"] = f"Bearer {self.key}"
        return fields

    def body(self, model: str, turns: Sequence[Turn], *, stream: bool) -> bytes:
        """The question. Raises `Trouble` for text that is no text: bytes of a shell that are no UTF-8."""
        document: Document = {"model": model, "messages": list(turns)}
        if self.dialect is Dialect.ANTHROPIC:
            document["max_tokens"] = MOST_TOKENS
        if stream:
            document["stream"] = True
            if self.dialect is Dialect.OPENAI:
                document["stream_options"] = {"include_usage": True}
        try:
            return orjson.dumps(document)
        except orjson.JSONEncodeError:
            raise Trouble("what is to be sent is no UTF-8 text", BAD_USAGE) from None


def speech(
    dialect: str, key: str | None, environ: Mapping[str, str], *, retry: bool = True, fallback: bool = True
) -> Speech:
    """`key`: else the dialect's own variable. Raises `Trouble` for a dialect that nobody speaks."""
    try:
        spoken = Dialect(dialect)
    except ValueError:
        raise Trouble(f"-p {dialect}: the dialects are {', '.join(one.value for one in Dialect)}", BAD_USAGE) from None
    key = key or environ.get(KEY_VARIABLE[spoken], "")
    return Speech(spoken, key.strip(), retry, fallback)


def user(text: str) -> Turn:
    return {"role": "user", "content": text}


def assistant(text: str) -> Turn:
    return {"role": "assistant", "content": text}
