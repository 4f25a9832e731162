"""Errors as the caller's own SDK reads them: a status and a body, or the last event of a stream."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from anthropic.types import ErrorResponse
from openai.types.responses import ResponseErrorEvent

from sidecar.dialects.llm_error_reading import LlmError
from sidecar.dialects.llm_error_writing import error_event, write_error
from sidecar.llm import Dialect, Kind

OVERLOADED = LlmError(529, "overloaded_error", "", "Overloaded")


def written(dialect: Dialect, error: LlmError) -> tuple[int, Any]:
    status, body = write_error(dialect, error, "req-1")
    return status, json.loads(body)


def of(status: int, code: str = "", text: str = "No.", kind: str = "") -> LlmError:
    return LlmError(status, kind, code, text)


def test_openais_shape() -> None:
    error = LlmError(400, "invalid_request_error", "", "max_tokens: too many", "max_tokens")
    assert written(Dialect.OPENAI, error) == (
        400,
        {
            "error": {
                "message": "max_tokens: too many",
                "type": "invalid_request_error",
                "param": "max_tokens",
                "code": None,
            }
        },
    )


def test_anthropics_shape() -> None:
    assert written(Dialect.ANTHROPIC, of(401, "invalid_api_key", "Incorrect API key")) == (
        401,
        {
            "type": "error",
            "error": {"type": "authentication_error", "message": "Incorrect API key", "code": "invalid_api_key"},
            "request_id": "req-1",
        },
    )


@pytest.mark.parametrize(
    ("status", "told", "kind", "code"),
    [
        (400, 400, "invalid_request_error", None),
        (401, 401, "invalid_request_error", "invalid_api_key"),
        (402, 429, "insufficient_quota", "insufficient_quota"),
        (403, 403, "permission_error", None),
        (404, 404, "invalid_request_error", None),
        (408, 408, "timeout_error", "timeout"),
        (409, 409, "conflict_error", None),
        (413, 413, "invalid_request_error", "request_too_large"),
        (422, 422, "invalid_request_error", None),
        (429, 429, "rate_limit_error", "rate_limit_exceeded"),
        (499, 499, "invalid_request_error", None),
        (500, 500, "server_error", None),
        (502, 502, "server_error", None),
        (503, 503, "server_error", "overloaded_error"),
        (504, 504, "server_error", "timeout"),
        (529, 503, "server_error", "overloaded_error"),
        (598, 598, "server_error", None),
        (200, 502, "server_error", None),
        (302, 502, "server_error", None),
        (777, 502, "server_error", None),
    ],
)
def test_each_status_for_openais_clients(status: int, told: int, kind: str, code: str | None) -> None:
    found, body = written(Dialect.OPENAI, of(status))
    assert (found, body["error"]["type"], body["error"]["code"]) == (told, kind, code)


@pytest.mark.parametrize(
    ("status", "told", "kind"),
    [
        (400, 400, "invalid_request_error"),
        (401, 401, "authentication_error"),
        (402, 402, "billing_error"),
        (403, 403, "permission_error"),
        (404, 404, "not_found_error"),
        (408, 408, "timeout_error"),
        (409, 409, "conflict_error"),
        (413, 413, "request_too_large"),
        (422, 422, "invalid_request_error"),
        (429, 429, "rate_limit_error"),
        (499, 499, "invalid_request_error"),
        (500, 500, "api_error"),
        (502, 502, "api_error"),
        (503, 529, "overloaded_error"),
        (504, 504, "timeout_error"),
        (529, 529, "overloaded_error"),
        (598, 598, "api_error"),
        (200, 502, "api_error"),
        (777, 502, "api_error"),
    ],
)
def test_each_status_for_anthropics_clients(status: int, told: int, kind: str) -> None:
    found, body = written(Dialect.ANTHROPIC, of(status))
    assert (found, body["error"]["type"]) == (told, kind)


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (of(400, "", "Your credit balance is too low"), 429, "insufficient_quota", "insufficient_quota"),
        (of(400, "", "prompt is too long: 9 tokens"), 400, "invalid_request_error", "context_length_exceeded"),
        (of(413, "", "prompt is too long"), 400, "invalid_request_error", "context_length_exceeded"),
        (of(400, "content_filter", "Filtered"), 400, "invalid_request_error", "content_policy_violation"),
        (of(404, "", "model: claude-9"), 404, "invalid_request_error", "model_not_found"),
    ],
)  # fmt: skip
def test_what_openais_clients_know_by_a_code_has_it(error: LlmError, status: int, kind: str, code: str) -> None:
    found, body = written(Dialect.OPENAI, error)
    assert (found, body["error"]["type"], body["error"]["code"]) == (status, kind, code)


@pytest.mark.parametrize(
    ("error", "status", "kind", "text"),
    [
        (of(429, "insufficient_quota", "You exceeded your current quota"), 402, "billing_error", "You exceeded"),
        (of(400, "context_length_exceeded", "Far"), 400, "invalid_request_error", "prompt is too long: Far"),
        (of(400, "", "prompt is too long: 9 tokens"), 400, "invalid_request_error", "prompt is too long: 9 tokens"),
        (of(400, "content_filter", "Filtered"), 400, "invalid_request_error", "Filtered"),
        (of(403, "model_not_found", "No access"), 404, "not_found_error", "No access"),
    ],
)  # fmt: skip
def test_what_anthropics_clients_know_by_type_or_text_has_it(
    error: LlmError, status: int, kind: str, text: str
) -> None:
    found, body = written(Dialect.ANTHROPIC, error)
    assert (found, body["error"]["type"]) == (status, kind)
    assert body["error"]["message"].startswith(text)


def test_a_code_of_ours_stays() -> None:
    assert written(Dialect.OPENAI, of(503, "upstream_failed"))[1]["error"]["code"] == "upstream_failed"
    assert written(Dialect.ANTHROPIC, of(503, "upstream_failed"))[1]["error"]["code"] == "upstream_failed"


# What the SDKs make of it. They talk to a transport that answers from memory.


def openai_sdk(status: int, body: bytes, content_type: str = "application/json") -> openai.OpenAI:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=body, headers={"content-type": content_type})

    client = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(api_key="k", max_retries=0, http_client=client)


def anthropic_sdk(status: int, body: bytes, content_type: str = "application/json") -> anthropic.Anthropic:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=body, headers={"content-type": content_type})

    client = httpx2.Client(transport=httpx2.MockTransport(answer))
    return anthropic.Anthropic(api_key="k", max_retries=0, http_client=client)


def test_openais_sdk_takes_an_overloaded_anthropic_for_a_server_error() -> None:
    with (
        openai_sdk(*write_error(Dialect.OPENAI, OVERLOADED, "req-1")) as sdk,
        pytest.raises(openai.InternalServerError) as raised,
    ):
        sdk.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi."}])
    assert (raised.value.status_code, raised.value.code) == (503, "overloaded_error")


def test_openais_sdk_takes_a_low_credit_balance_for_its_own_quota() -> None:
    error = of(400, "", "Your credit balance is too low")
    with (
        openai_sdk(*write_error(Dialect.OPENAI, error, "req-1")) as sdk,
        pytest.raises(openai.RateLimitError) as raised,
    ):
        sdk.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi."}])
    assert raised.value.code == "insufficient_quota"


def test_anthropics_sdk_takes_an_unavailable_openai_for_overloaded() -> None:
    with (
        anthropic_sdk(*write_error(Dialect.ANTHROPIC, of(503, "", "Slow down"), "req-1")) as sdk,
        pytest.raises(anthropic.InternalServerError) as raised,
    ):
        sdk.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "Hi."}])
    assert (raised.value.status_code, raised.value.type) == (529, "overloaded_error")


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 429, 500, 503, 504, 529])
def test_anthropics_types_accept_it(status: int) -> None:
    ErrorResponse.model_validate(written(Dialect.ANTHROPIC, of(status, "some_code"))[1], strict=True)


def chunk(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    told = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return f"data: {json.dumps(told)}\n\n".encode()


def test_a_chat_that_breaks_raises_in_openais_sdk() -> None:
    stream = chunk("Hi") + error_event(Kind.CHAT, OVERLOADED)
    with openai_sdk(200, stream, "text/event-stream") as sdk:
        told = sdk.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi."}], stream=True)
        assert next(told).choices[0].delta.content == "Hi"
        with pytest.raises(openai.APIError) as raised:
            next(told)
    assert (raised.value.message, raised.value.code) == ("Overloaded", "overloaded_error")
    assert b"[DONE]" not in stream


def test_a_completion_that_breaks_raises_in_openais_sdk() -> None:
    stream = error_event(Kind.COMPLETIONS, OVERLOADED)
    with openai_sdk(200, stream, "text/event-stream") as sdk, pytest.raises(openai.APIError, match="Overloaded"):
        list(sdk.completions.create(model="m", prompt="Hi.", stream=True))


def test_a_response_that_breaks_raises_in_openais_sdk() -> None:
    stream = error_event(Kind.RESPONSES, OVERLOADED, sequence=4)
    with openai_sdk(200, stream, "text/event-stream") as sdk, pytest.raises(openai.APIError, match="Overloaded"):
        list(sdk.responses.create(model="m", input="Hi.", stream=True))


def test_a_responses_event_has_the_documented_fields() -> None:
    name, data = error_event(Kind.RESPONSES, OVERLOADED, sequence=4).decode().split("\n", 1)
    event = ResponseErrorEvent.model_validate_json(data.strip().removeprefix("data: "), strict=True)
    assert name == "event: error"
    assert (event.sequence_number, event.code, event.message) == (4, "overloaded_error", "Overloaded")


def test_a_message_that_breaks_raises_in_anthropics_sdk() -> None:
    stream = error_event(Kind.MESSAGES, of(503, "server_is_overloaded", "Slow down"))
    with anthropic_sdk(200, stream, "text/event-stream") as sdk, pytest.raises(anthropic.APIStatusError) as raised:
        list(sdk.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "Hi."}], stream=True))
    assert raised.value.type == "overloaded_error"
    assert stream.startswith(b"event: error\ndata: {")
    assert stream.endswith(b"}\n\n")


def test_a_text_with_line_ends_stays_in_its_event() -> None:
    event = error_event(Kind.MESSAGES, of(500, "", "one\ntwo\r\n\r\nthree"))
    assert event.count(b"\n") == 3
