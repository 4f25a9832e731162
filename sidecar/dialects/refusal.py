"""Our own errors, in the shape that the caller's client understands.

OpenAI's error object on OpenAI's paths, Anthropic's where the caller named an
Anthropic version, else ours. Pure functions: a refusal in, status, header lines
and body out.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import orjson

from sidecar.errors import MethodNotAllowed, RateLimited, Refused

if TYPE_CHECKING:
    from sidecar.call import Call

_OPENAI_PATHS = (
    b"/v1/chat/completions",
    b"/v1/completions",
    b"/v1/embeddings",
    b"/v1/responses",
    b"/v1/models",
    b"/v1/moderations",
    b"/v1/images",
    b"/v1/audio",
    b"/v1/files",
    b"/v1/batches",
)

_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}

_SAYS_WHEN = frozenset({"rate_limited", "overloaded", "draining"})
"""Refusals of ours that tell the caller's client when to come back, and never not to."""


def body_of(refusal: Refused, call: Call | None) -> bytes:
    """The JSON body, in any shape with a full limit's `detail`. `call` is None when the request could not be read."""
    document = _document(refusal, call)
    if isinstance(refusal, RateLimited) and refusal.detail is not None:
        document["detail"] = refusal.detail
    return orjson.dumps(document)


def _document(refusal: Refused, call: Call | None) -> dict[str, object]:
    fields = {} if call is None else call.fields
    correlation_id = "" if call is None else call.correlation_id
    if b"anthropic-version" in fields:
        kind = _ANTHROPIC_TYPES.get(refusal.http_status, "api_error")
        error: dict[str, object] = {"type": kind, "message": refusal.message, "code": refusal.label}
        return {"type": "error", "error": error, "request_id": correlation_id}
    if call is not None and call.path.startswith(_OPENAI_PATHS):
        error = {"message": refusal.message, "type": refusal.type, "param": None, "code": refusal.label}
        return {"error": error}
    error = {
        "type": refusal.type,
        "message": refusal.message,
        "code": refusal.label,
        "correlation_id": correlation_id,
    }
    if refusal.retry_after is not None:
        error["retry_after"] = math.ceil(refusal.retry_after)
    return {"error": error}


def lines_of(refusal: Refused) -> bytes:
    """The header lines: content type, `Proxy-Status` (RFC 9209), and when to come back where that is known."""
    lines = b"Content-Type: application/json\r\nProxy-Status: sidecar; error=%b; details=%b\r\n" % (
        refusal.error_token.encode(),
        _quoted(refusal.label),
    )
    if isinstance(refusal, MethodNotAllowed):
        lines += b"Allow: %b\r\n" % ", ".join(refusal.allow).encode("latin-1")
    if refusal.retry_after is not None:
        lines += b"Retry-After: %d\r\n" % math.ceil(refusal.retry_after)
        if refusal.label in _SAYS_WHEN:
            lines += b"retry-after-ms: %d\r\n" % math.ceil(refusal.retry_after * 1000)
    return lines


def never_tells_off(refusal: Refused) -> bool:
    """Whether `x-should-retry: false` would be a lie: the caller may well come back."""
    return refusal.label in _SAYS_WHEN


def _quoted(text: str) -> bytes:
    return b'"%b"' % text.encode("ascii", "replace")
