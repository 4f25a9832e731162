"""What both stand-in providers have in common: scripts, faults and whom they meet, counts, life and death."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anthropic
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.standins.anthropic import AnthropicStandin
from sidecar.standins.llm_answers import Answer
from sidecar.standins.llm_faults import HEALTHY, Fault, Kind
from sidecar.standins.llm_limits import Limits
from sidecar.standins.llm_provider import LARGEST, ApiError, Provider, Seen
from sidecar.standins.openai import OpenAIStandin
from tests.kit.caller import PATIENCE
from tests.kit.llm_caller import (
    CLAUDE,
    GPT,
    OLDER,
    anthropic_client,
    bytes_of,
    chat,
    message,
    openai_client,
)

OF_OPENAI: Any = {"model": GPT, "messages": [{"role": "user", "content": "hi"}]}
OF_ANTHROPIC: Any = {"model": CLAUDE, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def status(number: int, code: str = "", **more: Any) -> Fault:
    return Fault(Kind.STATUS, status=number, code=code, **more)


@pytest.mark.parametrize(
    ("fault", "raised", "code"),
    [
        (status(400, "context_length_exceeded"), openai.BadRequestError, "context_length_exceeded"),
        (status(400, "content_policy_violation"), openai.BadRequestError, "content_policy_violation"),
        (status(401), openai.AuthenticationError, "invalid_api_key"),
        (status(402), openai.APIStatusError, "billing_hard_limit_reached"),
        (status(403), openai.PermissionDeniedError, "unsupported_country_region_territory"),
        (status(404), openai.NotFoundError, "model_not_found"),
        (status(408), openai.APIStatusError, "request_timeout"),
        (status(409), openai.ConflictError, "conflict"),
        (status(413), openai.APIStatusError, "request_too_large"),
        (status(422), openai.UnprocessableEntityError, "unprocessable_entity"),
        (status(429), openai.RateLimitError, "rate_limit_exceeded"),
        (status(429, "insufficient_quota"), openai.RateLimitError, "insufficient_quota"),
        (status(500), openai.InternalServerError, "server_error"),
        (status(503), openai.InternalServerError, None),
        (status(503, "slow_down"), openai.InternalServerError, "slow_down"),
        (status(504), openai.InternalServerError, None),
        (status(529), openai.InternalServerError, None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_openai_s_client_knows_each_refusal(
    fault: Fault, raised: type[openai.APIStatusError], code: str | None, stream: bool
) -> None:
    async with openai_client(OpenAIStandin(fault=fault)) as caller:
        with pytest.raises(raised) as refused:
            await caller.chat.completions.create(**OF_OPENAI, stream=stream)
    assert (refused.value.status_code, refused.value.code) == (fault.status, code)
    assert refused.value.request_id == "req_openai_1"


@pytest.mark.parametrize(
    ("fault", "raised", "type_"),
    [
        (status(400, "context_length_exceeded"), anthropic.BadRequestError, "invalid_request_error"),
        (status(400, "credit_balance_too_low"), anthropic.BadRequestError, "invalid_request_error"),
        (status(401), anthropic.AuthenticationError, "authentication_error"),
        (status(402), anthropic.APIStatusError, "billing_error"),
        (status(403), anthropic.PermissionDeniedError, "permission_error"),
        (status(404), anthropic.NotFoundError, "not_found_error"),
        (status(408), anthropic.APIStatusError, "timeout_error"),
        (status(409), anthropic.ConflictError, "conflict_error"),
        (status(413), anthropic.APIStatusError, "request_too_large"),
        (status(422), anthropic.UnprocessableEntityError, "invalid_request_error"),
        (status(429), anthropic.RateLimitError, "rate_limit_error"),
        (status(429, "insufficient_quota"), anthropic.RateLimitError, "rate_limit_error"),
        (status(500), anthropic.InternalServerError, "api_error"),
        (status(503), anthropic.InternalServerError, "api_error"),
        (status(504), anthropic.InternalServerError, "timeout_error"),
        (status(529), anthropic.InternalServerError, "overloaded_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_anthropic_s_client_knows_each_refusal(
    fault: Fault, raised: type[anthropic.APIStatusError], type_: str, stream: bool
) -> None:
    async with anthropic_client(AnthropicStandin(fault=fault)) as caller:
        with pytest.raises(raised) as refused:
            await caller.messages.create(**OF_ANTHROPIC, stream=stream)
    body: Any = refused.value.body
    assert (refused.value.status_code, body["error"]["type"]) == (fault.status, type_)
    assert refused.value.request_id == body["request_id"] == "req_anthropic_1"


async def test_it_says_when_to_come_back_as_it_was_told_to() -> None:
    async with OpenAIStandin(fault=status(429, retry_after="3", retry_after_ms="2500")) as provider:
        told = await bytes_of(provider, chat())
        assert (told.field("retry-after"), told.field("retry-after-ms")) == ("3", "2500")
        await provider.switch(status(429))
        assert "retry-after" not in (await bytes_of(provider, chat())).head.decode().lower()


async def test_an_error_may_be_the_first_event_of_a_200() -> None:
    fault = Fault(Kind.ERROR_FIRST, status=429, code="insufficient_quota")
    async with openai_client(OpenAIStandin(fault=fault)) as caller:
        stream = await caller.chat.completions.create(**OF_OPENAI, stream=True)
        with pytest.raises(openai.APIError, match="You exceeded your current quota"):
            await anext(aiter(stream))
    async with anthropic_client(AnthropicStandin(fault=Fault(Kind.ERROR_FIRST, status=529))) as caller_:
        events = await caller_.messages.create(**OF_ANTHROPIC, stream=True)
        with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
            await anext(aiter(events))
    async with OpenAIStandin(fault=fault) as provider:
        told = await bytes_of(provider, chat())
    assert (told.status, json.loads(told.body)["error"]["code"]) == (200, "insufficient_quota")


async def test_an_error_may_come_in_the_middle_and_nothing_after_it() -> None:
    fault = Fault(Kind.ERROR_INSIDE, tokens=2, status=529)
    async with anthropic_client(AnthropicStandin(fault=fault)) as caller:
        stream = aiter(await caller.messages.create(**OF_ANTHROPIC, stream=True))
        kinds = [(await anext(stream)).type for _ in range(4)]
        with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
            await anext(stream)
    assert kinds == ["message_start", "content_block_start", "content_block_delta", "content_block_delta"]


async def test_an_event_that_is_no_json_may_come_in_the_middle() -> None:
    async with AnthropicStandin(fault=Fault(Kind.MALFORMED, tokens=1)) as provider:
        chunks, ended = (await bytes_of(provider, message("hi", stream=True))).chunks
    assert chunks[4] == b'event: content_block_delta\ndata: {"broken": \n\n'
    assert ended
    assert len(chunks) == 10


async def test_scripted_answers_go_to_those_who_ask_a_model_and_meet_no_refusal() -> None:
    async with OpenAIStandin(fault=Fault(Kind.STATUS, times=1)) as provider:
        provider.script("First.", Answer("Second.", fault=Fault(Kind.SLOW, delay=0)), "Third.")
        assert (await bytes_of(provider, chat())).status == 500
        assert (await bytes_of(provider, b"", "/v1/models", "GET")).status == 200
        told = [json.loads((await bytes_of(provider, chat())).body) for _ in range(3)]
    assert [one["choices"][0]["message"]["content"] for one in told] == ["First.", "Second.", "Third."]
    assert [seen.fault.kind for seen in provider.requests] == ["status", "none", "none", "slow", "none"]
    assert (provider.count, provider.faulty) == (5, 2)


@pytest.mark.parametrize(
    ("fault", "met"),
    [
        (status(500, share=0.5), [200, 500, 200, 500]),
        (status(500, times=2), [500, 500, 200, 200]),
        (status(500, times=1, share=0.5), [200, 500, 200, 200]),
        (status(500, model="gpt-4o-mini"), [200, 200, 200, 200]),
        (status(500, model=GPT, times=1), [500, 200, 200, 200]),
    ],
)
async def test_a_fault_meets_whom_it_should(fault: Fault, met: list[int]) -> None:
    async with OpenAIStandin(fault=fault) as provider:
        assert [(await bytes_of(provider, chat())).status for _ in range(4)] == met


async def test_dead_nobody_listens_and_it_comes_back_at_the_same_port() -> None:
    async with OpenAIStandin(fault=Fault(Kind.DEAD)) as provider:
        with pytest.raises(ConnectionRefusedError):
            await bytes_of(provider, chat())
        await provider.switch(Fault(Kind.DEAD, lasts=0.05))
        async with asyncio.timeout(PATIENCE):
            while provider.fault is not HEALTHY:  # noqa: ASYNC110  (nothing tells of it)
                await asyncio.sleep(0)
        assert (await bytes_of(provider, chat())).status == 200


async def test_it_notes_who_came_and_who_left() -> None:
    async with AnthropicStandin(fault=Fault(Kind.SLOW, delay=3600)) as provider:
        asking = asyncio.ensure_future(bytes_of(provider, message(), fields={"X-Two": "1", "x-two": "2"}))
        async with asyncio.timeout(PATIENCE):
            await provider.arrived.wait()
            asking.cancel()
            await provider.left.wait()
    assert (provider.count, provider.abandoned) == (1, 1)
    assert provider.requests[0].header("ANTHROPIC-VERSION") == OLDER["anthropic-version"]
    assert provider.requests[0].header("x-TWO") == "1, 2"
    assert json.loads(provider.requests[0].raw) == provider.requests[0].body == message()


@pytest.mark.parametrize(
    ("field", "sent", "status_"),
    [("Accept-Encoding", "gzip", 406), ("Content-Encoding", "gzip", 415), ("Accept-Encoding", "identity", 200)],
)
async def test_it_may_take_no_compression(field: str, sent: str, status_: int) -> None:
    async with OpenAIStandin(fault=Fault(Kind.IDENTITY_ONLY)) as provider:
        # aiohttp's parser would undo the coding of a body; a bare GET has none.
        told = await bytes_of(provider, b"", "/v1/models", "GET", {field: sent})
    assert told.status == status_


async def test_a_request_that_is_too_large_is_told_so() -> None:
    async with AnthropicStandin() as provider:
        told = await bytes_of(provider, b'{"model": "' + b"x" * LARGEST + b'"}')
    assert told.status == 413
    assert b"request_too_large" in told.body


async def test_over_its_limit_it_says_how_long_to_wait() -> None:
    clock = iter([*[100.0] * 20, *[130.0] * 20])
    limits = Limits(requests=1, window=30, clock=lambda: 100.0)
    async with OpenAIStandin(limits=limits, clock=lambda: next(clock)) as provider:
        assert (await bytes_of(provider, chat())).status == 200
        told = await bytes_of(provider, chat())
    assert told.status == 429
    assert (told.field("retry-after"), told.field("x-ratelimit-remaining-requests")) == ("30", "0")
    assert told.field("x-ratelimit-reset-requests") == "30s"


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (Kind.USAGE_NEVER, [False, False]),
        (Kind.USAGE_NULL, [True, None]),
        (Kind.USAGE_EACH, [True, {"prompt_tokens": 4, "completion_tokens": 0, "total_tokens": 4}]),
    ],
)
async def test_usage_may_come_in_other_ways(kind: Kind, told: list[Any]) -> None:
    async with OpenAIStandin(fault=Fault(kind)) as provider:
        chunks, _ = (await bytes_of(provider, chat("hi", stream=True))).chunks
        whole = json.loads((await bytes_of(provider, chat("hi"))).body)
    first = json.loads(chunks[0].removeprefix(b"data: "))
    usage = first.get("usage", False)
    shown = {name: usage[name] for name in told[1]} if isinstance(told[1], dict) else usage
    assert ["usage" in first, shown] == told
    assert bool(whole.get("usage")) is (kind is Kind.USAGE_EACH)


async def test_an_anthropic_stream_may_have_no_names_no_reason_and_no_end() -> None:
    async with AnthropicStandin(fault=Fault(Kind.NAMELESS)) as provider:
        assert b"event:" not in (await bytes_of(provider, message(stream=True))).body
        await provider.switch(Fault(Kind.NO_FINISH))
        assert b"message_delta" not in (await bytes_of(provider, message(stream=True))).body
        assert json.loads((await bytes_of(provider, message())).body)["stop_reason"] is None
        await provider.switch(Fault(Kind.NO_DONE))
        assert b"message_stop" not in (await bytes_of(provider, message(stream=True))).body


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
CONTENT = JSON | st.lists(st.fixed_dictionaries({"type": st.sampled_from(["text", "tool_use"]) | JSON, "text": JSON}))
TURN = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool"]) | JSON, "content": CONTENT},
    optional={"tool_calls": JSON | st.lists(st.fixed_dictionaries({"id": JSON})), "tool_call_id": JSON},
)
TOOL = st.fixed_dictionaries(
    {"type": st.just("function"), "name": JSON},
    optional={"function": JSON | st.fixed_dictionaries({"name": JSON, "parameters": JSON}), "input_schema": JSON},
)
MEMBERS = {
    "tools": JSON | st.lists(TOOL, max_size=2),
    "tool_choice": JSON | st.fixed_dictionaries({"type": JSON, "function": JSON, "name": JSON}),
    "stream": st.booleans(),
    "stream_options": JSON,
    "response_format": JSON | st.fixed_dictionaries({"type": JSON, "json_schema": JSON}),
    "text": JSON | st.fixed_dictionaries({"format": JSON}),
    "output_config": JSON | st.fixed_dictionaries({"format": JSON}),
    "thinking": JSON,
    "system": JSON,
    "n": st.integers(-1, 2),
    "stop": JSON,
    "instructions": JSON,
    "dimensions": st.integers(-1, 3),
}


@given(
    document=st.fixed_dictionaries(
        {"max_tokens": st.just(9), "messages": JSON | st.lists(TURN | JSON, max_size=3), "prompt": JSON, "input": JSON},
        optional=MEMBERS,
    ),
    path=st.sampled_from(
        ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/moderations"]
    ),
)
def test_no_request_makes_either_fall_over(document: dict[str, Any], path: str) -> None:
    fields = tuple(OLDER.items())
    for provider, where in ((OpenAIStandin(models=[]), path), (AnthropicStandin(models=[]), "/v1/messages")):
        assert isinstance(provider, Provider)
        seen = Seen("POST", where, "", fields, b"", {"model": "any", **document}, 0)
        try:
            provider.reply(seen, None, HEALTHY)
        except ApiError as error:
            told = error.status
            assert told < 500
