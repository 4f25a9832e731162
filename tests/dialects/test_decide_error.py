"""The same failure on both wires: c-gateway's status and code, the Router's gRPC status."""

from __future__ import annotations

import json

import pytest

from sidecar.call import Sign
from sidecar.dialects.decide import loads
from sidecar.dialects.decide_error import Failure, as_failure, as_status, read_failure, sign_of, write_failure
from tests.kit.decides import DOCUMENTED, REAL, TRACE, asked

UNESCAPED = (
    b'{"ok":false,"error":{"code":"invalid_request","message":"invalid decide request DTO","intake_error_code":null,'
    b'"details":{}},"context":{"request_id":"","trace_id":"","tenant_id":"a"b"}}'
)


def said(status: int, code: str, message: str = "simulated") -> Failure | None:
    body = json.dumps({"ok": False, "error": {"code": code, "message": message}}).encode()
    return read_failure(status, loads(body), body)


def read(status: int, body: bytes) -> Failure | None:
    return read_failure(status, loads(body), body)


# Read.


def test_an_error_of_c_gateways() -> None:
    assert said(404, "policy_not_found") == Failure(404, "policy_not_found", "simulated")
    assert said(200, "extension_timeout") == Failure(200, "extension_timeout", "simulated")


def test_an_error_that_is_no_valid_json_is_understood_all_the_same() -> None:
    assert loads(UNESCAPED) is None
    assert read(400, UNESCAPED) == Failure(400, "invalid_request", "invalid decide request DTO")
    assert read(200, UNESCAPED) == Failure(200, "invalid_request", "invalid decide request DTO")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (502, b"<html>Bad Gateway</html>"),
        (502, b""),
        (502, b"[]"),
        (502, b'{"error": "text"}'),
        (502, b'{"ok": false, "error": {"code": 7, "message": null}}'),
        (502, b'{"ok": false, "error": "'),
        (302, b""),
    ],
)
def test_an_error_of_somebody_else_is_its_status_alone(status: int, body: bytes) -> None:
    assert read(status, body) == Failure(status, "", "")


@pytest.mark.parametrize("body", [b"", b"this is not json", b'{"ok": true}', b'{"provider_id": "p"}', b"[false]"])
def test_a_200_that_does_not_say_so_is_no_error(body: bytes) -> None:
    assert read(200, body) is None


def test_a_very_long_error_is_looked_through_at_its_beginning_only() -> None:
    late = b'{"ok":false,' + b" " * 5000 + b'"error":{"code":"unavailable"}"'
    assert read(503, late) == Failure(503, "", "")
    long = b'{"ok":false,"error":{"code":"unavailable","message":"%b"}} "' % (b"x" * 5000)
    assert read(503, long) == Failure(503, "unavailable", "")


# Signs.


@pytest.mark.parametrize(
    ("code", "sign"),
    [
        ("extension_timeout", Sign.EXTENSION_TIMEOUT),
        ("unavailable", Sign.UNAVAILABLE),
        ("rate_limit_exceeded", Sign.LIMIT_EXCEEDED),
        ("validator_blocked", Sign.NOT_OK),
        ("tenant_not_allowed", Sign.NOT_OK),
        ("never heard of", Sign.NOT_OK),
        ("", Sign.NOT_OK),
    ],
)
def test_an_error_inside_a_200_has_a_sign(code: str, sign: Sign) -> None:
    assert sign_of(Failure(200, code, ""), sent=True) is sign


def test_an_error_with_a_status_has_none() -> None:
    for status in (400, 401, 404, 429, 500, 503):
        assert sign_of(Failure(status, "unavailable", "router or NATS unavailable"), sent=True) is None


def test_an_empty_body_is_false_only_where_one_was_sent() -> None:
    failure = Failure(400, "invalid_request", "empty request body")
    assert sign_of(failure, sent=True) is Sign.FALSE_EMPTY_BODY
    assert sign_of(failure, sent=False) is None
    assert sign_of(Failure(400, "invalid_request", "invalid decide request DTO"), sent=True) is None


# From c-gateway to a gRPC caller.


@pytest.mark.parametrize(
    ("status", "code", "grpc"),
    [
        (400, "invalid_request", "INVALID_ARGUMENT"),
        (404, "policy_not_found", "NOT_FOUND"),
        (500, "decision_failed", "INTERNAL"),
        (500, "internal", "INTERNAL"),
        (404, "extension_not_found", "INTERNAL"),
        (200, "extension_timeout", "INTERNAL"),
        (200, "validator_blocked", "INTERNAL"),
        (503, "extension_unavailable", "INTERNAL"),
        (500, "extension_error", "INTERNAL"),
        (500, "post_processor_failed", "INTERNAL"),
        (200, "tenant_not_allowed", "INTERNAL"),
        (200, "unavailable", "UNAVAILABLE"),
        (200, "rate_limit_exceeded", "RESOURCE_EXHAUSTED"),
        (200, "invalid_request", "INVALID_ARGUMENT"),
        (200, "never heard of", "INTERNAL"),
        (503, "unavailable", "UNAVAILABLE"),
        (503, "service_overloaded", "UNAVAILABLE"),
        (503, "rate_limiter_error", "UNAVAILABLE"),
        (429, "rate_limit_exceeded", "RESOURCE_EXHAUSTED"),
        (401, "unauthorized", "UNAUTHENTICATED"),
        (404, "invalid_request", "NOT_FOUND"),
    ],
)
def test_an_error_of_c_gateways_as_a_status(status: int, code: str, grpc: str) -> None:
    assert as_status(Failure(status, code, "simulated")) == (grpc, f"{code}: simulated")


