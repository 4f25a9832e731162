"""Two sidecars, one Redis, `share_breakers = true`: what one's calls have shown makes the other notice sooner."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sidecar.standins.faults import HEALTHY, Fault, Kind
from sidecar.stores.news_message import CHANNEL
from tests.kit.caller import PATIENCE
from tests.kit.redis_server import redis_server
from tests.kit.running import one, running
from tests.kit.standin import StandIn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.kit.redis_server import RedisServer
    from tests.kit.running import Running

DOWN = Fault(Kind.FAIL, status=503)
BREAKER = (
    "circuit_breaker = { failure_threshold = 3, failure_rate = 0, success_threshold = 1, "
    'recovery_first = "60s", recovery_timeout = "60s" }'
)


def policy(url: str, redis: RedisServer, *, share: str = "share_breakers = true") -> str:
    """No retries: each call tells the breaker once. What is open stays so for a minute by itself."""
    return one(url, upstream=BREAKER, route="retry = { tries = 1 }", more=f'[redis]\nurl = "{redis.url}"\n{share}\n')


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - nothing tells when news has come
            await asyncio.sleep(0.005)


def state(sidecar: Running) -> str:
    return sidecar.runtime.breakers()["a"].state


def news(sidecar: Running, kind: str) -> float:
    return sidecar.daemon._telemetry.metrics.store_news.child("redis", kind).value


def suspects(sidecar: Running) -> bool:
    return "suspected" in sidecar.runtime.breakers()["a"].snapshot()


async def ask(sidecar: Running, times: int = 1) -> list[int]:
    return [(await sidecar.ask("/")).status for _ in range(times)]


async def listens(*sidecars: Running) -> None:
    def all_do() -> bool:
        return all(each.runtime.news is not None and each.runtime.news.listens for each in sidecars)

    await until(all_do)


@asynccontextmanager
async def fleet(share: str = "share_breakers = true") -> AsyncIterator[tuple[Running, Running, StandIn, RedisServer]]:
    async with redis_server() as redis, StandIn() as upstream:
        text = policy(upstream.url, redis, share=share)
        async with running(text) as a, running(text) as b:
            if "true" in share:
                await listens(a, b)
            yield a, b, upstream, redis


async def test_where_one_has_opened_the_other_opens_at_its_first_failure_and_both_notice_the_recovery() -> None:
    async with fleet() as (a, b, upstream, _):
        upstream.fault = DOWN
        assert await ask(a, 3) == [503] * 3
        assert state(a) == "open"
        await until(lambda: suspects(b))
        assert state(b) == "closed", "nobody opens it by a word"
        seen = upstream.requests
        assert await ask(b, 3) == [503] * 3
        assert (state(b), upstream.requests - seen) == ("open", 1)

        upstream.fault = HEALTHY
        b.runtime.breakers()["a"].hurry()  # its minute is over
        assert await ask(b) == [200]
        await until(lambda: state(a) == "half_open")
        assert await ask(a) == [200]
        assert (state(a), state(b)) == ("closed", "closed")
        await until(lambda: news(b, "heard") == 2)
        assert [news(each, kind) for each in (a, b) for kind in ("sent", "heard")] == [2, 1, 1, 2]
        assert (await b.log.saying("moved in another sidecar"))["told"] == "open"


async def test_a_success_ends_the_suspicion() -> None:
    async with fleet() as (a, b, upstream, _):
        upstream.fault = DOWN
        await ask(a, 3)
        await until(lambda: suspects(b))
        upstream.fault = HEALTHY
        assert await ask(b) == [200]
        upstream.fault = DOWN
        await ask(b, 2)
        assert state(b) == "closed"


async def test_what_is_not_shared_is_not_told() -> None:
    async with fleet(share="") as (a, b, upstream, redis):
        upstream.fault = DOWN
        await ask(a, 3)
        await ask(b, 2)
        assert (state(a), state(b)) == ("open", "closed")
        assert a.runtime.news is None
        assert await redis.ask("PUBLISH", CHANNEL, "?") == ":0"
        assert (news(a, "sent"), news(b, "heard")) == (0, 0)


async def test_what_a_hand_has_opened_is_not_told_and_stays_open() -> None:
    async with fleet() as (a, b, upstream, _):
        a.runtime.breakers()["a"].force_open()
        upstream.fault = DOWN
        await ask(b, 3)
        upstream.fault = HEALTHY
        b.runtime.breakers()["a"].hurry()
        await ask(b)
        await until(lambda: news(a, "heard") == 2)
        assert await ask(a) == [503]
        assert news(a, "sent") == 0


async def test_without_redis_each_is_as_it_would_be_alone_and_no_call_waits() -> None:
    async with fleet() as (a, b, upstream, redis):
        redis.freeze()
        upstream.fault = DOWN
        assert await ask(a, 4) == [503] * 4
        assert await ask(b, 2) == [503] * 2
        assert (state(a), state(b)) == ("open", "closed")
        redis.thaw()
        await redis.stop()
        await b.log.saying("breaker news are not heard")  # of either: one process, one log
        view = a.daemon.view
        assert view is not None
        await until(lambda: view.checks()["breaker_news"].startswith("not heard: "))
        await redis.start()
        await listens(a, b)
        assert view.checks()["breaker_news"] == "ok"


async def test_a_reload_keeps_the_connection_and_may_end_it() -> None:
    async with fleet() as (a, b, upstream, redis):
        before = a.runtime.news
        text = a.file.read_text()
        a.file.write_text(text.replace('"60s", recovery_timeout', '"50s", recovery_timeout'))
        await a.daemon.reload()
        assert a.runtime.news is before
        upstream.fault = DOWN
        await ask(b, 3)
        await until(lambda: suspects(a))
        assert await ask(a) == [503]
        assert state(a) == "open"

        a.file.write_text(text.replace("share_breakers = true", ""))
        told = await a.daemon.reload()
        assert told["dropped"] == ["news"]
        assert a.runtime.news is None
        a.file.write_text(text)
        told = await a.daemon.reload()
        assert told["made"] == ["news"]
        await listens(a)
        assert await redis.ask("PUBLISH", CHANNEL, "?") == ":2"
