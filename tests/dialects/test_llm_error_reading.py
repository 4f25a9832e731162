"""Errors as providers, the servers that imitate them, and the proxies before them write them."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.llm_error_reading import LlmError, error_of, read_error

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from([
    "error", "type", "code", "message", "param", "detail", "details", "error_code", "innererror", "status", "response",
])  # fmt: skip
OBJECTS = st.recursive(
    st.dictionaries(NAMES, JSON, max_size=4), lambda inner: st.dictionaries(NAMES, inner | JSON, max_size=4)
)


def read(status: int, document: object) -> LlmError:
    return read_error(status, json.dumps(document).encode())


def test_openais() -> None:
    error = {"message": "Bad value", "type": "invalid_request_error", "param": "temperature", "code": "bad_value"}
    assert read(400, {"error": error}) == LlmError(
        400, "invalid_request_error", "bad_value", "Bad value", "temperature"
    )


def test_openais_with_nulls() -> None:
    error = {"message": "It broke", "type": "server_error", "param": None, "code": None}
    assert read(500, {"error": error}) == LlmError(500, "server_error", "", "It broke")


def test_anthropics() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"}
    assert read(529, error) == LlmError(529, "overloaded_error", "", "Overloaded")


def test_anthropics_stable_name_of_the_cause_is_its_code() -> None:
    details = {"error_code": "contract_spend_limit_reached"}
    error = {"type": "error", "error": {"type": "rate_limit_error", "message": "Spent", "details": details}}
    assert read(429, error) == LlmError(429, "rate_limit_error", "contract_spend_limit_reached", "Spent")


def test_azures_inner_error_says_that_the_filter_refused_it() -> None:
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"violence": {"filtered": True}}}
    error = {
        "message": "The response was filtered",
        "type": None,
        "param": "prompt",
        "code": "400",
        "innererror": inner,
    }
    assert read(400, {"error": error}) == LlmError(400, "", "content_filter", "The response was filtered", "prompt")


def test_azures_own() -> None:
    error = {"code": "DeploymentNotFound", "message": "The API deployment for this resource does not exist."}
    assert read(404, {"error": error}).code == "DeploymentNotFound"


def test_azures_gateway() -> None:
    told = {"statusCode": 401, "message": "Access denied due to invalid subscription key."}
    assert read(401, told) == LlmError(401, "", "", "Access denied due to invalid subscription key.")


def test_vllms_has_no_object_around_it_and_a_number_for_a_code() -> None:
    error = {
        "object": "error",
        "message": "The model `m` does not exist.",
        "type": "NotFoundError",
        "param": "model",
        "code": 404,
    }
    assert read(404, error) == LlmError(404, "NotFoundError", "", "The model `m` does not exist.", "model")


def test_ollamas_is_a_text() -> None:
    assert read(404, {"error": 'model "m" not found, try pulling it first'}).message == (
        'model "m" not found, try pulling it first'
    )


def test_fastapis_detail_may_be_a_list() -> None:
    assert read(404, {"detail": "Not Found"}).message == "Not Found"
    assert read(422, {"detail": [{"loc": ["body", "model"], "msg": "Field required"}]}).message == (
        '[{"loc":["body","model"],"msg":"Field required"}]'
    )


def test_a_problem_document_has_a_detail_or_a_title() -> None:
    assert read(503, {"type": "about:blank", "title": "Busy", "status": 503}).message == "Busy"
    assert read(503, {"title": "Busy", "detail": "Come again"}).message == "Come again"


def test_an_error_word_with_its_text_beside_it() -> None:
    assert read(401, {"error": "invalid_token", "message": "The token expired"}).message == "The token expired"
    assert read(401, {"error": "invalid_token", "error_description": "It expired"}).message == "invalid_token"


def test_geminis_is_in_a_list() -> None:
    error = {"code": 429, "message": "Too many", "status": "RESOURCE_EXHAUSTED"}
    assert read(429, [{"error": error}]) == LlmError(429, "RESOURCE_EXHAUSTED", "", "Too many")


@pytest.mark.parametrize("body", [b"", b"   ", b"{}", b"[]", b"null", b"7", b"<html><body>no title</body></html>"])
def test_a_body_that_says_nothing(body: bytes) -> None:
    assert read_error(502, body) == LlmError(502, "", "", "the provider answered 502 and did not say why")


def test_the_page_of_a_proxy_is_told_by_its_title() -> None:
    page = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center>nginx</center></body></html>"
    assert read_error(502, page).message == "502 Bad Gateway"


def test_a_plain_text_is_shown_but_not_a_long_one() -> None:
    assert read_error(503, b"upstream connect error\n").message == "upstream connect error"
    assert len(read_error(503, b"x" * 100_000).message) == 500
    assert read_error(503, b'"no healthy upstream"').message == "no healthy upstream"


def test_half_a_document_is_a_text() -> None:
    assert read_error(500, b'{"error": {"mess').message == '{"error": {"mess'


def test_bytes_that_are_no_text_do_no_harm() -> None:
    assert read_error(500, b"\xff\xfe\x1f\x8b").message


@pytest.mark.parametrize("status", [499, 529, 599, 420])
def test_statuses_that_nobody_registered_are_numbers_as_others_are(status: int) -> None:
    assert read_error(status, b"{}").status == status


def test_what_is_nested_deeper_than_it_could_be_written_is_read() -> None:
    assert read_error(400, b'{"detail":' + b"[" * 500 + b"]" * 500 + b"}").message


# Errors inside a stream have no status of their own.


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("invalid_request_error", 400),
        ("authentication_error", 401),
        ("billing_error", 402),
        ("permission_error", 403),
        ("not_found_error", 404),
        ("conflict_error", 409),
        ("request_too_large", 413),
        ("rate_limit_error", 429),
        ("api_error", 500),
        ("timeout_error", 504),
        ("overloaded_error", 529),
        ("an_error_of_tomorrow", 500),
    ],
)
def test_anthropics_event_has_the_status_of_its_type(kind: str, status: int) -> None:
    event = {"type": "error", "error": {"type": kind, "message": "No"}}
    assert error_of(event) == LlmError(status, kind, "", "No")


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        ("invalid_request_error", "context_length_exceeded", 400),
        ("invalid_request_error", "content_policy_violation", 400),
        ("invalid_request_error", "invalid_api_key", 401),
        ("invalid_request_error", "model_not_found", 404),
        ("insufficient_quota", "insufficient_quota", 429),
        ("insufficient_quota", "credit_balance_exhausted", 429),
        ("tokens", "rate_limit_exceeded", 429),
        ("server_error", None, 500),
        ("service_unavailable", "server_is_overloaded", 503),
        ("InternalServerError", None, 500),
        (None, "529", 529),
        (None, 503, 503),
        (None, 200, 500),
        (None, "²²²", 500),
    ],
)
def test_openais_error_has_the_status_of_its_code_or_type(kind: str | None, code: object, status: int) -> None:
    assert error_of({"error": {"message": "No", "type": kind, "param": None, "code": code}}).status == status


def test_the_error_event_of_a_response_stands_flat() -> None:
    event = {"type": "error", "sequence_number": 3, "code": "rate_limit_exceeded", "message": "Slow", "param": None}
    assert error_of(event) == LlmError(429, "", "rate_limit_exceeded", "Slow")


def test_a_failed_response_has_its_error_inside() -> None:
    response = {"id": "resp_1", "status": "failed", "error": {"code": "server_error", "message": "It broke"}}
    assert error_of({"type": "response.failed", "response": response}) == LlmError(500, "", "server_error", "It broke")


def test_vllms_error_in_a_stream() -> None:
    error = {"object": "error", "message": "Too long", "type": "BadRequestError", "param": None, "code": 400}
    assert error_of({"error": error}).status == 400
    assert error_of(error).status == 400


def test_an_error_in_a_stream_that_says_nothing() -> None:
    assert error_of({"error": {}}) == LlmError(500, "", "", "the provider answered 500 and did not say why")


@given(st.integers(400, 599), st.binary(max_size=50) | (JSON | OBJECTS).map(orjson.dumps))
def test_every_body_is_an_error(status: int, body: bytes) -> None:
    error = read_error(status, body)
    assert error.status == status
    assert error.message
    assert {type(error.type), type(error.code), type(error.message)} == {str}


@given(OBJECTS | st.dictionaries(st.text(max_size=5), JSON))
def test_every_event_is_an_error(event: dict[str, Any]) -> None:
    error = error_of(event)
    assert 400 <= error.status <= 599
    assert error.message
