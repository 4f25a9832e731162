"""Routes and targets, compiled: what the engine reads of the policy file's LLM keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.llm import LlmOptions
from sidecar.policy.classify import GIVE_UP_AFTER
from sidecar.policy.rest import Rest, Rests
from sidecar.runtime import Runtime, build
from sidecar.surroundings import Surroundings
from sidecar.telemetry.start import telemetry_to
from sidecar.upstreams.models_list import ModelsList
from tests.kit.policy_file import load
from tests.kit.running import Log, one
from tests.kit.stage import a_call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sidecar.engine.route import Llm, Route, Target

    Make = Callable[[str], Awaitable[Runtime]]

LLM = """
[upstreams.openai]
protocol = "openai"
url = "http://127.0.0.1:1/v1"
{openai}
[upstreams.anthropic]
protocol = "anthropic"
url = "http://127.0.0.1:2/v1"
api_key = "ours"
{anthropic}
[routes.llm]
match = {{ path = "/v1/*" }}
chain = ["openai", "anthropic"]
{route}
[models.smart]
chain = ["openai/gpt-4o", {{ upstream = "anthropic", model = "claude", prefill = true }}]
[models."gpt-4o"]
chain = ["openai/gpt-4o"]
"""


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    log, made = Log(), []
    around = Surroundings(telemetry_to(log, version="0"), {}, b"1.1 sidecar-test")

    async def build_one(policy: str) -> Runtime:
        made.append(await build(load(policy).settings, around))
        return made[-1]

    yield build_one
    for runtime in made:
        await runtime.aclose()
    log.close()


def policy(*, openai: str = "", anthropic: str = "", route: str = "") -> str:
    return LLM.format(openai=openai, anthropic=anthropic, route=route)


def llm_of(runtime: Runtime) -> tuple[Route, Llm]:
    (route,) = runtime.routes
    assert route.llm is not None
    return route, route.llm


def both(runtime: Runtime) -> tuple[Target, Target]:
    """The targets of `smart`."""
    openai, anthropic = llm_of(runtime)[1].chains["smart"]
    return openai, anthropic


async def test_a_route_to_http_upstreams_asks_nothing(make: Make) -> None:
    runtime = await make(one("http://127.0.0.1:1"))
    (route,) = runtime.routes
    (target,) = route.targets
    assert (route.llm, type(target.rest), target.own_credential, target.first_token) == (None, Rest, True, 0.0)
    assert (target.rules.give_up_after, target.rules.give_up_on_reasoning) == (GIVE_UP_AFTER, GIVE_UP_AFTER)


async def test_chains_by_model_and_those_that_the_file_names_elsewhere(make: Make) -> None:
    route, llm = llm_of(await make(policy()))
    assert [target.name for target in route.targets] == ["openai", "anthropic"]
    assert {name: [target.name for target in chain] for name, chain in llm.chains.items()} == {
        "smart": ["openai/gpt-4o", "anthropic/claude"],
        "gpt-4o": ["openai/gpt-4o"],
    }
    assert {name: [target.service.name for target in chain] for name, chain in llm.known.items()} == {
        "claude": ["openai/*", "anthropic/claude"]
    }


async def test_a_target_rests_with_its_model_whichever_chain_leads_there(make: Make) -> None:
    runtime = await make(policy())
    route, llm = llm_of(runtime)
    openai, anthropic = both(runtime)
    assert isinstance(openai.rest, Rests)
    assert openai.rest is llm.chains["gpt-4o"][0].rest
    assert openai.rest is not route.targets[0].rest
    assert anthropic.rest is llm.known["claude"][1].rest


async def test_what_is_the_callers_and_what_is_ours(make: Make) -> None:
    openai, anthropic = both(await make(policy()))
    assert (openai.own_credential, anthropic.own_credential) == (False, True)
    assert (openai.upstream, openai.prefill, anthropic.upstream, anthropic.prefill) == (
        "openai", False, "anthropic", True,
    )  # fmt: skip


async def test_the_first_tokens_time_and_whose_word_it_is(make: Make) -> None:
    runtime = await make(policy(anthropic='timeout = { first_token = "20s" }'))
    openai, anthropic = both(runtime)
    assert [(each.first_token, each.first_token_set) for each in (openai, anthropic)] == [(60.0, False), (20.0, True)]
    assert [(each.rules.give_up_after, each.rules.give_up_on_reasoning) for each in (openai, anthropic)] == [
        (60.0, 300.0),
        (20.0, 20.0),
    ]
    off, _ = both(await make(policy(openai='timeout = { first_token = "0s" }')))
    assert (off.first_token, off.rules.give_up_after) == (0.0, GIVE_UP_AFTER)


async def test_a_refusal_is_routed_around_where_the_route_says_so(make: Make) -> None:
    assert [each.rules.refusal_next for each in both(await make(policy()))] == [False, False]
    around = both(await make(policy(route="fallback_on_refusal = true")))
    assert [each.rules.refusal_next for each in around] == [True, True]


async def test_the_routes_options_and_the_longest_body(make: Make) -> None:
    _, llm = llm_of(await make("[limits]\nmax_held_bytes = 77\n" + policy(route='on_break = "continue"')))
    assert (llm.options, llm.longest) == (LlmOptions(on_break="continue"), 77)
    _, llm = llm_of(await make("[limits]\nmax_held_bytes = 77\n" + policy(route="limits = { max_held_bytes = 88 }")))
    assert llm.longest == 88


async def test_the_list_of_models_asks_each_provider_once(make: Make) -> None:
    _, llm = llm_of(await make(policy()))
    assert isinstance(llm.models.service.upstream, ModelsList)
    assert (llm.models.name, llm.models.own_credential, llm.models.cannot) == ("models", True, None)


async def test_metrics_name_only_models_of_the_file(make: Make) -> None:
    runtime = await make(policy())
    route, _ = llm_of(runtime)
    targets = (*both(runtime), *route.targets)
    assert [target.observer._model for target in targets] == ["gpt-4o", "claude", "other", "other"]  # type: ignore[attr-defined]


async def test_a_target_that_speaks_only_the_other_wire_is_passed_over(make: Make) -> None:
    runtime = await make(
        """
[upstreams.web]
url = "http://127.0.0.1:1"
[upstreams.rpc]
protocol = "grpc"
url = "grpc://127.0.0.1:2"
[routes.http]
match = { path = "/x" }
chain = ["web", "rpc"]
[routes.rpc]
match = { grpc = "a.B/*" }
chain = ["rpc", "web"]
"""
    )
    for route in runtime.routes:
        first, second = route.targets
        assert first.cannot is None
        assert second.cannot is not None
        assert second.cannot(a_call()).startswith("not_translatable: it carries ")
