"""Breaker news over a real Redis: heard, told, lost and found again."""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from redis import Redis

from sidecar.settings import RedisSettings
from sidecar.stores.news import HEARD_MOST
from sidecar.stores.news_message import CHANNEL
from sidecar.stores.news_wire import NewsWire
from tests.kit.addresses import black_hole, free_port
from tests.kit.breakers import play
from tests.kit.caller import PATIENCE
from tests.kit.commands import ROOT
from tests.kit.redis_server import redis_server
from tests.stores.test_news import OPEN, One

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import pytest


QUIET = 1.0
"""Seconds of silence after which Redis is asked, and as long has it to answer: a busy machine is not a silent one."""


def pings(url: str) -> int:
    """How often that Redis has been asked whether it is there, by whoever may."""
    with Redis.from_url(url, protocol=2) as redis:
        return int(redis.info("commandstats")["cmdstat_ping"]["calls"])


async def until(holds: Callable[[], bool]) -> None:
    """Nothing tells when a message has come."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - what is waited for is no event
            await asyncio.sleep(0.005)


@asynccontextmanager
async def wired(url: str, sender: str, *, quiet: float = 15.0) -> AsyncIterator[tuple[One, NewsWire]]:
    """One sidecar's news on the wire; waits are the shortest that chance gives."""
    one = One(sender)
    wire = NewsWire(RedisSettings(url=url), one.news, lambda: 0.0, quiet=quiet)
    wire.follow(one.guards)
    try:
        yield one, wire
    finally:
        await wire.aclose()


async def test_one_tells_and_the_other_hears() -> None:
    async with redis_server() as redis, wired(redis.url, "a") as (a, wire_a), wired(redis.url, "b") as (b, wire_b):
        await until(lambda: wire_a.listens and wire_b.listens)
        play(a.breaker, "---")
        await until(lambda: bool(b.heard.changes))
        assert b.heard.changes == [("orders", "open", "a")]
        assert play(b.breaker, "-") == "open"
        a.clock.advance(10)
        play(a.breaker, "+")
        await until(lambda: b.breaker.state == "half_open")
        assert play(b.breaker, "+") == "closed"
        await until(lambda: a.heard.kinds == ["sent", "sent", "heard"])
        assert a.heard.changes == []


async def test_redis_begun_again_is_found_again_and_its_loss_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with redis_server() as redis, wired(redis.url, "a") as (a, wire):
        await until(lambda: wire.listens)
        await redis.stop()
        await until(lambda: not wire.listens)
        play(a.breaker, "---")
        await until(lambda: a.heard.kinds == ["dropped"])
        await redis.start()
        await until(lambda: wire.listens)
        await redis.ask("PUBLISH", CHANNEL, OPEN._replace(to="closed").encoded().decode())
        await until(lambda: a.breaker.state == "half_open")
    said = [record.getMessage().partition(":")[0] for record in caplog.records if "breaker news" in record.getMessage()]
    assert said == ["breaker news are not heard", "breaker news are heard again"]


async def test_a_redis_that_says_nothing_any_more_is_left() -> None:
    async with redis_server() as redis, wired(redis.url, "a", quiet=0.05) as (a, wire):
        await until(lambda: wire.listens)
        redis.freeze()
        await until(lambda: not wire.listens)
        play(a.breaker, "---")
        await until(lambda: a.heard.kinds == ["dropped"])
        redis.thaw()
        await until(lambda: wire.listens)


async def test_one_that_is_merely_quiet_is_asked_and_kept() -> None:
    async with redis_server() as redis, wired(redis.url, "a", quiet=QUIET) as (_, wire):
        await until(lambda: wire.listens)
        before = pings(redis.url)
        await until(lambda: pings(redis.url) >= before + 2)
        assert wire.listens
        assert not wire._told_of_loss


async def test_a_flood_is_hung_up_on_and_heard_again_later() -> None:
    async with redis_server() as redis, wired(redis.url, "a") as (a, wire):
        await until(lambda: wire.listens)
        await asyncio.gather(*(redis.ask("PUBLISH", CHANNEL, "?") for _ in range(HEARD_MOST + 1)))
        await until(lambda: not wire.listens)
        assert wire.state == "not heard: too many came at once"
        assert a.heard.kinds == ["malformed"] * HEARD_MOST + ["dropped"]
        a.clock.advance(1)
        await until(lambda: wire.listens)
        await redis.ask("PUBLISH", CHANNEL, OPEN.encoded().decode())
        await until(lambda: bool(a.heard.changes))


async def test_who_may_not_listen_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    async with redis_server() as redis:
        await redis.ask("ACL", "SETUSER", "limits", "on", ">secret", "~*", "+@all", "resetchannels")
        url = redis.url.replace("redis://", "redis://limits:secret@")
        async with wired(url, "a") as (a, wire):
            await until(lambda: "breaker news are not heard" in caplog.text)
            assert "permissions" in caplog.text
            assert "secret" not in caplog.text
            play(a.breaker, "---")
            await until(lambda: a.heard.kinds == ["dropped"])
            assert wire.state.startswith("not heard: ")


async def test_the_rights_that_the_page_names_are_enough() -> None:
    rights = re.search(r"`(&sidecar:breakers [^`]+)`", (ROOT / "docs" / "fleet.md").read_text())
    assert rights is not None
    async with redis_server() as redis:
        await redis.ask("ACL", "SETUSER", "news", "on", ">secret", "resetchannels", *rights[1].split())
        url = redis.url.replace("redis://", "redis://news:secret@")
        async with wired(url, "a", quiet=QUIET) as (a, wire), wired(url, "b") as (b, other):
            await until(lambda: wire.listens and other.listens)
            before = pings(redis.url)
            await until(lambda: pings(redis.url) > before)
            play(b.breaker, "---")
            await until(lambda: a.heard.kinds == ["heard"])


async def test_where_nobody_is_or_nobody_answers_it_closes_at_once() -> None:
    with black_hole() as silent:
        for port in (free_port(), silent):
            async with wired(f"redis://127.0.0.1:{port}", "a") as (a, wire):
                play(a.breaker, "---")
                await asyncio.sleep(0)
                async with asyncio.timeout(PATIENCE):
                    await wire.aclose()
                assert not wire.listens


async def test_begun_twice_it_listens_once() -> None:
    async with redis_server() as redis, wired(redis.url, "a") as (one, wire):
        wire.follow(one.guards)
        await until(lambda: wire.listens)
        assert await redis.ask("PUBLISH", CHANNEL, "?") == ":1"


async def test_what_is_no_redis_at_all_is_tried_again() -> None:
    async def other(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(other, "127.0.0.1", 0)
    async with server, wired(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", "a") as (_, wire):
        await until(lambda: wire._told_of_loss)
        assert all(not task.done() for task in wire._tasks)


async def test_it_closes_whatever_it_does_at_that_moment() -> None:
    """`wait_for` would swallow the cancellation at some of them."""
    async with redis_server() as redis:
        for turns in range(60):
            async with wired(redis.url, "a") as (_, wire):
                for _ in range(turns):
                    await asyncio.sleep(0)
                async with asyncio.timeout(PATIENCE):
                    await wire.aclose()


async def test_not_even_an_answer_that_upsets_the_client_ends_the_listening() -> None:
    async def nested(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"*1\r\n" * 5000)
        writer.close()

    server = await asyncio.start_server(nested, "127.0.0.1", 0)
    async with server, wired(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", "a") as (a, wire):
        await until(lambda: "recursion" in wire.state)
        play(a.breaker, "---")
        await until(lambda: a.heard.kinds == ["dropped"])
        assert not any(task.done() for task in wire._tasks)
