"""From settings to the object graph, and what of it outlives a reload (rule 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sidecar.runtime import Runtime, build
from sidecar.surroundings import Surroundings
from sidecar.telemetry.start import telemetry_to
from tests.kit.policy_file import load
from tests.kit.running import Log, one

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

URL = "http://127.0.0.1:1"
LIMIT = "rate_limit = { per_minute = 4 }"


@pytest.fixture
async def around() -> AsyncIterator[Surroundings]:
    log = Log()
    yield Surroundings(telemetry_to(log, version="0"), {}, b"1.1 sidecar-test")
    log.close()


async def made(policy: str, around: Surroundings, before: Runtime | None = None) -> Runtime:
    return await build(load(policy).settings, around, before)


def parts(runtime: Runtime) -> dict[tuple[str, str], Any]:
    return {(kind, name): part for (kind, name, _), part in runtime.parts._parts.items()}


async def test_parts_whose_settings_did_not_change_are_kept(around: Surroundings) -> None:
    keys = 'concurrency = { max = 3 }\nurls = ["http://127.0.0.1:1", "http://127.0.0.1:2"]'
    policy = one("UNUSED", upstream=keys, route=LIMIT).replace('url = "UNUSED"', "")
    first = await made(policy, around)
    second = await made(policy.replace('path = "/*"', 'path = "/api/*"'), around, first)
    assert {kind for kind, _ in parts(first)} == {
        "http",
        "breaker",
        "addresses",
        "limit",
        "concurrency",
        "rest",
        "budget",
    }
    assert all(parts(second)[key] is part for key, part in parts(first).items())
    assert (first.engine.generation, second.engine.generation) == (1, 2)
    assert second.parts.dropped() == []
    await second.aclose()


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ("circuit_breaker = { failure_threshold = 9 }", {("breaker", "a")}),
        ("circuit_breaker = false", set()),
        ("via = false", {("http", "a")}),
        ('timeout = { connect = "9s" }', {("http", "a")}),
        ("pool = { max = 9 }", {("http", "a")}),
        ('headers = { X-API-Key = "other" }', {("http", "a"), ("rest", "r/a")}),
        ('query = { tenant = "other" }', {("http", "a"), ("rest", "r/a")}),
    ],
)
async def test_only_what_changed_is_made_anew(around: Surroundings, change: str, changed: set[tuple[str, str]]) -> None:
    first = await made(one(URL), around)
    second = await made(one(URL, upstream=change), around, first)
    old, new = parts(first), parts(second)
    assert {key for key in new if new[key] is not old.get(key)} == changed
    await first.aclose()
    await second.aclose()


async def test_a_reload_is_no_way_to_a_full_bucket(around: Surroundings) -> None:
    first = await made(one(URL, route=LIMIT), around)
    bucket = parts(first)[("limit", "route r")]
    assert [bucket.take("") for _ in range(4)] == [0.0] * 4
    second = await made(one(URL, route=LIMIT.replace("4", "8")), around, first)
    assert parts(second)[("limit", "route r")].take("") > 0
    await second.aclose()


async def test_a_build_that_fails_closes_what_it_made_and_leaves_the_rest(
    around: Surroundings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bad = tmp_path_factory.mktemp("bad") / "ca.pem"
    bad.write_text("no certificate")
    first = await made(one(URL), around)
    more = f'[upstreams.fresh]\nurl = "{URL}"\n[upstreams.bad]\nurl = "https://localhost:1"\ntls = {{ ca = "{bad}" }}\n'
    policy = one(URL, more=more).replace('chain = ["a"]', 'chain = ["a", "fresh", "bad"]')
    with pytest.raises(OSError, match=r"upstreams\.bad\.tls"):
        await made(policy, around, first)
    (service,) = first.services().values()
    assert not service.pools[0]._closed
    await first.aclose()


async def test_two_routes_to_one_upstream_share_its_breaker_and_rest_apart(around: Surroundings) -> None:
    more = '[routes.s]\nmatch = { path = "/s" }\nchain = ["a"]\n'
    runtime = await made(one(URL, more=more), around)
    first, second = (route.targets[0] for route in runtime.routes)
    assert first.service is second.service
    assert first.budget is second.budget
    assert first.rest is not second.rest
    await runtime.aclose()


async def test_a_thousand_routes_to_one_upstream_have_one_client(around: Surroundings) -> None:
    routes = "".join(f'[routes.r{n}]\nmatch = {{ path = "/{n}" }}\nchain = ["a"]\n' for n in range(1000))
    runtime = await made(one(URL, more=routes), around)
    assert len({id(route.targets[0].service) for route in runtime.routes}) == 1
    assert len(runtime.services()) == 1
    await runtime.aclose()