@pytest.mark.parametrize(
    ("status", "grpc"),
    [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (408, "DEADLINE_EXCEEDED"),
        (409, "ABORTED"),
        (413, "RESOURCE_EXHAUSTED"),
        (418, "UNKNOWN"),
        (429, "RESOURCE_EXHAUSTED"),
        (499, "CANCELLED"),
        (500, "INTERNAL"),
        (501, "UNIMPLEMENTED"),
        (502, "UNAVAILABLE"),
        (503, "UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED"),
        (599, "UNKNOWN"),
    ],
)
def test_a_status_without_a_code_of_c_gateways(status: int, grpc: str) -> None:
    assert as_status(Failure(status, "", "")) == (grpc, f"c-gateway answered {status}")


def test_a_long_text_is_cut_to_what_metadata_can_hold() -> None:
    for failure in (Failure(500, "internal", "x" * 60_000), Failure(500, "x" * 60_000, "")):
        code, text = as_status(failure)
        assert (code, len(text)) == ("INTERNAL", 500)


# From the Router to an HTTP caller.


@pytest.mark.parametrize(
    ("grpc", "status", "code"),
    [
        ("INVALID_ARGUMENT", 400, "invalid_request"),
        ("FAILED_PRECONDITION", 400, "invalid_request"),
        ("OUT_OF_RANGE", 400, "invalid_request"),
        ("UNAUTHENTICATED", 401, "unauthorized"),
        ("PERMISSION_DENIED", 403, "permission_denied"),
        ("NOT_FOUND", 404, "policy_not_found"),
        ("ABORTED", 409, "conflict"),
        ("ALREADY_EXISTS", 409, "conflict"),
        ("RESOURCE_EXHAUSTED", 429, "rate_limit_exceeded"),
        ("CANCELLED", 499, "cancelled"),
        ("INTERNAL", 500, "internal"),
        ("UNKNOWN", 500, "internal"),
        ("DATA_LOSS", 500, "internal"),
        ("UNIMPLEMENTED", 501, "not_implemented"),
        ("UNAVAILABLE", 503, "unavailable"),
        ("DEADLINE_EXCEEDED", 504, "deadline_exceeded"),
    ],
)
def test_a_status_as_an_error_of_c_gateways(grpc: str, status: int, code: str) -> None:
    assert as_failure(grpc, "why") == Failure(status, code, "why")


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        ("acl_denied", 400, "invalid_request"),
        ("tenant_not_allowed", 400, "invalid_request"),
        ('{no_provider_available,#{tenant_id => <<"demo">>}}', 500, "decision_failed"),
        ("no_provider_available: all are down", 500, "decision_failed"),
        ("no_provider", 500, "decision_failed"),
        ("extension_not_found", 404, "extension_not_found"),
        ("extension_timeout", 200, "extension_timeout"),
        ("validator_blocked", 200, "validator_blocked"),
        ("extension_circuit_open", 503, "extension_unavailable"),
        ("extension_unavailable", 503, "extension_unavailable"),
        ("extension_error", 500, "extension_error"),
        ("pre_processor_failed", 500, "extension_error"),
        ("post_processor_failed", 500, "post_processor_failed"),
        ("pipeline_too_deep", 400, "invalid_request"),
        ("too_many_extensions", 400, "invalid_request"),
        ("deadline_exceeded", 500, "internal"),
        ("", 500, "internal"),
    ],
)
def test_the_word_in_an_internal_tells_which(message: str, status: int, code: str) -> None:
    assert as_failure("INTERNAL", message) == Failure(status, code, message or "INTERNAL")


def test_a_message_that_was_too_long_is_no_rate_limit() -> None:
    assert as_failure("RESOURCE_EXHAUSTED", "larger than max", too_long=True).status == 413


def test_of_a_stack_trace_the_first_line_is_shown() -> None:
    trace = (
        'Internal error: error:{badkey,x}\r\n[{router_grpc,decide,2,[{file,"router_grpc.erl"}]},\n extension_timeout'
    )
    assert as_failure("INTERNAL", trace) == Failure(500, "internal", "Internal error: error:{badkey,x}")
    assert len(as_failure("INTERNAL", "x" * 10_000).message) == 500


def test_an_errors_body() -> None:
    assert json.loads(write_failure(Failure(404, "policy_not_found", 'no "such" policy'), asked(REAL))) == {
        "ok": False,
        "error": {
            "code": "policy_not_found",
            "message": 'no "such" policy',
            "intake_error_code": None,
            "details": {},
        },
        "context": {"request_id": "req-1", "trace_id": TRACE, "tenant_id": "acme"},
    }
    assert json.loads(write_failure(as_failure("INTERNAL", "\udcff"), asked(DOCUMENTED)))["context"] == {
        "request_id": "ours-1",
        "trace_id": TRACE,
        "tenant_id": "acme",
    }
