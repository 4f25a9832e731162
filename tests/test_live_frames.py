"""What the state and the pulses of `GET /live` tell, by calls that are made."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp

from sidecar.live_frames import Frames
from tests.kit.live import LISTEN, Hearing, hearing
from tests.kit.running import QUICK, Running, one, running
from tests.kit.scripted import OK, reply, scripted

if TYPE_CHECKING:
    from collections.abc import Callable

NOWHERE = "http://127.0.0.1:1"
AWAY = '[static.away]\nstatus = 200\nbody = "back soon"\n'
COUNTS = ("calls", "errors", "refused", "retries", "fallbacks")


async def until_counted(live: Hearing, holds: Callable[[dict[str, int]], bool]) -> dict[str, dict[str, int]]:
    """The sums of all pulses from the second on, by route, until those of all routes together are such."""
    sums: dict[str, dict[str, int]] = {"total": dict.fromkeys(COUNTS, 0)}
    while True:
        pulse = await live.pulse()
        for name, told in {**pulse["routes"], "total": pulse["total"]}.items():
            mine = sums.setdefault(name, dict.fromkeys(COUNTS, 0))
            for key in COUNTS:
                mine[key] += told[key]
        if holds(sums["total"]):
            return sums


def metric(sidecar: Running, name: str, *holds: str) -> int:
    """The sum of a metric's series whose labels hold all of this."""
    assert sidecar.daemon.view is not None
    lines = sidecar.daemon.view.metrics("")[1].decode().splitlines()
    return int(
        sum(float(line.split()[-1]) for line in lines if line.startswith(name + "{") and all(h in line for h in holds))
    )


async def test_the_state_is_the_configuration_as_it_may_be_shown() -> None:
    policy = one(
        NOWHERE,
        more=LISTEN + AWAY,
        route="rate_limit = { per_minute = 9 }",
    ).replace('{ path = "/*" }\nchain = ["a"]', '{ headers = { X-Key = "hush" } }\nchain = ["a", "static/away"]')
    async with running(policy) as sidecar, hearing(sidecar) as live:
        state = await live.state()
        assert state["listeners"] == sidecar.daemon.addresses
    assert state["routes"] == [
        {
            "name": "r",
            "match": {"headers": {"X-Key": "***"}},
            "chain": ["a", "static/away"],
            "weights": None,
            "limit": "route r",
        }
    ]
    assert state["upstreams"] == [{"name": "a", "protocol": "http", "urls": ["http://127.0.0.1:1"]}]
    assert (state["generation"], state["token"], state["draining"], state["log_level"]) == (1, False, False, "info")
    assert (state["file"], len(state["hash"]), state["models"]) == (str(sidecar.file), 64, [])
    assert 0 <= state["now"] - state["started"] < 60


async def test_a_first_pulse_tells_of_the_calls_that_are_remembered() -> None:
    async with scripted(OK) as upstream, running(one(upstream.url, more=LISTEN)) as sidecar:
        await sidecar.ask("/1")
        await sidecar.ask("/2?secret=1", "Authorization: Bearer hush")
        async with hearing(sidecar) as live:
            pulse = await live.pulse()
    assert pulse["routes"]["r"]["calls"] == pulse["total"]["calls"] == 2
    assert [call["path"] for call in pulse["calls"]] == ["/1", "/2"]
    assert pulse["more_calls"] == 0
    assert pulse["routes"]["r"]["serving"] == {"a": 2}
    assert "hush" not in str(pulse)
    assert "secret" not in str(pulse)


async def test_pulses_add_up_to_the_metrics() -> None:
    upstream_says = [OK, reply("503 No"), OK, reply("404 No"), reply("500 No")] * 40
    limit = "rate_limit = { per_day = 150 }"
    policy = one("", more=LISTEN + QUICK + "budget = 1.0\n" + AWAY, route=limit, path="/api/*")
    policy = policy.replace('chain = ["a"]', 'chain = ["a", "static/away"]')
    async with scripted(*upstream_says) as upstream:
        calm = policy.replace('url = ""', f'url = "{upstream.url}"\ncircuit_breaker = false')
        async with running(calm) as sidecar, hearing(sidecar) as live:
            await live.pulse()
            for number in range(10):
                await asyncio.gather(*(sidecar.ask(f"/api/{number}") for _ in range(20)), sidecar.ask("/nowhere"))
            sums = await until_counted(live, lambda total: total["calls"] >= 210)
            assert sums["total"]["calls"] == metric(sidecar, "http_requests_total") == 210
            assert sums["_none"] == {"calls": 10, "errors": 0, "refused": 10, "retries": 0, "fallbacks": 0}
            assert sums["r"]["calls"] == metric(sidecar, "http_requests_total", 'endpoint="r"')
            assert sums["r"]["retries"] == metric(sidecar, "sidecar_retries_total") > 0
            assert sums["r"]["fallbacks"] == metric(sidecar, "sidecar_fallbacks_total") > 0
            assert sums["r"]["refused"] == metric(sidecar, "rate_limit_exceeded_total") == 50
            assert sums["r"]["errors"] == metric(sidecar, "http_request_errors_total", 'error="server"')


