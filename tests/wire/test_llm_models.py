"""The list of models, as the official SDKs read it through the sidecar from providers of both dialects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anthropic
import openai
import orjson
import pytest

from tests.kit.running import QUICK, running
from tests.kit.scripted import reply, scripted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.kit.running import Running

GPT = {"id": "gpt-4o", "object": "model", "created": 7, "owned_by": "system"}
CLAUDE = {"type": "model", "id": "claude", "display_name": "Claude", "created_at": "2025-01-01T00:00:00Z",
          "lifecycle": "active"}  # fmt: skip
DOWN = "http://127.0.0.1:1"


def said(document: dict[str, Any], status: str = "200 OK") -> bytes:
    return reply(status, "Content-Type: application/json", body=orjson.dumps(document))


OPENAI = said({"object": "list", "data": [GPT]})
ANTHROPIC = said({"data": [CLAUDE], "has_more": False, "first_id": "claude", "last_id": "claude"})


def policy(one: str, other: str, models: str = '[models.smart]\nchain = ["one/gpt-4o"]') -> str:
    return f"""
{QUICK}
[upstreams.one]
protocol = "openai"
url = "{one}/v1"
api_key = "sk-one"
[upstreams.other]
protocol = "anthropic"
url = "{other}/v1"
api_key = "sk-other"
[routes.llm]
match = {{ path = "/v1/*" }}
chain = ["one", "other"]
{models}
"""


@pytest.fixture
async def sidecar() -> AsyncIterator[Running]:
    async with scripted(OPENAI) as one, scripted(ANTHROPIC) as other, running(policy(one.url, other.url)) as started:
        yield started


async def test_openais_sdk_lists_them_all(sidecar: Running) -> None:
    async with openai.AsyncOpenAI(base_url=f"{sidecar.url}/v1", api_key="mine", max_retries=0) as client:
        models = [model async for model in client.models.list()]
        smart = await client.models.retrieve("smart")
    assert [(model.id, model.owned_by, model.created) for model in models] == [
        ("smart", "sidecar", 0),
        ("gpt-4o", "system", 7),
        ("claude", "other", 1735689600),
    ]
    assert smart == models[0]


async def test_anthropics_sdk_goes_through_them_page_by_page(sidecar: Running) -> None:
    async with anthropic.AsyncAnthropic(base_url=sidecar.url, api_key="mine", max_retries=0) as client:
        models = [model async for model in client.models.list(limit=1)]
        smart = await client.models.retrieve("smart")
    assert [(model.id, model.display_name) for model in models] == [
        ("smart", "smart"),
        ("gpt-4o", "gpt-4o"),
        ("claude", "Claude"),
    ]
    assert smart == models[0]


async def test_each_provider_is_asked_with_its_own_key() -> None:
    async with (
        scripted(OPENAI) as one,
        scripted(ANTHROPIC) as other,
        running(policy(one.url, other.url)) as sidecar,
    ):
        await sidecar.ask("/v1/models", "Authorization: Bearer mine", "x-api-key: mine")
        first, second = one.fields(), other.fields()
    assert (first["authorization"], "x-api-key" in first) == ("Bearer sk-one", False)
    assert (second["x-api-key"], second["anthropic-version"]) == ("sk-other", "2023-06-01")
    assert "authorization" not in second


async def test_a_provider_that_is_down_takes_only_its_own_models_along() -> None:
    async with scripted(OPENAI) as one, running(policy(one.url, DOWN)) as sidecar:
        found = orjson.loads((await sidecar.ask("/v1/models")).body)
    assert [entry["id"] for entry in found["data"]] == ["smart", "gpt-4o"]


async def test_a_model_that_no_provider_knows_is_not_found() -> None:
    missing = said({"error": {"message": "no such model", "code": "model_not_found"}}, "404 Not Found")
    async with (
        scripted(missing) as one,
        running(policy(one.url, DOWN)) as sidecar,
        openai.AsyncOpenAI(base_url=f"{sidecar.url}/v1", api_key="mine", max_retries=0) as client,
    ):
        with pytest.raises(openai.NotFoundError, match="no such model"):
            await client.models.retrieve("gpt-9")
