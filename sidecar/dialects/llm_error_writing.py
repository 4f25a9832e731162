"""An LLM error in the shape that the caller's client reads, as a whole answer or as the last event of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from sidecar.call import Sign
from sidecar.dialects.llm_error_signs import sign_of
from sidecar.llm import Dialect, Document, Kind

if TYPE_CHECKING:
    from sidecar.dialects.llm_error_reading import LlmError

_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
# Type and code. 529 is Anthropic's own; OpenAI's clients know 503 for the same.
_OPENAI_WORDS = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("permission_error", ""),
    408: ("timeout_error", "timeout"),
    409: ("conflict_error", ""),
    413: ("invalid_request_error", "request_too_large"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    503: ("server_error", "overloaded_error"),
    504: ("server_error", "timeout"),
}
_OPENAI_SIGNS = {
    Sign.OUT_OF_MONEY: (429, "insufficient_quota", "insufficient_quota"),
    Sign.CONTEXT_LENGTH: (400, "invalid_request_error", "context_length_exceeded"),
    Sign.REFUSAL: (400, "invalid_request_error", "content_policy_violation"),
    Sign.UNKNOWN_MODEL: (404, "invalid_request_error", "model_not_found"),
}
_ANTHROPIC_SIGNS = {
    Sign.OUT_OF_MONEY: (402, "billing_error", ""),
    Sign.CONTEXT_LENGTH: (400, "invalid_request_error", "context_length_exceeded"),
    Sign.REFUSAL: (400, "invalid_request_error", "content_policy_violation"),
    Sign.UNKNOWN_MODEL: (404, "not_found_error", "model_not_found"),
}

_TOO_LONG = "prompt is too long"
"""Anthropic has no code for it: its clients look for these words."""


def write_error(dialect: Dialect, error: LlmError, request_id: str) -> tuple[int, bytes]:
    """Status and JSON body of the error as that dialect's clients get it.

    What the two dialects have different statuses for gets the caller's own: out of money is 429 `insufficient_quota`
    or 402 `billing_error`, overloaded is 503 or 529. What is no status of an error becomes 502.
    """
    if dialect is Dialect.OPENAI:
        status, document = _openai(error)
        return status, orjson.dumps({"error": document})
    status, document = _anthropic(error)
    return status, orjson.dumps({"type": "error", "error": document, "request_id": request_id})


def error_event(kind: Kind, error: LlmError, *, sequence: int = 0) -> bytes:
    """The error as the last event of a stream of that kind: no terminal event and no [DONE] follows it, so that no
    client takes the answer for whole. `sequence` numbers it among the events of a response.

    Anthropic's SDK raises on the event's name, OpenAI's on an `error` in its data: there a response's event has the
    documented fields (`ResponseErrorEvent`), and those of an error object below `error`, as OpenAI itself sends it.
    """
    if kind is Kind.MESSAGES:
        return b"event: error\ndata: %b\n\n" % orjson.dumps({"type": "error", "error": _anthropic(error)[1]})
    words = _openai(error)[1]
    if kind is not Kind.RESPONSES:
        return b"data: %b\n\n" % orjson.dumps({"error": words})
    told = {name: words[name] for name in ("code", "message", "param")}
    return b"event: error\ndata: %b\n\n" % orjson.dumps(
        {"type": "error", "sequence_number": sequence, **told, "error": words}
    )


def _openai(error: LlmError) -> tuple[int, Document]:
    sign = sign_of(error)
    if sign in _OPENAI_SIGNS:
        status, kind, code = _OPENAI_SIGNS[sign]
    else:
        status = _error_status(error.status)
        status = 503 if status == 529 else status
        default = ("server_error", "") if status >= 500 else ("invalid_request_error", "")
        kind, code = _OPENAI_WORDS.get(status, default)
        code = error.code or code
    return status, {"message": error.message, "type": kind, "param": error.param, "code": code or None}


def _anthropic(error: LlmError) -> tuple[int, Document]:
    sign, message = sign_of(error), error.message
    if sign in _ANTHROPIC_SIGNS:
        status, kind, code = _ANTHROPIC_SIGNS[sign]
        if sign is Sign.CONTEXT_LENGTH and not message.startswith(_TOO_LONG):
            message = f"{_TOO_LONG}: {message}"
    else:
        status = _error_status(error.status)
        status = 529 if status == 503 else status
        kind = _ANTHROPIC_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        code = error.code
    return status, {"type": kind, "message": message, **({"code": code} if code else {})}


def _error_status(status: int) -> int:
    return status if 400 <= status <= 599 else 502