async def test_a_pulse_names_few_of_many_calls_and_says_how_many_more_there_were() -> None:
    async with running(one(NOWHERE, more=LISTEN, path="/api/*")) as sidecar:
        for number in range(60):
            await sidecar.ask(f"/{number}")
        async with hearing(sidecar) as live:
            pulse = await live.pulse()
    assert (len(pulse["calls"]), pulse["more_calls"]) == (50, 10)
    assert [call["path"] for call in pulse["calls"]] == [f"/{number}" for number in range(10, 60)]
    assert {call["route"] for call in pulse["calls"]} == {"_none"}


async def test_calls_under_way_are_told_and_routes_without_any_are_not() -> None:
    more = '[routes.idle]\nmatch = { path = "/idle" }\nchain = ["a"]\n'
    async with scripted(b"<silence>") as upstream, running(one(upstream.url, more=LISTEN + more)) as sidecar:
        caller = await sidecar.caller()
        async with hearing(sidecar) as live:
            assert (await live.pulse())["routes"] == {}
            caller.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            pulse = await live.pulse(lambda pulse: bool(pulse["routes"]))
            assert list(pulse["routes"]) == ["r"]
            assert (pulse["routes"]["r"]["inflight"], pulse["routes"]["r"]["calls"]) == (1, 0)
            assert pulse["routes"]["r"]["p50"] is None
            await caller.close()
            pulse = await live.pulse(lambda pulse: pulse["total"]["calls"] == 1)
    [call] = pulse["calls"]
    assert (call["status"], call["outcome"], call["ttfb"]) == (499, "caller_left", None)
    assert (pulse["total"]["errors"], pulse["total"]["refused"]) == (0, 0)


async def test_what_is_refused_before_it_can_be_read_is_counted() -> None:
    async with running(one(NOWHERE, more=LISTEN)) as sidecar, hearing(sidecar) as live:
        await live.pulse()
        caller = await sidecar.caller()
        caller.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert (await caller.answer()).status == 400
        pulse = await live.pulse(lambda pulse: pulse["total"]["calls"] > 0)
    assert (pulse["routes"]["_none"]["refused"], pulse["calls"]) == (1, [])


async def test_health_tells_what_is_not_well_and_nothing_of_what_is() -> None:
    async with scripted(reply("429 No", "Retry-After: 100")) as upstream:
        policy = one(upstream.url, more=LISTEN + QUICK + 'max_retry_after = "0s"\npatience = "0s"\n', path="/api/*")
        async with running(policy) as sidecar, hearing(sidecar) as live:
            assert (await live.pulse())["health"] == {"status": "healthy", "checks": {}}
            await sidecar.ask("/api/x")
            told = await live.pulse(lambda pulse: bool(pulse["health"]["checks"]))
            assert set(told["health"]["checks"]) == {"target a", "targets"}
            assert told["health"]["status"] == "unhealthy"
            assert told["targets"]["a"]["why"] == "throttled"
            async with aiohttp.ClientSession(sidecar.admin) as admin, admin.get("/health") as answer:
                assert (await answer.json())["status"] == "unhealthy"


async def test_who_serves_a_target_s_calls_is_told_by_route() -> None:
    more = '[routes.s]\nmatch = { path = "/s" }\nchain = ["a"]\n' + AWAY
    policy = one(NOWHERE, more=LISTEN + more).replace('chain = ["a"]\n\n', 'chain = ["a", "static/away"]\n')
    async with running(policy) as sidecar:
        await sidecar.ask("/r")
        await sidecar.ask("/s")
        async with hearing(sidecar) as live:
            routes: dict[str, Any] = (await live.pulse())["routes"]
    assert (routes["r"]["serving"], routes["r"]["refused"]) == ({"static/away": 1}, 0)
    assert (routes["s"]["serving"], routes["s"]["errors"]) == ({}, 1)


async def test_calls_go_on_while_much_is_looked_at_and_told() -> None:
    many = "".join(
        f'[upstreams.u{n}]\nurl = "{NOWHERE}"\n[routes.r{n}]\nmatch = {{ path = "/{n}/*" }}\nchain = ["u{n}"]\n'
        for n in range(300)
    )
    async with running(LISTEN + many) as sidecar:
        view = sidecar.daemon.view
        assert view is not None
        frames = Frames(view, view.wall, view.wall())
        for work in (frames.begin(), frames.state(), frames.pulse(), frames.first(), view.routes()):
            asked, turns = asyncio.create_task(work), 0
            while not asked.done():
                turns += 1
                await asyncio.sleep(0)
            assert turns > 3
