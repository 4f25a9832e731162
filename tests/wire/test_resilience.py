"""The main job on real faults: breaker, fallback, traffic, several addresses, queue."""

from __future__ import annotations

import json

from sidecar.standins.faults import Fault, Kind
from tests.kit.addresses import free_port
from tests.kit.peer import listening
from tests.kit.refused import refusal
from tests.kit.running import QUICK, one, request, running, until
from tests.kit.scripted import OK, reply, scripted
from tests.kit.standin import StandIn


def chain(*urls: str, route: str = "", upstream: str = "", more: str = "") -> str:
    """Upstreams a, b, … behind one route, in order."""
    names = "abcdef"[: len(urls)]
    tables = "".join(f'[upstreams.{name}]\nurl = "{url}"\n{upstream}\n' for name, url in zip(names, urls, strict=True))
    links = json.dumps(list(names))
    keys = route or f"chain = {links}"
    return f'{more}\n{tables}\n[routes.r]\nmatch = {{ path = "/*" }}\n{keys}\n'


async def test_a_breaker_opens_probes_and_closes() -> None:
    breaker = 'circuit_breaker = { failure_threshold = 2, recovery_first = "100ms", success_threshold = 2 }'
    async with scripted(reply("500 No")) as upstream, running(one(upstream.url, upstream=breaker)) as sidecar:
        a = sidecar.runtime.breakers()["a"]
        assert [(await sidecar.ask("/", method="POST")).status for _ in range(2)] == [500, 500]
        assert refusal(await sidecar.ask("/", method="POST")) == (503, "circuit_open")
        assert len(upstream.requests) == 2
        upstream.script[:] = [OK]
        await until(a.would_admit)
        assert (await sidecar.ask("/", method="POST")).status == 200
        assert a.snapshot()["state"] == "half_open"
        assert (await sidecar.ask("/", method="POST")).status == 200
        assert a.snapshot()["state"] == "closed"
        moves = [line for line in sidecar.log.lines if "breaker" in json.dumps(line)]
        assert len(moves) == 3


async def test_a_failing_a_slow_and_a_dead_upstream_are_survived_by_the_next_one() -> None:
    async with (
        StandIn(fault=Fault(Kind.FAIL, status=500)) as failing,
        StandIn(fault=Fault(Kind.SLOW, delay=30)) as slow,
        StandIn() as well,
    ):
        dead = f"http://127.0.0.1:{free_port()}"
        keys = 'timeout = { attempt = "50ms" }'
        policy = chain(dead, failing.url, slow.url, well.url, upstream=keys, more=QUICK + "tries = 1\n")
        async with running(policy) as sidecar:
            answer = await sidecar.ask("/x", "X-Request-ID: i-1")
            line = await sidecar.log.call("i-1")
        assert json.loads(answer.body)["service"] == "upstream"
        assert (answer.fields["x-sidecar-upstream"], answer.fields["x-sidecar-attempts"]) == ("d", "4")
        assert (line["upstream"], line["attempts"], line["status_code"]) == ("d", 4, 200)


async def test_if_nobody_can_the_first_answer_is_the_callers() -> None:
    async with (
        scripted(reply("503 No", body=b"first")) as first,
        scripted(reply("500 No", body=b"second")) as second,
        running(chain(first.url, second.url, more=QUICK + "tries = 1\n")) as sidecar,
    ):
        answer = await sidecar.ask("/")
        assert (answer.status, answer.body, answer.fields["x-sidecar-upstream"]) == (503, b"first", "a")
        assert len(second.requests) == 1


async def test_a_post_that_may_have_been_carried_out_goes_nowhere_else() -> None:
    async with (
        scripted(reply("500 No")) as first,
        scripted() as second,
        running(chain(first.url, second.url)) as sidecar,
    ):
        assert (await sidecar.ask("/", method="POST")).status == 500
        assert second.requests == []


async def test_traffic_is_split_by_weight_and_falls_back_to_the_other() -> None:
    split = 'traffic = [{ upstream = "a", weight = 50 }, { upstream = "b", weight = 50 }]'
    async with (
        scripted() as stable,
        scripted() as canary,
        running(chain(stable.url, canary.url, route=split, more=QUICK + "tries = 1\n")) as sidecar,
    ):
        for _ in range(40):
            await sidecar.ask("/")
        assert len(stable.requests) + len(canary.requests) == 40
        assert min(len(stable.requests), len(canary.requests)) > 0  # else a chance of 1 in 10^12
        canary.script[:] = [reply("503 No")]
        assert {(await sidecar.ask("/")).status for _ in range(20)} == {200}


async def test_an_address_that_fails_is_set_aside_and_the_others_carry_on() -> None:
    async with scripted() as well, scripted(reply("500 No")) as sick:
        policy = one("UNUSED", more=QUICK).replace('url = "UNUSED"', f'urls = ["{well.url}", "{sick.url}"]')
        async with running(policy) as sidecar:
            answers = [await sidecar.ask("/") for _ in range(60)]
            assert {answer.status for answer in answers} == {200}
            assert 3 <= len(sick.requests) <= 6  # three in a row, then aside for a second
            assert sidecar.runtime.breakers()["a"].state == "closed"


async def test_an_address_is_set_aside_also_where_there_is_no_breaker() -> None:
    async with scripted() as well, scripted(reply("500 No")) as sick:
        urls = f'urls = ["{well.url}", "{sick.url}"]\ncircuit_breaker = false'
        async with running(one("UNUSED", more=QUICK).replace('url = "UNUSED"', urls)) as sidecar:
            assert {(await sidecar.ask("/")).status for _ in range(60)} == {200}
            assert 3 <= len(sick.requests) <= 6


async def test_a_queue_serves_in_order_and_refuses_when_full() -> None:
    queue = 'concurrency = { max = 1, queue = 1, max_wait = "5s" }'
    async with listening() as upstream, running(one(upstream.url, upstream=queue)) as sidecar:
        first, second = await sidecar.caller(), await sidecar.caller()
        first.send(request("/1"))
        peer = await upstream.accept()
        await peer.request()
        second.send(request("/2"))
        ((_, concurrency),) = sidecar.runtime.parts.of("concurrency")
        await until(lambda: concurrency.waiting == 1)
        assert refusal(await sidecar.ask("/3")) == (503, "overloaded")
        peer.say(OK)
        assert (await first.answer()).status == 200
        assert (await peer.request()).startswith(b"GET /2 ")
        peer.say(OK)
        assert (await second.answer()).status == 200


async def test_a_queue_lets_nobody_wait_for_longer_than_max_wait() -> None:
    queue = 'concurrency = { max = 1, queue = 1, max_wait = "50ms" }'
    async with listening() as upstream, running(one(upstream.url, upstream=queue)) as sidecar:
        first = await sidecar.caller()
        first.send(request("/1"))
        peer = await upstream.accept()
        await peer.request()
        assert refusal(await sidecar.ask("/2")) == (503, "overloaded")


async def test_a_breaker_hears_of_a_stream_that_is_cut_later() -> None:
    breaker = "circuit_breaker = { failure_threshold = 1, failure_rate = 0 }"
    cut = Fault(Kind.CUT, events=2, every=0)
    async with StandIn(fault=cut) as upstream, running(one(upstream.url, upstream=breaker)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/", "Accept: text/event-stream"))
        assert (await caller.head()).status == 200
        told = await caller.ended()
        assert told.count(b"data: ") == 2
        assert not told.endswith(b"0\r\n\r\n")
        await until(lambda: sidecar.runtime.breakers()["a"].state == "open")
