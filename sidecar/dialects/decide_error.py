"""A decide's error: c-gateway's JSON and HTTP status on one side, the Router's gRPC status on the other.

The Router has one code (INTERNAL) for most of its failures and tells them apart by
a word in the message; c-gateway has a code in the body and a status that may even
be 200. A failure that is known on both sides looks to the caller as if its own
side had answered; the rest follows the common table of codes and statuses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.call import Sign
from sidecar.dialects.decide import dumps

if TYPE_CHECKING:
    from sidecar.dialects.decide import Decide, Json


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as c-gateway tells it: its HTTP status, its code, its text."""

    status: int
    code: str
    message: str


_SCANNED = 4096
"""Bytes of an error body in which code and message are looked for when it is no valid JSON."""
_LONGEST_MESSAGE = 500
"""Characters of a text that are shown on the other side. gRPC clients take 8 KiB of metadata in all."""

# Values are pasted into c-gateway's errors without escaping; its own codes and messages have no quotes.
_OK_FALSE = re.compile(rb'\s*\{\s*"ok"\s*:\s*false\b')
_CODE = re.compile(rb'"code"\s*:\s*"([^"\\]{1,64})"')
_MESSAGE = re.compile(rb'"message"\s*:\s*"([^"\\]{0,400})"')
_EMPTY_BODY = re.compile(r"empty (request )?body", re.IGNORECASE)

_SIGNS = {
    "extension_timeout": Sign.EXTENSION_TIMEOUT,
    "unavailable": Sign.UNAVAILABLE,
    "rate_limit_exceeded": Sign.LIMIT_EXCEEDED,
}

_GRPC_OF_CODE = {
    "unauthorized": "UNAUTHENTICATED",
    "policy_not_found": "NOT_FOUND",
    "rate_limit_exceeded": "RESOURCE_EXHAUSTED",
    "unavailable": "UNAVAILABLE",
    "service_overloaded": "UNAVAILABLE",
    # INTERNAL: the Router's own code for them, whatever their HTTP status.
    "decision_failed": "INTERNAL",
    "extension_not_found": "INTERNAL",
    "extension_timeout": "INTERNAL",
    "extension_unavailable": "INTERNAL",
    "extension_error": "INTERNAL",
    "validator_blocked": "INTERNAL",
    "post_processor_failed": "INTERNAL",
    "tenant_not_allowed": "INTERNAL",
}
_GRPC_OF_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

_HTTP_OF_CODE = {
    "INVALID_ARGUMENT": (400, "invalid_request"),
    "FAILED_PRECONDITION": (400, "invalid_request"),
    "OUT_OF_RANGE": (400, "invalid_request"),
    "UNAUTHENTICATED": (401, "unauthorized"),
    "PERMISSION_DENIED": (403, "permission_denied"),
    "NOT_FOUND": (404, "policy_not_found"),
    "ABORTED": (409, "conflict"),
    "ALREADY_EXISTS": (409, "conflict"),
    "RESOURCE_EXHAUSTED": (429, "rate_limit_exceeded"),
    "CANCELLED": (499, "cancelled"),
    "UNIMPLEMENTED": (501, "not_implemented"),
    "UNAVAILABLE": (503, "unavailable"),
    "DEADLINE_EXCEEDED": (504, "deadline_exceeded"),
}
_INTERNAL = (500, "internal")

