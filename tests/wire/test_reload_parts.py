"""What calls have taught the sidecar outlives a reload that changes something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.peer import listening
from tests.kit.refused import refusal
from tests.kit.running import one, request, running, until
from tests.kit.scripted import OK, reply, scripted

if TYPE_CHECKING:
    from tests.kit.running import Running

ONCE = "retry = { tries = 1 }"
FAILED = reply("500 No")
BREAKER = "circuit_breaker = { failure_threshold = 4, window = 10 }"


async def something_else(sidecar: Running) -> None:
    """A reload that leaves the upstream and the route of the test as they are."""
    before = sidecar.runtime.engine.generation
    more = f'[routes.more{before}]\nmatch = {{ path = "/more/{before}" }}\nchain = ["a"]\n'
    sidecar.file.write_text(sidecar.file.read_text() + more)
    assert (await sidecar.daemon.reload())["generation"] == before + 1


async def changed(sidecar: Running, old: str, new: str) -> None:
    text = sidecar.file.read_text()
    assert old in text
    sidecar.file.write_text(text.replace(old, new))
    await sidecar.daemon.reload()


async def test_a_breaker_goes_on_counting_and_stays_open() -> None:
    async with (
        scripted(FAILED) as upstream,
        running(one(upstream.url, upstream=BREAKER, route=ONCE, path="/api/*")) as sidecar,
    ):
        for _ in range(4):
            assert (await sidecar.ask("/api/x")).status == 500
            await something_else(sidecar)
        assert refusal(await sidecar.ask("/api/x")) == (503, "circuit_open")
        await changed(sidecar, "failure_threshold = 4", "failure_threshold = 5")
        assert (await sidecar.ask("/api/x")).status == 500  # another breaker begins anew


async def test_a_target_goes_on_resting() -> None:
    later = reply("503 Later", "Retry-After: 60")
    once = 'retry = { tries = 1, max_retry_after = "1s" }'
    async with scripted(later, OK) as upstream, running(one(upstream.url, route=once, path="/api/*")) as sidecar:
        assert (await sidecar.ask("/api/x")).status == 503
        await something_else(sidecar)
        assert refusal(await sidecar.ask("/api/x")) == (429, "rate_limited")
        assert len(upstream.requests) == 1


async def test_a_bucket_keeps_its_level_and_a_changed_one_its_share() -> None:
    limit = 'rate_limit = { per_minute = 4, key = "header:X-Who" }'
    async with scripted() as upstream, running(one(upstream.url, route=limit, path="/api/*")) as sidecar:

        async def statuses(who: str, calls: int) -> list[int]:
            return [(await sidecar.ask("/api/x", f"X-Who: {who}")).status for _ in range(calls)]

        assert await statuses("full", 4) == [200] * 4
        assert await statuses("half", 2) == [200] * 2
        await something_else(sidecar)
        assert await statuses("full", 1) == [429]
        await changed(sidecar, "per_minute = 4", "per_minute = 8")
        assert await statuses("full", 1) == [429]
        assert await statuses("half", 5) == [200] * 4 + [429]
        assert await statuses("new", 9) == [200] * 8 + [429]


@pytest.mark.parametrize(
    ("route", "limits"), [("concurrency = { max = 1 }", ""), ("", "[limits]\nmax_inflight = 1\n")], ids=["route", "all"]
)
async def test_calls_under_way_go_on_counting(route: str, limits: str) -> None:
    async with listening() as upstream, running(one(upstream.url, route=route, more=limits, path="/api/*")) as sidecar:
        busy = await sidecar.caller()
        busy.send(request("/api/1"))
        peer = await upstream.accept()
        await peer.request()
        await something_else(sidecar)
        assert refusal(await sidecar.ask("/api/2")) == (503, "overloaded")
        peer.say(OK)
        assert (await busy.answer()).status == 200
        busy.send(request("/api/3"))
        await peer.request()
        peer.say(OK)
        assert (await busy.answer()).fields["x-sidecar-config"] == "2"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("concurrency = { max = 1 }", "concurrency = { max = 2 }"),
        ("concurrency = { max = 3 }", "concurrency = { max = 2 }"),
    ],
)
async def test_calls_under_way_count_in_another_limit_too(before: str, after: str) -> None:
    async with listening() as upstream, running(one(upstream.url, route=before, path="/api/*")) as sidecar:
        busy, second = await sidecar.caller(), await sidecar.caller()
        busy.send(request("/api/1"))
        first = await upstream.accept()
        await first.request()
        await changed(sidecar, before, after)
        second.send(request("/api/2"))
        other = await upstream.accept()
        await other.request()
        assert refusal(await sidecar.ask("/api/3")) == (503, "overloaded")
        for peer, caller in ((first, busy), (other, second)):
            peer.say(OK)
            assert (await caller.answer()).status == 200


async def test_who_waits_for_a_slot_gets_it_after_the_reload() -> None:
    queue = 'concurrency = { max = 1, queue = 5, max_wait = "10s" }'
    async with listening() as upstream, running(one(upstream.url, route=queue, path="/api/*")) as sidecar:
        callers = [await sidecar.caller() for _ in range(3)]
        callers[0].send(request("/api/0"))
        peer = await upstream.accept()
        await peer.request()
        slots = sidecar.runtime.routes[0].concurrency
        assert slots is not None
        callers[1].send(request("/api/1"))
        await until(lambda: slots.waiting == 1)
        await something_else(sidecar)
        callers[2].send(request("/api/2"))
        await until(lambda: slots.waiting == 2)
        await changed(sidecar, "queue = 5", "queue = 6")
        for number, caller in enumerate(callers):
            if number:
                assert f"GET /api/{number}".encode() in await peer.request()
            peer.say(OK)
            assert (await caller.answer()).fields["x-sidecar-config"] == ("1", "1", "2")[number]


async def test_a_budget_stays_spent() -> None:
    spent = 'retry = { tries = 2, backoff = "1ms", budget = 0.0, budget_min_per_second = 0.1 }\nidempotent = true'
    keys = "circuit_breaker = false"
    async with (
        scripted(FAILED) as upstream,
        running(one(upstream.url, upstream=keys, route=spent, path="/api/*")) as sidecar,
    ):
        assert (await sidecar.ask("/api/x")).fields["x-sidecar-attempts"] == "2"  # one in ten seconds
        await something_else(sidecar)
        assert (await sidecar.ask("/api/x")).fields["x-sidecar-attempts"] == "1"


async def test_a_connection_is_kept_while_its_settings_stay_and_ends_with_them_after_its_reply() -> None:
    async with listening() as upstream, running(one(upstream.url, path="/api/*")) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/api/1"))
        peer = await upstream.accept()
        await peer.request()
        peer.say(OK)
        await caller.answer()
        await something_else(sidecar)
        caller.send(request("/api/2"))
        await peer.request()  # on the same connection
        await changed(sidecar, "[routes.r]", "pool = { max = 9 }\n[routes.r]")
        other = await sidecar.caller()
        other.send(request("/api/3"))
        fresh = await upstream.accept()
        await fresh.request()
        peer.say(OK)
        assert (await caller.answer()).fields["x-sidecar-config"] == "2"
        assert await peer.ended()
        fresh.say(OK)
        assert (await other.answer()).fields["x-sidecar-config"] == "3"


async def test_who_waits_for_a_connection_of_a_pool_that_is_dropped_gets_one() -> None:
    pool = "pool = { max = 1 }"
    wait = 'timeout = { connect = "10s" }'
    async with (
        listening() as upstream,
        running(one(upstream.url, upstream=f"{pool}\n{wait}", path="/api/*")) as sidecar,
    ):
        busy, waiting = await sidecar.caller(), await sidecar.caller()
        busy.send(request("/api/1"))
        peer = await upstream.accept()
        await peer.request()
        waiting.send(request("/api/2"))
        (service,) = sidecar.runtime.services().values()
        await until(lambda: service.pools[0].stats().waiting == 1)
        await changed(sidecar, "max = 1", "max = 9")
        peer.say(OK)
        assert (await busy.answer()).status == 200
        late = await upstream.accept()
        await late.request()
        late.say(OK)
        answer = await waiting.answer()
        assert (answer.status, answer.fields["x-sidecar-config"], answer.fields["x-sidecar-attempts"]) == (
            200,
            "1",
            "1",
        )
