"""What comes of a translation from one LLM dialect to another, and the two ways in which it can fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidecar.llm import Document


@dataclass(frozen=True, slots=True)
class Translated:
    """A request in the target's dialect. Its top level is new; what is below may be shared with what it was made of."""

    document: Document
    dropped: tuple[str, ...]
    """What the target is not told: each name once, dotted where nested (`messages.cache_control`), as first met.
    Each is fit for a header field.
    """


class Untranslatable(Exception):  # noqa: N818 - the target is unsuitable; that is no fault of anybody
    """The target's dialect cannot say this request, or it is no request. The text names the field and the reason."""


class BadEvent(Exception):  # noqa: N818 - it says what was read
    """An event of a stream, or a whole answer, that cannot be translated. The text says what is wrong with it."""
