"""What the events of a streamed answer mean, whatever the dialect."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sidecar.dialects.llm_errors import LlmError
    from sidecar.dialects.sse import Event
    from sidecar.llm import Document, Usage


class Meaning(enum.Enum):
    """What one event tells of how the answer goes."""

    QUIET = "quiet"
    """Nothing yet: a role, a ping, a comment, usage."""
    CONTENT = "content"
    """A start or delta of text, thinking, refusal or tool call, or a finish reason."""
    ERROR = "error"
    END = "end"
    """The dialect's last event."""
    UNPARSEABLE = "unparseable"
    UNKNOWN = "unknown"
    """Of a type that nobody knows."""


# A member is looked up on its class in 55 ns, and each event asks for several: those of all events have names here.
QUIET, CONTENT, ERROR, END = Meaning.QUIET, Meaning.CONTENT, Meaning.ERROR, Meaning.END


class StreamReader(Protocol):
    """Reads one streamed answer, event by event. It holds what is known of the answer so far, and never raises."""

    document: Document | None
    """The parsed data of the last event read, None when it was no JSON object."""
    usage: Usage | None
    """Tokens of the whole answer as last told, None while nothing was."""
    model: str
    """As the answer names it."""
    finished: bool
    """The answer is whole: a finish reason has come for all that was begun."""
    done: bool
    """Nothing more comes."""
    error: LlmError | None
    refused: bool
    """The provider refused for what it saw in the content."""
    tokens: int
    """Deltas of content so far, which is about the tokens of output where no usage is told."""
    resumable: bool
    """Another target could go on behind `text`: a single text is being written, and nothing else has begun."""

    @property
    def choices(self) -> int:
        """Answers that have begun, where several were asked for."""

    @property
    def text(self) -> str:
        """The text so far; kept only where the reader was asked to."""

    def read(self, event: Event) -> Meaning: ...
