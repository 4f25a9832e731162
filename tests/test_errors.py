"""An error knows its answer: the table of errors that the documentation promises, line by line."""

from __future__ import annotations

import pytest

from sidecar import errors
from sidecar.call import Facts, What
from sidecar.errors import ConfigError, MethodNotAllowed, Mistake, RateLimited, Refused, UpstreamError

ANSWERS: list[tuple[str, int, str]] = [
    ("no_route", 404, "UNIMPLEMENTED"),
    ("invalid_request", 400, "INTERNAL"),
    ("request_timeout", 408, "DEADLINE_EXCEEDED"),
    ("forbidden_host", 403, "PERMISSION_DENIED"),
    ("forbidden_origin", 403, "PERMISSION_DENIED"),
    ("forbidden_token", 403, "PERMISSION_DENIED"),
    ("header_too_large", 431, "RESOURCE_EXHAUSTED"),
    ("body_too_large", 413, "RESOURCE_EXHAUSTED"),
    ("not_implemented", 501, "UNIMPLEMENTED"),
    ("version_not_supported", 505, "UNIMPLEMENTED"),
    ("loop_detected", 508, "INTERNAL"),
    ("idempotency_mismatch", 422, "FAILED_PRECONDITION"),
    ("not_translatable", 400, "UNIMPLEMENTED"),
    ("rate_limited", 429, "RESOURCE_EXHAUSTED"),
    ("circuit_open", 503, "UNAVAILABLE"),
    ("overloaded", 503, "UNAVAILABLE"),
    ("upstream_connect_failed", 502, "UNAVAILABLE"),
    ("upstream_reset", 502, "UNAVAILABLE"),
    ("upstream_protocol_error", 502, "INTERNAL"),
    ("upstream_auth_failed", 502, "INTERNAL"),
    ("deadline_exceeded", 504, "DEADLINE_EXCEEDED"),
    ("draining", 503, "UNAVAILABLE"),
    ("internal_error", 500, "INTERNAL"),
]

PROXY_STATUS = {
    "connection_limit_reached", "connection_refused", "connection_terminated", "destination_not_found",
    "destination_unavailable", "http_protocol_error", "http_request_denied", "http_request_error",
    "http_response_timeout", "proxy_internal_error", "proxy_internal_response", "proxy_loop_detected",
}  # fmt: skip
"""Those of RFC 9209, section 2.3, that we use."""


def refusals() -> dict[str, type[Refused]]:
    """All classes of refusals by their label; `MethodNotAllowed` is a kind of `no_route`."""
    found = [thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, Refused)]
    public = [kind for kind in found if not kind.__name__.startswith("_")]
    return {kind.label: kind for kind in public if kind not in (Refused, MethodNotAllowed)}


@pytest.mark.parametrize(("label", "status", "code"), ANSWERS)
def test_an_answer(label: str, status: int, code: str) -> None:
    kind = refusals()[label]
    assert (kind.http_status, kind.grpc_code) == (status, code)


def test_there_are_no_others() -> None:
    assert refusals().keys() == {label for label, _, _ in ANSWERS}


def test_what_is_said_of_them_in_proxy_status_is_registered() -> None:
    assert {kind.error_token for kind in refusals().values()} <= PROXY_STATUS


def test_a_refusal_without_words_says_its_label() -> None:
    refusal = refusals()["upstream_reset"]()
    assert (str(refusal), refusal.message, refusal.retry_after) == ("upstream reset", "upstream reset", None)


def test_a_refusal_may_know_when_to_come_back() -> None:
    refusal = refusals()["overloaded"]("r is busy", retry_after=1.5)
    assert (str(refusal), refusal.message, refusal.retry_after) == ("r is busy", "r is busy", 1.5)


def test_only_the_method_is_wrong() -> None:
    refusal = MethodNotAllowed("/a takes GET", allow=["GET"])
    assert (refusal.label, refusal.http_status, refusal.grpc_code) == ("no_route", 405, "UNIMPLEMENTED")
    assert refusal.allow == ("GET",)


def test_a_limit_of_ours_tells_its_numbers() -> None:
    assert RateLimited("full", retry_after=2, detail={"limit_per_minute": 60}).detail == {"limit_per_minute": 60}
    assert RateLimited().detail is None


def test_a_mistake_is_one_line_with_all_a_person_needs() -> None:
    told = Mistake("sidecar.toml", 7, "routes.a.chain", "unknown upstream 'opena'", "openai, router", "openai")
    assert str(told) == (
        "sidecar.toml:7: routes.a.chain: unknown upstream 'opena' (allowed: openai, router) (did you mean 'openai'?)"
    )


def test_a_mistake_may_have_no_key_and_no_advice() -> None:
    assert str(Mistake("sidecar.toml", 3, "", "not TOML")) == "sidecar.toml:3: not TOML"


def test_all_mistakes_are_told_at_once() -> None:
    mistakes = [Mistake("f", 1, "a", "wrong"), Mistake("f", 2, "b", "wrong too")]
    error = ConfigError(mistakes)
    assert error.mistakes == tuple(mistakes)
    assert str(error) == "f:1: a: wrong\nf:2: b: wrong too"


def test_an_attempt_s_error_says_what_is_known() -> None:
    assert str(UpstreamError(Facts(What.RESET))) == "reset"
    assert str(UpstreamError(Facts(What.RESET, detail="errno 104"))) == "errno 104"
