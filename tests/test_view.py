"""What the admin listener tells of a running sidecar, as JSON of what is so now."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from typing import Any

import aiohttp
import pytest

from tests.kit.addresses import free_port
from tests.kit.running import QUICK, Running, one, running, until
from tests.kit.scripted import OK, reply, scripted

LISTEN = '[listen]\nhttp = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n'
NOWHERE = "http://127.0.0.1:1"


async def get(sidecar: Running, path: str) -> Any:
    async with aiohttp.ClientSession(sidecar.admin) as admin, admin.get(path) as answer:
        return await answer.json()


async def test_routes_show_their_chains_and_who_is_ready() -> None:
    policy = one(NOWHERE, more=LISTEN, route='deadline = "7s"\nidempotent = true', path="/api/*")
    async with running(policy) as sidecar:
        shown = await get(sidecar, "/routes")
    assert shown == {
        "r": {
            "match": {"path": "/api/*"},
            "chain": [{"target": "a", "ready": True}],
            "weights": None,
            "deadline": 7.0,
            "idempotent": True,
        }
    }


async def test_of_a_replaced_policy_nothing_is_kept_for_those_who_asked() -> None:
    async with running(one(NOWHERE, more=LISTEN)) as sidecar:
        await get(sidecar, "/routes")
        replaced = weakref.ref(sidecar.runtime)
        sidecar.file.write_text(sidecar.file.read_text() + 'deadline = "9s"\n')
        await sidecar.daemon.reload()
        await until(lambda: gc.collect() >= 0 and replaced() is None)


async def test_routes_show_no_credential_that_they_match() -> None:
    policy = one(NOWHERE, more=LISTEN).replace('{ path = "/*" }', '{ headers = { X-API-Key = "s3cret", X-V = "2" } }')
    async with running(policy) as sidecar:
        shown = await get(sidecar, "/routes")
    assert shown["r"]["match"] == {"headers": {"X-API-Key": "***", "X-V": "2"}}


async def test_upstreams_show_breaker_rests_and_connections_and_no_password() -> None:
    async with scripted(OK, reply("429 No", "Retry-After: 100")) as upstream:
        policy = one(upstream.url, more=LISTEN + QUICK + 'max_retry_after = "0s"\npatience = "0s"\n')
        async with running(policy) as sidecar:
            await sidecar.ask("/")
            shown = (await get(sidecar, "/upstreams"))["a"]
            assert (shown["protocol"], shown["urls"], shown["circuit_breaker"]) == ("http", [upstream.url], "closed")
            assert (shown["resting"], shown["addresses"]) == ({}, [])
            assert shown["connections"] == [{"idle": 1, "active": 0, "connecting": 0, "waiting": 0}]
            await sidecar.ask("/")
            resting = (await get(sidecar, "/upstreams"))["a"]["resting"]["a"]
            assert 95 < resting <= 100
            health = await get(sidecar, "/health")
            assert "rests for" in health["checks"]["target a"]
            assert (await get(sidecar, "/routes"))["r"]["chain"] == [{"target": "a", "ready": False}]


async def test_of_a_target_that_rests_by_several_routes_the_longest_rest_is_told() -> None:
    more = "".join(f'[routes.{name}]\nmatch = {{ path = "/{name}" }}\nchain = ["a"]\n' for name in ("x", "y"))
    async with running(one(NOWHERE, more=LISTEN + more)) as sidecar:
        view = sidecar.daemon.view
        assert view is not None
        for route, seconds in zip(sidecar.runtime.routes, (20, 90, 40), strict=True):
            route.targets[0].rest.rest(view.clock() + seconds, "rate_limited")
        shown = await get(sidecar, "/upstreams")
        assert 85 < shown["a"]["resting"]["a"] <= 90
        assert (await get(sidecar, "/health"))["checks"]["target a"] in {
            "rests for 90 s: rate_limited", "rests for 89 s: rate_limited",
        }  # fmt: skip


async def test_breakers_are_opened_and_reset_by_hand() -> None:
    async with (
        scripted() as upstream,
        running(one(upstream.url, more=LISTEN)) as sidecar,
        aiohttp.ClientSession(sidecar.admin) as admin,
    ):
        async with admin.post("/circuit-breakers/a/open") as answer:
            assert (await answer.json())["state"] == "open"
        assert (await sidecar.ask("/")).status == 503
        assert (await get(sidecar, "/circuit-breakers"))["a"]["state"] == "open"
        async with admin.post("/circuit-breakers/a/reset") as answer:
            assert (await answer.json())["state"] == "closed"
        assert (await sidecar.ask("/")).status == 200
        async with admin.post("/circuit-breakers/nobody/open") as answer:
            assert answer.status == 404


async def test_listeners_show_where_they_really_are() -> None:
    async with running(one(NOWHERE, more=LISTEN)) as sidecar:
        assert await get(sidecar, "/listeners") == sidecar.daemon.addresses
        assert ":0" not in sidecar.daemon.addresses["http"]


async def test_a_listener_that_has_moved_keeps_its_place_in_the_list() -> None:
    async with running(one(NOWHERE, more=LISTEN)) as sidecar:
        before = list(await get(sidecar, "/listeners"))
        addresses = sidecar.daemon.addresses
        addresses["http"] = addresses.pop("http")
        assert before[0] == "http"
        assert list(await get(sidecar, "/listeners")) == before


async def test_limits_show_who_is_counted() -> None:
    limit = 'rate_limit = { per_minute = 5, key = "header:X-Tenant-ID" }'
    async with scripted() as upstream, running(one(upstream.url, more=LISTEN, route=limit)) as sidecar:
        await sidecar.ask("/", "X-Tenant-ID: a")
        assert list(await get(sidecar, "/rate-limits")) == ["route r"]


async def test_calls_go_on_while_a_long_configuration_is_told() -> None:
    many = "".join(f'[routes.r{n}]\nmatch = {{ path = "/{n}/*" }}\nchain = ["a"]\n' for n in range(300))
    async with running(one(NOWHERE, more=LISTEN + many)) as sidecar:
        view = sidecar.daemon.view
        assert view is not None
        asked, turns = asyncio.create_task(view.config()), 0
        while not asked.done():
            turns += 1
            await asyncio.sleep(0)
        assert len(asked.result()["config"]["routes"]) == 301
        assert turns > 5  # two or three, if nobody had a turn while it was made


async def test_the_configuration_hides_its_secrets() -> None:
    keys = 'headers = { X-API-Key = "${KEY}", X-Plain = "seen" }'
    async with running(one(NOWHERE, more=LISTEN, upstream=keys), {"KEY": "hush"}) as sidecar:
        shown = await get(sidecar, "/config")
    assert shown["generation"] == 1
    assert "hush" not in json.dumps(shown)
    assert shown["config"]["upstreams"]["a"]["headers"] == {"X-API-Key": "***", "X-Plain": "seen"}


async def test_who_waits_for_a_configuration_is_told_when_it_is_live() -> None:
    async with running(one(NOWHERE, more=LISTEN)) as sidecar, aiohttp.ClientSession(sidecar.admin) as admin:
        now = (await get(sidecar, "/config"))["hash"]
        assert (await get(sidecar, f"/config?wait={now}"))["hash"] == now
        async with admin.get("/config?wait=0000&timeout=20ms") as answer:
            assert answer.status == 504
        waiting = asyncio.create_task(get(sidecar, f"/config?wait={'0' * 64}&timeout=10s"))
        sidecar.file.write_text(sidecar.file.read_text() + "idempotent = true\n")
        told = await sidecar.daemon.reload()
        waiting.cancel()
        assert (await get(sidecar, f"/config?wait={told['hash']}&timeout=10s"))["generation"] == 2


async def test_the_timeline_of_a_call_tells_each_step() -> None:
    async with scripted(reply("503 No"), OK) as upstream, running(one(upstream.url, more=LISTEN + QUICK)) as sidecar:
        await sidecar.ask("/", "X-Request-ID: i-1")
        await sidecar.log.call("i-1")
        told = await get(sidecar, "/requests/i-1")
        steps = [(step["kind"], step["outcome"]) for step in told["steps"]]
    assert steps == [("attempt", "server_error"), ("wait", ""), ("attempt", "ok")]


@pytest.mark.parametrize(("level", "heard"), [("error", False), ("info", True)])
async def test_the_log_level_is_changed_while_it_runs(level: str, heard: bool) -> None:
    async with running(one(NOWHERE, more=LISTEN)) as sidecar, aiohttp.ClientSession(sidecar.admin) as admin:
        async with admin.post("/log-level", json={"level": level}) as answer:
            assert answer.status == 200
        await sidecar.daemon.reload()
        assert any("was taken" in line["message"] for line in sidecar.log.lines) is heard


async def test_unhealthy_is_when_nobody_can_be_tried() -> None:
    frail = "circuit_breaker = { failure_threshold = 1 }"
    dead = f"http://127.0.0.1:{free_port()}"
    async with running(one(dead, upstream=frail, more=LISTEN, path="/api/*")) as sidecar:
        assert (await get(sidecar, "/health"))["status"] == "healthy"
        await sidecar.ask("/api/x", "X-Sidecar-Retry: off")
        health = await get(sidecar, "/health")
    assert health["status"] == "unhealthy"
    assert health["checks"]["circuit_breaker a"] == "open"
