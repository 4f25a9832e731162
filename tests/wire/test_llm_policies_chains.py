"""Chains of LLM targets: weights, addresses, strict translation, a last static link, and whose route a call takes."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.standins.anthropic import AnthropicStandin
from sidecar.standins.llm_faults import Fault, Kind
from sidecar.standins.openai import OpenAIStandin
from tests.kit.addresses import free_port
from tests.kit.llm_raw import VERSION, chats, code_of, error_of, messages, route_of, text_of
from tests.kit.llm_stage import CLAUDE_FIRST, CLAUDE_ONLY, GPT_ONLY, SAID, stage
from tests.kit.running import QUICK, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.kit.running import Running

SORRY = """
[static.sorry]
status = 503
headers = { content-type = "application/json" }
body = '{"error": {"message": "all providers are down"}}'
"""


def policy(gpt: Sequence[str], claude: str, routes: str, retry: str = "tries = 1") -> str:
    """Both providers, the first at these addresses, and the routes that a test is about."""
    return f"""{QUICK}{retry}
[upstreams.gpt]
protocol = "openai"
urls = {json.dumps(list(gpt))}
api_key = "sk-ours"
[upstreams.claude]
protocol = "anthropic"
url = "{claude}"
api_key = "sk-ours"
{routes}
{SORRY}
"""


@asynccontextmanager
async def served(
    routes: str, models: tuple[str, ...] | None = None
) -> AsyncIterator[tuple[Running, OpenAIStandin, AnthropicStandin]]:
    """A sidecar with these routes before both providers."""
    async with (
        OpenAIStandin(models=models) as o,
        AnthropicStandin(models=models) as a,
        running(policy([o.api], a.api, routes)) as sidecar,
    ):
        yield sidecar, o, a


async def timeline(sidecar: Running, request_id: str) -> list[tuple[str, str, str]]:
    """What happened to a call: kind of step, target, outcome."""
    assert sidecar.daemon.view is not None
    told: Any = sidecar.daemon.view.timeline(request_id)
    return [(step["kind"], step["target"], step["outcome"]) for step in told["steps"]]


async def test_traffic_is_split_by_weight_across_dialects_and_falls_back_to_the_other() -> None:
    routes = """[routes.llm]
match = { path = "/v1/*" }
traffic = [{ upstream = "gpt", weight = 1 }, { upstream = "claude", weight = 1 }]
"""
    async with served(routes, models=()) as (sidecar, o, a):
        for _ in range(40):
            assert text_of(await chats(sidecar, "any")) == SAID
        assert (o.count > 5, a.count > 5, o.count + a.count) == (True, True, 40)
        await o.switch(Fault(Kind.STATUS, status=500))
        assert {(await chats(sidecar, "any")).fields["x-sidecar-upstream"] for _ in range(4)} == {"claude"}


async def test_of_several_addresses_a_dead_one_is_no_matter() -> None:
    routes = '[routes.llm]\nmatch = { path = "/v1/*" }\nchain = ["gpt"]\n'
    async with OpenAIStandin() as one, OpenAIStandin() as two, AnthropicStandin() as a:
        dead = f"http://127.0.0.1:{free_port()}/v1"
        retry = "tries = 3\nbudget_min_per_second = 1000"
        async with running(policy([one.api, two.api, dead], a.api, routes, retry)) as sidecar:
            assert {(await chats(sidecar, "gpt-4o")).status for _ in range(30)} == {200}
            assert (one.count > 5, two.count > 5, one.count + two.count) == (True, True, 30)
            stream = await chats(sidecar, "gpt-4o", stream=True)
            assert stream.body.endswith(b"data: [DONE]\n\n")


async def test_strict_translation_skips_who_would_lose_a_field() -> None:
    async with stage(route='translation = "strict"') as s:
        answer = await chats(s.sidecar, CLAUDE_FIRST, "X-Request-ID: i-1", seed=4)
        assert (route_of(answer), s.counts) == (("openai", "1"), (1, 0))
        assert "x-sidecar-dropped" not in answer.fields
        steps = await timeline(s.sidecar, "i-1")
        assert steps[0] == ("skip", "anthropic/claude-sonnet-4-6", "not_translatable")
        refused = await chats(s.sidecar, CLAUDE_ONLY, seed=4)
        assert code_of(refused) == (400, "not_translatable")
        assert "seed" in error_of(refused)["message"]
        assert (await chats(s.sidecar, CLAUDE_ONLY)).status == 200


async def test_lenient_translation_names_what_it_left_out() -> None:
    async with stage() as s:
        answer = await chats(s.sidecar, CLAUDE_ONLY, seed=4, logit_bias={"1": 1})
        assert set(answer.fields["x-sidecar-dropped"].split(", ")) == {"seed", "logit_bias"}


async def test_who_has_no_key_of_its_own_is_skipped_for_a_caller_of_the_other_dialect() -> None:
    async with stage(anthropic_keys='api_key = ""') as s:
        answer = await chats(s.sidecar, CLAUDE_FIRST, "Authorization: Bearer mine", "X-Request-ID: i-1")
        assert route_of(answer) == ("openai", "1")
        steps = await timeline(s.sidecar, "i-1")
        assert [(kind, outcome) for kind, _, outcome in steps] == [("skip", "no_credential"), ("attempt", "ok")]
        assert code_of(await chats(s.sidecar, CLAUDE_ONLY)) == (400, "not_translatable")
        own = await messages(s.sidecar, CLAUDE_ONLY, "x-api-key: mine")
        assert (own.status, s.anthropic.requests[0].header("x-api-key")) == (200, "mine")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_static_link_at_the_end_answers_whatever_came_before(stream: bool) -> None:
    routes = """[routes.llm]
