"""The text in documents of both dialects, and why an answer ended: whole answers, and events of streams.

Readers of streams (`dialects/stream_reader.py`) tell what an event means; what a person reads of it is told here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidecar.llm import Dialect

if TYPE_CHECKING:
    from sidecar.llm import Document

_ENDS = {
    **dict.fromkeys(("length", "max_tokens", "model_context_window_exceeded"), "cut at its limit of tokens"),
    **dict.fromkeys(("content_filter", "refusal"), "ended by a content filter"),
}
"""Reasons for an end that is not the model's own: it had more to say."""


def text_of_event(document: Document, dialect: Dialect) -> str:
    """What an event of a stream adds to the answer's text; of several choices the first one's."""
    if dialect is Dialect.OPENAI:
        return _message(_choice(document).get("delta"))
    kind = document.get("type")
    if kind == "content_block_delta":
        delta = document.get("delta")
        return _text(delta) if isinstance(delta, dict) and delta.get("type") == "text_delta" else ""
    return _block(document.get("content_block")) if kind == "content_block_start" else ""


def text_of_answer(document: Document, dialect: Dialect) -> str | None:
    """The text of a whole answer; None when it is no answer of that dialect."""
    if dialect is Dialect.OPENAI:
        message = _choice(document).get("message")
        return _message(message) if isinstance(message, dict) else None
    content = document.get("content")
    return "".join(map(_block, content)) if isinstance(content, list) else None


def reason_of(document: Document, dialect: Dialect) -> str:
    """Why the answer ended, in the dialect's word; empty where this document does not say."""
    if dialect is Dialect.OPENAI:
        reason = _choice(document).get("finish_reason")
    else:
        delta = document.get("delta")
        reason = (delta if isinstance(delta, dict) else document).get("stop_reason")
    return reason if isinstance(reason, str) else ""


def how_it_ended(text: str, reason: str) -> str:
    """What a person would miss in an answer, or not see in it: `cut at its limit of tokens`; empty where all is well.

    One without text (that calls tools, or is all thought) looks like none.
    """
    return _ENDS.get(reason) or ("" if text else "without text")


def _choice(document: Document) -> Document:
    """The first one's part of it, empty if it has none."""
    choices = document.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and not choice.get("index"):
            return choice
    return {}


def _message(message: Any) -> str:
    """A message's or delta's text, in one piece or in parts (Mistral), or the words with which the model refuses."""
    if not isinstance(message, dict):
        return ""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(map(_block, content))
    refusal = message.get("refusal")
    return content if isinstance(content, str) and content else refusal if isinstance(refusal, str) else ""


def _block(block: Any) -> str:
    return _text(block) if isinstance(block, dict) and block.get("type") == "text" else ""


def _text(holder: Document) -> str:
    text = holder.get("text")
    return text if isinstance(text, str) else ""
