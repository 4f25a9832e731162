"""The stand-in for Anthropic as a whole: its paths, its keys, its headers."""

from __future__ import annotations

import anthropic
import pytest

from sidecar.standins.anthropic import AnthropicStandin, serve
from tests.kit.llm_caller import CLAUDE, anthropic_client, bytes_of, message


async def test_a_wrong_key_is_told_so() -> None:
    async with anthropic_client(AnthropicStandin(key="sk-right"), key="sk-wrong") as caller:
        with pytest.raises(anthropic.AuthenticationError) as refused:
            await caller.models.list()
    assert refused.value.body == {
        "type": "error",
        "error": {"type": "authentication_error", "message": "invalid x-api-key"},
        "request_id": "req_anthropic_1",
    }
    assert refused.value.request_id == "req_anthropic_1"


@pytest.mark.parametrize("fields", [{"x-api-key": "sk-right"}, {"Authorization": "Bearer sk-right"}])
async def test_its_key_may_come_in_either_field(fields: dict[str, str]) -> None:
    async with AnthropicStandin(key="sk-right") as provider:
        assert (await bytes_of(provider, message(), fields=fields)).status == 200


async def test_an_unknown_model_is_told_so() -> None:
    async with anthropic_client(AnthropicStandin(models=["mine"])) as caller:
        assert (await caller.models.retrieve("mine")).display_name == "Mine"
        for call in (
            caller.models.retrieve(CLAUDE),
            caller.messages.create(model=CLAUDE, max_tokens=1, messages=[{"role": "user", "content": "hi"}]),
            caller.messages.count_tokens(model=CLAUDE, messages=[{"role": "user", "content": "hi"}]),
        ):
            with pytest.raises(anthropic.NotFoundError, match=f"model: {CLAUDE}"):
                await call


async def test_it_lists_its_models_and_counts_tokens_as_it_bills_them() -> None:
    async with anthropic_client(AnthropicStandin()) as caller:
        listed = [model.id async for model in await caller.models.list()]
        assert CLAUDE in listed
        counted = await caller.messages.count_tokens(model=CLAUDE, messages=[{"role": "user", "content": "hi there"}])
    assert counted.input_tokens == 5


@pytest.mark.parametrize("version", ["", "2020-01-01", "latest"])
async def test_it_needs_a_version_that_it_knows(version: str) -> None:
    async with AnthropicStandin() as provider:
        told = await bytes_of(provider, message(), fields={"anthropic-version": version})
    assert told.status == 400
    assert b"anthropic-version: " in told.body


@pytest.mark.parametrize(
    ("method", "path", "document", "status", "told"),
    [
        ("POST", "/v1/nothing", {}, 404, b"not_found_error"),
        ("GET", "/v1/messages", {}, 405, b"Method Not Allowed"),
        ("POST", "/v1/messages", b"{", 400, b"not valid JSON"),
        ("POST", "/v1/messages", [], 400, b"not valid JSON"),
        ("POST", "/v1/messages", {}, 400, b"model: Field required"),
    ],
)
async def test_what_it_does_not_understand_it_refuses_in_its_own_shape(
    method: str, path: str, document: object, status: int, told: bytes
) -> None:
    async with AnthropicStandin() as provider:
        answer = await bytes_of(provider, document, path, method)
    assert answer.status == status
    assert answer.body.startswith(b'{"type":"error","error":{"type":"')
    assert told in answer.body


async def test_every_reply_has_its_id_and_what_is_left_of_the_limits() -> None:
    async with AnthropicStandin(clock=lambda: 1_700_000_000.0) as provider:
        first, second = [await bytes_of(provider, message()) for _ in range(2)]
    assert (first.field("request-id"), second.field("request-id")) == ("req_anthropic_1", "req_anthropic_2")
    left = [told.field("anthropic-ratelimit-requests-remaining") for told in (first, second)]
    assert left == ["9999", "9998"]
    assert first.field("anthropic-ratelimit-tokens-limit") == "2000000"
    assert first.field("anthropic-ratelimit-input-tokens-reset") == "2023-11-14T22:14:20Z"


async def test_one_can_be_had_that_has_started() -> None:
    provider = await serve()
    assert (await bytes_of(provider, b"", "/v1/models", "GET")).status == 200
    await provider.stop()
