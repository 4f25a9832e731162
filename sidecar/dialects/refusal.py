"""Our own errors, in the shape that the caller's client understands.

OpenAI's error object on OpenAI's paths, Anthropic's where the caller named an
Anthropic version, else ours; over gRPC a status with `google.rpc` details. Pure
functions: a refusal in, status, header lines and body out.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import orjson
from google.rpc import error_details_pb2, status_pb2

from sidecar.errors import MethodNotAllowed, RateLimited, Refused
from sidecar.llm import Dialect

if TYPE_CHECKING:
    from sidecar.call import Call, Headers

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
    b"/v1/infer",
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

DOMAIN = "sidecar"
"""Whose reasons those in `google.rpc.ErrorInfo` are."""

LONGEST_TEXT = 512
"""Characters of a gRPC status text: it is sent twice, and clients take 8 KiB of metadata in all. Callers' words are
in it.
"""

# google.rpc.Code of the statuses that gRFC A54 leaves to a library or proxy.
_CODES = {
    "DEADLINE_EXCEEDED": 4, "PERMISSION_DENIED": 7, "RESOURCE_EXHAUSTED": 8, "FAILED_PRECONDITION": 9,
    "UNIMPLEMENTED": 12, "INTERNAL": 13, "UNAVAILABLE": 14,
}  # fmt: skip


def body_of(refusal: Refused, call: Call | None) -> bytes:
    """The JSON body, in any shape with a full limit's `detail`. `call` is None when the request could not be read."""
    document = _document(refusal, call)
    if isinstance(refusal, RateLimited) and refusal.detail is not None:
        document["detail"] = refusal.detail
    return orjson.dumps(document)


def _document(refusal: Refused, call: Call | None) -> dict[str, object]:
    fields = {} if call is None else call.fields
    correlation_id = "" if call is None else call.correlation_id
    ask = None if call is None else call.llm
    if b"anthropic-version" in fields or (ask is not None and ask.dialect is Dialect.ANTHROPIC):
        kind = _ANTHROPIC_TYPES.get(refusal.http_status, "api_error")
        error: dict[str, object] = {"type": kind, "message": refusal.message, "code": refusal.label}
        return {"type": "error", "error": error, "request_id": correlation_id}
    if call is not None and (ask is not None or call.path.startswith(_OPENAI_PATHS)):
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


def status_of(refusal: Refused, call: Call) -> tuple[str, str, Headers]:
    """The gRPC status: code by name, text, and trailing metadata.

    `grpc-status-details-bin` is a `google.rpc.Status` with an `ErrorInfo` whose reason is the
    refusal's label in upper case, and a `RetryInfo` where a time is known.
    `grpc-retry-pushback-ms` (gRFC A6) stands where the caller's client may come back by itself.
    """
    text = refusal.message[:LONGEST_TEXT]
    status = status_pb2.Status(code=_CODES[refusal.grpc_code], message=text)
    info = error_details_pb2.ErrorInfo(reason=refusal.label.upper(), domain=DOMAIN)
    info.metadata.update(_told(refusal, call))
    status.details.add().Pack(info)
    trailers: Headers = []
    if refusal.retry_after is not None:
        milliseconds = math.ceil(refusal.retry_after * 1000)
        later = error_details_pb2.RetryInfo()
        later.retry_delay.FromMilliseconds(milliseconds)
        status.details.add().Pack(later)
        if refusal.label in _SAYS_WHEN:
            trailers.append((b"grpc-retry-pushback-ms", b"%d" % milliseconds))
    trailers.append((b"grpc-status-details-bin", status.SerializeToString()))
    return refusal.grpc_code, text, trailers


def _told(refusal: Refused, call: Call) -> dict[str, str]:
    """What a person needs to find the call again, and a full limit's numbers."""
    told: dict[str, object] = {"correlation_id": call.correlation_id, "request_id": call.id}
    told |= {"route": call.route or None, "upstream": call.upstream or None}
    if isinstance(refusal, RateLimited) and refusal.detail is not None:
        told |= {name: refusal.detail.get(name) for name in ("limit_per_minute", "limit_per_hour")}
    return {name: str(value) for name, value in told.items() if value is not None}


def never_tells_off(refusal: Refused) -> bool:
    """Whether `x-should-retry: false` would be a lie: the caller may well come back."""
    return refusal.label in _SAYS_WHEN


def _quoted(text: str) -> bytes:
    return b'"%b"' % text.encode("ascii", "replace")
