"""Upstreams with what guards them: each made once, LLM providers once for each model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.runtime import Runtime, build
from sidecar.surroundings import Surroundings
from sidecar.telemetry.start import telemetry_to
from sidecar.upstreams.faults import Faulty
from sidecar.upstreams.http import HttpUpstream
from sidecar.upstreams.llm import LlmUpstream
from tests.kit.policy_file import load
from tests.kit.running import Log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sidecar.engine.route import Service

    Make = Callable[..., Awaitable[Runtime]]

LLM = """
[upstreams.openai]
protocol = "openai"
url = "http://127.0.0.1:1/v1"
api_key = "ours"
rate_limit = {{ tokens_per_minute = 1000 }}
concurrency = {{ max = 9 }}
{keys}
[routes.llm]
match = {{ path = "/v1/*" }}
chain = ["openai"]
[models.smart]
chain = ["openai/gpt-4o", "openai/o3", "static/sorry"]
[models.fast]
chain = ["openai/gpt-4o"]
[static.sorry]
body = "sorry"
{more}
"""


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    log, made = Log(), []
    around = Surroundings(telemetry_to(log, version="0"), {}, b"1.1 sidecar-test")

    async def build_one(keys: str = "", more: str = "") -> Runtime:
        made.append(await build(load(LLM.format(keys=keys, more=more)).settings, around))
        return made[-1]

    yield build_one
    for runtime in made:
        await runtime.aclose()
    log.close()


def of(runtime: Runtime, model: str) -> list[Service]:
    """The services of a model's chain; of the route itself without one."""
    (route,) = runtime.routes
    assert route.llm is not None
    return [target.service for target in (route.llm.chains[model] if model else route.targets)]


async def test_each_model_has_a_breaker_and_all_share_the_upstreams_limits_and_connections(make: Make) -> None:
    runtime = await make()
    (any_model,), (gpt, o3, _) = of(runtime, ""), of(runtime, "smart")
    assert [each.name for each in (any_model, gpt, o3)] == ["openai/*", "openai/gpt-4o", "openai/o3"]
    assert set(runtime.breakers()) == {"openai/*", "openai/gpt-4o", "openai/o3"}
    assert gpt is of(runtime, "fast")[0]
    for each in (any_model, o3):
        assert each.concurrency is gpt.concurrency
        assert each.limit is not None
        assert gpt.limit is not None
        assert each.limit.bucket is gpt.limit.bucket
    clients = [each.upstream for each in (any_model, gpt, o3)]
    assert all(isinstance(client, LlmUpstream) for client in clients)
    assert len({id(client._inner) for client in clients if isinstance(client, LlmUpstream)}) == 1
    assert len(runtime.services()) == 1


async def test_a_breaker_can_be_switched_off(make: Make) -> None:
    runtime = await make("circuit_breaker = false")
    assert [service.breaker for service in of(runtime, "smart")] == [None, None, None]


async def test_faults_of_the_file_stand_below_the_dialect(make: Make) -> None:
    """What they disturb is what a provider sends."""
    runtime = await make(more='[faults.slow]\nmatch = { path = "/v1/*" }\ndelay = "3s"\n')
    client = of(runtime, "smart")[0].upstream
    assert isinstance(client, LlmUpstream)
    assert isinstance(client._inner, Faulty)
    plain = of(await make(), "smart")[0].upstream
    assert isinstance(plain, LlmUpstream)
    assert isinstance(plain._inner, HttpUpstream)


async def test_a_static_link_has_nothing_to_guard(make: Make) -> None:
    service = of(await make(), "smart")[2]
    assert (service.name, service.breaker, service.limit, service.concurrency) == ("static/sorry", None, None, None)
