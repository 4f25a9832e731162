"""Active checks: an upstream that fails them is left alone until it passes one."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.kit.caller import PATIENCE
from tests.kit.gateway import Gateway, Served, gateway, service_to
from tests.kit.peer import listening
from tests.kit.refused import refusal
from tests.kit.running import one, request, running, until
from tests.kit.scripted import OK, SILENCE, reply, scripted

CHECKED = 'health = { path = "/healthz", interval = "20ms", timeout = "1m" }'
"""However busy the machine: no check of these takes too long, and a rest outlasts the test."""


@pytest.mark.both_loops
@pytest.mark.parametrize("sick", [reply("500 No"), reply("404 No"), b"nonsense\r\n\r\n"])
async def test_a_failing_check_rests_the_target_and_a_passing_one_ends_that(sick: bytes) -> None:
    async with scripted(sick) as upstream, running(one(upstream.url, upstream=CHECKED, path="/api/*")) as sidecar:
        (route,) = sidecar.runtime.routes
        (target,) = route.targets
        await until(lambda: not target.would_admit(sidecar.daemon._clock()))
        assert refusal(await sidecar.ask("/api/x")) == (502, "upstream_connect_failed")
        checks = json.loads((await sidecar.ask("/health")).body)["checks"]
        assert "unhealthy" in checks["target a"]
        assert upstream.requests[0].startswith(b"GET /healthz HTTP/1.1\r\nHost: ")
        upstream.script[:] = [OK]
        await until(lambda: target.would_admit(sidecar.daemon._clock()))
        assert (await sidecar.ask("/api/x")).status == 200


async def test_an_upstream_that_says_nothing_rests_until_the_next_check_has_taken_its_time_too() -> None:
    slow = CHECKED.replace("1m", "100ms")
    rests: list[float] = []
    async with scripted(SILENCE) as upstream:
        service = service_to(upstream.url, slow)
        assert service.check is not None
        service.check.start(rests.append)
        await until(lambda: len(rests) >= 2)
        await service.aclose()
    assert min(rests) > 0.12


async def test_checks_are_no_calls() -> None:
    async with scripted() as upstream, running(one(upstream.url, upstream=CHECKED)) as sidecar:
        await until(lambda: len(upstream.requests) >= 3)
        assert not [line for line in sidecar.log.lines if "outcome" in line]
        assert sidecar.runtime.breakers()["a"].snapshot()["total_calls"] == 0


async def test_the_checking_ends_with_the_upstream() -> None:
    async with scripted() as old, scripted() as new, running(one(old.url, upstream=CHECKED)) as sidecar:
        await until(lambda: len(old.requests) >= 1)
        sidecar.file.write_text(sidecar.file.read_text().replace(old.url, new.url))
        await sidecar.daemon.reload()
        seen = len(old.requests)
        await until(lambda: len(new.requests) >= 3)
        assert len(old.requests) <= seen + 1


async def test_a_route_that_a_reload_adds_knows_at_once_that_its_upstream_is_sick() -> None:
    seldom = CHECKED.replace("20ms", "1h")
    async with scripted(reply("500 No")) as upstream, running(one(upstream.url, upstream=seldom)) as sidecar:
        await sidecar.log.saying("health check failed")
        sidecar.file.write_text(sidecar.file.read_text() + '[routes.new]\nmatch = { path = "/new" }\nchain = ["a"]\n')
        await sidecar.daemon.reload()
        assert refusal(await sidecar.ask("/new")) == (502, "upstream_connect_failed")
        assert len(upstream.requests) == 1  # the check


async def test_a_full_pool_is_not_taken_for_a_sick_upstream() -> None:
    full = "pool = { max = 1 }\n" + CHECKED
    async with listening() as upstream, running(one(upstream.url, upstream=full, path="/api/*")) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/api/x"))
        held, checked = None, 0
        async with asyncio.timeout(PATIENCE):
            while held is None or checked < 3:
                peer = await upstream.accept()
                if b"/healthz" not in await peer.request():
                    held = peer
                    continue
                peer.say(OK)
                checked += held is not None
        (target,) = sidecar.runtime.routes[0].targets
        assert target.rest.until == 0.0
        held.say(OK)
        assert (await caller.answer()).status == 200


SLOW = 'protocol = "c-gateway"\nhealth = { path = "/_health", interval = "10ms", timeout = "30ms" }'
PATIENT = SLOW.replace("30ms", "10m")
WELL = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"


async def asked(server: Gateway) -> Served:
    """The next check that asked: one whose time was out while it connected has just left."""
    while not (served := await server.next()).request:
        served.close()
    return served


async def test_a_check_that_takes_too_long_is_heard_to_its_end_before_the_next_one() -> None:
    """c-gateway does one thing after the other: a late answer is no proof of death, and leaving would be its end."""
    told: list[bool] = []
    async with gateway() as server:
        service = service_to(server.url, SLOW)
        assert service.check is not None
        service.check.start(lambda seconds: told.append(seconds == 0))
        served = await asked(server)
        assert served.request == b"GET /_health HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % server.port
        before = len(told)
        await until(lambda: len(told) >= before + 3)
        assert not any(told)
        assert server.nobody_came()
        served.say(WELL)
        served.say(b"ok")
        await served.leaves()
        served.close()
        served = await asked(server)
        served.say(WELL)
        served.say(b"ok")
        await served.leaves()
        await service.aclose()


async def test_a_check_that_has_passed_still_hears_its_answer_to_the_end() -> None:
    told: list[bool] = []
    async with gateway() as server:
        service = service_to(server.url, PATIENT)
        assert service.check is not None
        service.check.start(lambda seconds: told.append(seconds == 0))
        served = await server.next()
        served.say(WELL)
        await until(lambda: told == [True])
        served.say(b"ok")
        await served.leaves()
        await service.aclose()


async def test_checking_that_ends_in_the_middle_of_a_check_lets_it_finish() -> None:
    async with gateway() as server:
        service = service_to(server.url, PATIENT)
        assert service.check is not None
        service.check.start(lambda _: None)
        served = await server.next()
        await service.aclose()
        served.say(WELL)
        served.say(b"ok")
        await served.leaves()