match = { path = "/v1/*" }
chain = ["gpt", "static/sorry"]
[models.both]
chain = ["gpt/gpt-4o", "claude/claude-sonnet-4-6", "static/sorry"]
"""
    async with served(routes) as (sidecar, o, a):
        for provider in (o, a):
            await provider.switch(Fault(Kind.STATUS, status=429, retry_after="600"))
        for model in ("both", "gpt-4.1", "both"):
            answer = await chats(sidecar, model, stream=stream)
            assert (answer.status, error_of(answer)) == (503, {"message": "all providers are down"})
            assert answer.fields["x-sidecar-upstream"] == "static"
        assert (o.count, a.count) == (2, 1)


async def test_a_model_that_only_the_caller_named_is_the_callers_mistake() -> None:
    routes = '[routes.llm]\nmatch = { path = "/v1/*" }\nchain = ["gpt", "static/sorry"]\n'
    async with served(routes) as (sidecar, *_):
        assert code_of(await chats(sidecar, "gpt-9")) == (404, "model_not_found")


async def test_anthropics_clients_have_a_route_of_their_own() -> None:
    async with stage() as s:
        by_claude = await s.sidecar.ask("/v1/models/claude-sonnet-4-6", VERSION)
        chat = await chats(s.sidecar, "gpt-4o")
        told = await messages(s.sidecar, "claude-sonnet-4-6")
        assert [answer.fields["x-sidecar-route"] for answer in (by_claude, chat, told)] == [
            "anthropic",
            "llm",
            "anthropic",
        ]
        assert s.anthropic.requests[-1].header("x-api-key") == "sk-ours-anthropic"


async def test_the_list_of_models_has_those_of_the_file_and_of_every_provider() -> None:
    routes = """[routes.llm]
match = { path = "/v1/*" }
chain = ["gpt", "claude"]
[models.smart]
chain = ["gpt/gpt-4o"]
"""
    async with served(routes) as (sidecar, o, a):
        openai = json.loads((await sidecar.ask("/v1/models")).body)
        anthropic = json.loads((await sidecar.ask("/v1/models?limit=1000", VERSION)).body)
        names = ["smart", *o.models, *a.models]
        assert [model["id"] for model in openai["data"]] == names
        assert {model["object"] for model in openai["data"]} == {"model"}
        assert [model["id"] for model in anthropic["data"]] == names
        assert {model["type"] for model in anthropic["data"]} == {"model"}


async def test_infer_is_what_its_body_says() -> None:
    async with stage() as s:
        asked = [
            {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]},
            {"model": "gpt-3.5-turbo-instruct", "prompt": "hi"},
            {"model": "text-embedding-3-small", "input": "hi"},
        ]
        for body in asked:
            answer = await s.sidecar.ask("/v1/infer", method="POST", body=json.dumps(body).encode())
            assert answer.status == 200, answer.body
        paths = [seen.path.removeprefix("/v1/") for seen in s.openai.requests]
        assert paths == ["chat/completions", "completions", "embeddings"]
        neither = await s.sidecar.ask("/v1/infer", method="POST", body=b'{"model": "gpt-4o"}')
        assert code_of(neither) == (400, "invalid_request")
        assert GPT_ONLY not in {seen.model for seen in s.openai.requests}
