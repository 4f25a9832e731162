"""What can go wrong, and what each of it answers.

Three trees, by who is at fault. `ConfigError`: the policy file. `Refused`: the
sidecar answers by itself, and the class knows how (label, HTTP status, gRPC
code): listeners have no ladders of `if`. `UpstreamError`: an attempt ended
without a reply; it carries the facts, the engine decides what they mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidecar.call import Facts


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong in a policy file, with all a person needs to mend it. Line 0 is the file as a whole."""

    file: str
    line: int
    key: str
    problem: str
    allowed: str = ""
    nearest: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        text = f"{where}: {self.key}{': ' * bool(self.key)}{self.problem}"
        if self.allowed:
            text += f" (allowed: {self.allowed})"
        if self.nearest:
            text += f" (did you mean {self.nearest!r}?)"
        return text


class ConfigError(Exception):
    """The policy file cannot be used; `mistakes` are all of them, in file order.

    `files` are those that it names, by path the SHA-256 of what they held: one that comes or changes may make it good.
    `text` is that of the file itself, empty if it could not be read; None where it is known from elsewhere.
    """

    def __init__(self, mistakes: Sequence[Mistake], files: Mapping[str, str] | None = None) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)
        self.files = dict(files or {})
        self.text: str | None = None


class Refused(Exception):
    """The sidecar's own answer to a call.

    `label` is the code of the contract, also in metrics and logs. `retry_after`
    (seconds) is told to the caller where a time is known. `error_token` is the
    `Proxy-Status` error type (RFC 9209, section 2.3).
    """

    label: ClassVar[str] = "internal_error"
    http_status: ClassVar[int] = 500
    grpc_code: ClassVar[str] = "INTERNAL"
    type: ClassVar[str] = "internal_server_error"
    error_token: ClassVar[str] = "proxy_internal_error"

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message or self.label.replace("_", " "))
        self.message = message or self.label.replace("_", " ")
        self.retry_after = retry_after


class InternalError(Refused):
    """A bug of ours: the log has the traceback, the caller does not."""


class NoRoute(Refused):
    label = "no_route"
    http_status = 404
    grpc_code = "UNIMPLEMENTED"
    type = "not_found"
    error_token = "destination_not_found"


class MethodNotAllowed(NoRoute):
    """A route has the path but not the method: 405 with `Allow` (RFC 9110, section 15.5.6)."""

    http_status = 405
    type = "method_not_allowed"
    error_token = "http_request_denied"

    def __init__(self, message: str, *, allow: Sequence[str]) -> None:
        super().__init__(message)
        self.allow = tuple(allow)


class InvalidRequest(Refused):
    label = "invalid_request"
    http_status = 400
    grpc_code = "INTERNAL"
    type = "invalid_request_error"
    error_token = "http_request_error"


class RequestTimeout(Refused):
    label = "request_timeout"
    http_status = 408
    grpc_code = "DEADLINE_EXCEEDED"
    type = "request_timeout"
    error_token = "http_request_error"


class _Forbidden(Refused):
    http_status = 403
    grpc_code = "PERMISSION_DENIED"
    type = "forbidden"
    error_token = "http_request_denied"


class ForbiddenHost(_Forbidden):
    label = "forbidden_host"


class ForbiddenOrigin(_Forbidden):
    label = "forbidden_origin"


class ForbiddenToken(_Forbidden):
    label = "forbidden_token"


class HeaderTooLarge(Refused):
    label = "header_too_large"
    http_status = 431
    grpc_code = "RESOURCE_EXHAUSTED"
    type = "invalid_request_error"
    error_token = "http_request_error"


class BodyTooLarge(Refused):
    label = "body_too_large"
    http_status = 413
    grpc_code = "RESOURCE_EXHAUSTED"
    type = "invalid_request_error"
    error_token = "http_request_error"


class NotImplementedHere(Refused):
    """Unknown method or transfer coding (RFC 9110, section 15.6.2)."""

    label = "not_implemented"
    http_status = 501
    grpc_code = "UNIMPLEMENTED"
    type = "not_implemented"
    error_token = "http_request_error"


class VersionNotSupported(Refused):
    label = "version_not_supported"
    http_status = 505
    grpc_code = "UNIMPLEMENTED"
    type = "version_not_supported"
    error_token = "http_request_error"


class LoopDetected(Refused):
    label = "loop_detected"
    http_status = 508
    grpc_code = "INTERNAL"
    type = "loop_detected"
    error_token = "proxy_loop_detected"


class IdempotencyMismatch(Refused):
    """A call with the same Idempotency-Key and another body is under way."""

    label = "idempotency_mismatch"
    http_status = 422
    grpc_code = "FAILED_PRECONDITION"
    type = "invalid_request_error"
    error_token = "http_request_error"


class NotTranslatable(Refused):
    label = "not_translatable"
    http_status = 400
    grpc_code = "UNIMPLEMENTED"
    type = "invalid_request_error"
    error_token = "http_request_error"


class RateLimited(Refused):
    """Our limiter, or every target rests. `detail` goes into the body where a limit of ours was full."""

    label = "rate_limited"
    http_status = 429
    grpc_code = "RESOURCE_EXHAUSTED"
    type = "rate_limit_exceeded"
    error_token = "http_request_denied"

    def __init__(
        self,
        message: str = "",
        *,
        retry_after: float | None = None,
        detail: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.detail = detail


class CircuitOpen(Refused):
    label = "circuit_open"
    http_status = 503
    grpc_code = "UNAVAILABLE"
    type = "service_unavailable"
    error_token = "destination_unavailable"


class Overloaded(Refused):
    """We are the busy ones: concurrency, queue, pool or memory."""

    label = "overloaded"
    http_status = 503
    grpc_code = "UNAVAILABLE"
    type = "overloaded"
    error_token = "connection_limit_reached"


class UpstreamConnectFailed(Refused):
    label = "upstream_connect_failed"
    http_status = 502
    grpc_code = "UNAVAILABLE"
    type = "upstream_error"
    error_token = "connection_refused"


class UpstreamReset(Refused):
    label = "upstream_reset"
    http_status = 502
    grpc_code = "UNAVAILABLE"
    type = "upstream_error"
    error_token = "connection_terminated"


class UpstreamProtocolError(Refused):
    label = "upstream_protocol_error"
    http_status = 502
    grpc_code = "INTERNAL"
    type = "upstream_error"
    error_token = "http_protocol_error"


class UpstreamAuthFailed(Refused):
    label = "upstream_auth_failed"
    http_status = 502
    grpc_code = "INTERNAL"
    type = "upstream_error"
    error_token = "http_request_denied"


class DeadlineExceeded(Refused):
    label = "deadline_exceeded"
    http_status = 504
    grpc_code = "DEADLINE_EXCEEDED"
    type = "timeout_error"
    error_token = "http_response_timeout"


class Draining(Refused):
    label = "draining"
    http_status = 503
    grpc_code = "UNAVAILABLE"
    type = "service_unavailable"
    error_token = "proxy_internal_response"


class UpstreamError(Exception):
    """An attempt ended without a reply (or, while relaying, without the reply's end)."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts.detail or facts.what.value)
        self.facts = facts


class CallerLeft(Exception):
    """The caller's connection is gone: there is nobody left to answer."""
