"""The stand-in for OpenAI as a whole: its paths, its keys, its headers."""

from __future__ import annotations

import openai
import pytest

from sidecar.standins.openai import OpenAIStandin, duration, operation, serve
from tests.kit.llm_caller import GPT, bytes_of, chat, openai_client


async def test_a_wrong_key_is_told_so() -> None:
    async with openai_client(OpenAIStandin(key="sk-right"), key="sk-wrong") as caller:
        with pytest.raises(openai.AuthenticationError) as refused:
            await caller.models.list()
    assert refused.value.code == "invalid_api_key"


async def test_an_unknown_model_is_told_so_on_each_operation() -> None:
    async with openai_client(OpenAIStandin(models=["mine"])) as caller:
        assert (await caller.models.retrieve("mine")).id == "mine"
        for call in (
            caller.models.retrieve(GPT),
            caller.chat.completions.create(model=GPT, messages=[{"role": "user", "content": "hi"}]),
            caller.completions.create(model=GPT, prompt="hi"),
            caller.embeddings.create(model=GPT, input="hi"),
            caller.responses.create(model=GPT, input="hi"),
            caller.moderations.create(model=GPT, input="hi"),
        ):
            with pytest.raises(openai.NotFoundError) as refused:
                await call
            assert refused.value.code == "model_not_found"
            assert refused.value.type == "invalid_request_error"


async def test_without_a_list_of_models_it_has_them_all() -> None:
    async with OpenAIStandin(models=[]) as provider:
        assert (await bytes_of(provider, {**chat(), "model": "llama3"})).status == 200


@pytest.mark.parametrize(
    ("method", "path", "document", "status", "told"),
    [
        ("POST", "/v1/nothing", {}, 404, b"Invalid URL (POST /v1/nothing)"),
        ("GET", "/v1/chat/completions", {}, 405, b"method_not_supported"),
        ("POST", "/v1/chat/completions", b"{", 400, b"could not parse the JSON body"),
        ("POST", "/v1/chat/completions", [], 400, b"could not parse the JSON body"),
        ("POST", "/v1/chat/completions", {}, 400, b"you must provide a model parameter"),
        ("POST", "/v1/chat/completions", {"model": GPT}, 400, b"Missing required parameter: 'messages'."),
        ("POST", "/v1/completions", {"model": GPT}, 400, b"Missing required parameter: 'prompt'."),
        ("POST", "/v1/responses", {"model": GPT}, 400, b"Missing required parameter: 'input'."),
        ("POST", "/v1/embeddings", {"model": GPT}, 400, b"Missing required parameter: 'input'."),
    ],
)
async def test_what_it_does_not_understand_it_refuses_in_its_own_shape(
    method: str, path: str, document: object, status: int, told: bytes
) -> None:
    async with OpenAIStandin() as provider:
        answer = await bytes_of(provider, document, path, method)
    assert answer.status == status
    assert answer.body.startswith(b'{"error":{"message":"')
    assert told in answer.body


async def test_a_tool_that_nobody_called_has_no_result() -> None:
    messages = [{"role": "user", "content": "hi"}, {"role": "tool", "tool_call_id": "call_1", "content": "rain"}]
    async with OpenAIStandin() as provider:
        answer = await bytes_of(provider, {"model": GPT, "messages": messages})
    assert answer.status == 400
    assert b"must be a response to a preceding message with 'tool_calls'" in answer.body


@pytest.mark.parametrize("fields", [{"Authorization": "Bearer sk-right"}, {"api-key": "sk-right"}])
async def test_its_key_may_come_in_either_field(fields: dict[str, str]) -> None:
    async with OpenAIStandin(key="sk-right") as provider:
        assert (await bytes_of(provider, chat(), fields=fields)).status == 200
        azure = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
        assert (await bytes_of(provider, {**chat(), "model": ""}, azure, fields=fields)).status == 200
    assert provider.requests[-1].query == "api-version=2024-10-21"


async def test_every_reply_has_its_id_and_what_is_left_of_the_limits() -> None:
    async with OpenAIStandin(clock=lambda: 1000.0) as provider:
        first, second = [await bytes_of(provider, chat()) for _ in range(2)]
    assert (first.field("x-request-id"), second.field("x-request-id")) == ("req_openai_1", "req_openai_2")
    assert first.field("openai-processing-ms") == "1"
    assert first.field("x-ratelimit-limit-requests") == "10000"
    left = [told.field("x-ratelimit-remaining-requests") for told in (first, second)]
    assert left == ["9999", "9998"]
    assert first.field("x-ratelimit-reset-requests") == "1m0s"


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.012, "12ms"), (1, "1s"), (1.5, "1.5s"), (59.9999, "60s"), (360, "6m0s"), (61.2, "1m1s")]
)
def test_a_duration_is_written_as_openai_does(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_an_operation_is_known_with_and_without_its_prefix() -> None:
    paths = ["/v1/responses", "/responses", "/openai/v1/responses", "/openai/deployments/gpt-4o/responses"]
    assert {operation(path) for path in paths} == {"/responses"}


async def test_one_can_be_had_that_has_started() -> None:
    provider = await serve()
    assert (await bytes_of(provider, b"", "/v1/models", "GET")).status == 200
    await provider.stop()