# The words in the text of an INTERNAL. The two with 200 are what c-gateway answers to them.
_HTTP_OF_WORD = {
    "acl_denied": (400, "invalid_request"),  # or 500; but it is final, and callers send a 500 again
    "tenant_not_allowed": (400, "invalid_request"),
    "no_provider_available": (500, "decision_failed"),
    "no_provider": (500, "decision_failed"),
    "decision_failed": (500, "decision_failed"),
    "extension_not_found": (404, "extension_not_found"),
    "extension_timeout": (200, "extension_timeout"),
    "validator_blocked": (200, "validator_blocked"),
    "extension_circuit_open": (503, "extension_unavailable"),
    "extension_unavailable": (503, "extension_unavailable"),
    "extension_error": (500, "extension_error"),
    "pre_processor_failed": (500, "extension_error"),
    "post_processor_failed": (500, "post_processor_failed"),
    "too_deep": (400, "invalid_request"),
    "too_many": (400, "invalid_request"),
}
_WORD = re.compile(
    rf"\b(?:({'|'.join(word for word in _HTTP_OF_WORD if not word.startswith('too_'))})\b|\w*(too_deep|too_many))"
)


def read_failure(status: int, document: object, body: bytes) -> Failure | None:
    """The error in an answer of c-gateway's; `document` is `body` parsed, None where it is no JSON.

    None for a 2xx without `ok: false`.
    """
    if isinstance(document, dict):
        if status < 300 and document.get("ok") is not False:
            return None
        error = document.get("error")
        if isinstance(error, dict):
            code, message = error.get("code"), error.get("message")
            return Failure(status, code if isinstance(code, str) else "", message if isinstance(message, str) else "")
    else:
        start = body[:_SCANNED]
        if status < 300 and _OK_FALSE.match(start) is None:
            return None
        if _OK_FALSE.match(start) is not None:
            return Failure(status, _found(_CODE, start), _found(_MESSAGE, start))
    return Failure(status, "", "")


def sign_of(failure: Failure, *, sent: bool) -> Sign | None:
    """What the answer says beyond its status; `sent`: the request had a body."""
    if failure.status == 400:
        return Sign.FALSE_EMPTY_BODY if sent and _EMPTY_BODY.search(failure.message) else None
    if failure.status < 300:
        return _SIGNS.get(failure.code, Sign.NOT_OK)
    return None


def as_status(failure: Failure) -> tuple[str, str]:
    """An error of c-gateway's as the name of a gRPC code and a text."""
    code = _GRPC_OF_CODE.get(failure.code)
    if code is None:
        if failure.status < 300:  # `ok: false` without a status: the Router's own codes, unknown ones are INTERNAL
            code = "INVALID_ARGUMENT" if failure.code == "invalid_request" else "INTERNAL"
        else:
            code = _GRPC_OF_STATUS.get(failure.status, "UNKNOWN")
    text = ": ".join(filter(None, (failure.code, failure.message)))[:_LONGEST_MESSAGE]
    return code, text or f"c-gateway answered {failure.status}"


def as_failure(code: str, message: str, *, too_long: bool = False) -> Failure:
    """A gRPC status of the Router's as c-gateway's error; `too_long`: a message was longer than one side takes.

    The text is the message's first line: a crash sends its stack trace.
    """
    line = message.strip().partition("\n")[0].strip()[:_LONGEST_MESSAGE].encode("utf-8", "replace").decode()
    if too_long:
        status, word = 413, "request_too_large"
    elif code == "INTERNAL":
        status, word = _by_word(line)
    else:
        status, word = _HTTP_OF_CODE.get(code, _INTERNAL)
    return Failure(status, word, line or code)


def write_failure(failure: Failure, decide: Decide) -> bytes:
    """The body of an error, as c-gateway writes it."""
    error: Json = {"code": failure.code, "message": failure.message, "intake_error_code": None, "details": {}}
    context = {"request_id": decide.request_id, "trace_id": decide.trace, "tenant_id": decide.tenant}
    return dumps({"ok": False, "error": error, "context": context})


def _by_word(line: str) -> tuple[int, str]:
    found = _WORD.search(line)
    return _INTERNAL if found is None else _HTTP_OF_WORD[found[1] or found[2]]


def _found(pattern: re.Pattern[bytes], text: bytes) -> str:
    found = pattern.search(text)
    return "" if found is None else found[1].decode("utf-8", "replace")
