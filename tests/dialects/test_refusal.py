"""Our errors in the shapes that callers' clients read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.body import Body
from sidecar.call import Call, Wire
from sidecar.dialects.refusal import body_of, lines_of, never_tells_off
from sidecar.errors import (
    CircuitOpen,
    DeadlineExceeded,
    Draining,
    InternalError,
    MethodNotAllowed,
    NoRoute,
    Overloaded,
    RateLimited,
    Refused,
)


def called(path: bytes = b"/any", **fields: bytes) -> Call:
    return Call(
        id="id-1",
        correlation_id="corr-1",
        wire=Wire.HTTP,
        method=b"POST",
        target=path,
        path=path,
        headers=[],
        fields={name.replace("_", "-").encode(): value for name, value in fields.items()},
        body=Body.of(b""),
        started=0.0,
    )


def document(refusal: Refused, call: Call | None) -> Any:
    return json.loads(body_of(refusal, call))


def test_the_default_shape() -> None:
    assert document(NoRoute("no route matches"), called()) == {
        "error": {
            "type": "not_found",
            "message": "no route matches",
            "code": "no_route",
            "correlation_id": "corr-1",
        }
    }


def test_a_known_time_is_told_in_whole_seconds_and_never_too_early() -> None:
    assert document(Overloaded("busy", retry_after=1.2), called())["error"]["retry_after"] == 2
    assert lines_of(Overloaded("busy", retry_after=1.2)).endswith(b"Retry-After: 2\r\nretry-after-ms: 1200\r\n")


def test_a_full_limit_tells_its_numbers() -> None:
    detail: dict[str, object] = {"error": "full", "limit_per_minute": 50, "limit_per_hour": None, "retry_after": 2}
    full = RateLimited("full", retry_after=1.2, detail=detail)
    assert document(full, called())["detail"] == detail
    assert document(full, called(b"/v1/chat/completions"))["detail"] == detail
    assert document(full, called(anthropic_version=b"2023-06-01"))["detail"] == detail


def test_the_openai_shape_on_its_paths() -> None:
    assert document(CircuitOpen("Circuit breaker 'openai' is OPEN"), called(b"/v1/chat/completions")) == {
        "error": {
            "message": "Circuit breaker 'openai' is OPEN",
            "type": "service_unavailable",
            "param": None,
            "code": "circuit_open",
        }
    }


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (RateLimited(), "rate_limit_error"),
        (Overloaded(), "overloaded_error"),
        (DeadlineExceeded(), "timeout_error"),
        (InternalError(), "api_error"),
    ],
)
def test_the_anthropic_shape_where_its_version_was_sent(refusal: Refused, kind: str) -> None:
    told = document(refusal, called(b"/v1/messages", anthropic_version=b"2023-06-01"))
    assert told["type"] == "error"
    assert (told["error"]["type"], told["error"]["code"]) == (kind, refusal.label)
    assert told["request_id"] == "corr-1"


def test_a_request_that_could_not_be_read_has_no_id() -> None:
    assert document(Refused("?"), None)["error"]["correlation_id"] == ""


def test_a_method_that_is_missing_is_answered_with_those_that_are_there() -> None:
    assert b"Allow: GET, PUT\r\n" in lines_of(MethodNotAllowed("no", allow=["GET", "PUT"]))


def test_proxy_status_names_us_and_the_error() -> None:
    assert b'Proxy-Status: sidecar; error=http_response_timeout; details="deadline_exceeded"\r\n' in lines_of(
        DeadlineExceeded()
    )


def test_who_is_only_to_come_back_later_is_never_told_off() -> None:
    assert [never_tells_off(refusal) for refusal in (RateLimited(), Overloaded(), Draining())] == [True] * 3
    assert not never_tells_off(CircuitOpen())
