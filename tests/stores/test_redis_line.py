"""The connection by which decisions go to Redis together."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ResponseError

from sidecar.policy.limiter import Window
from sidecar.settings import RedisSettings
from sidecar.stores.redis_line import Line, Patience
from sidecar.stores.redis_script import decision, given
from tests.kit.redis_server import redis_server

if TYPE_CHECKING:
    from tests.kit.redis_server import RedisServer

SIXTY = given([Window(60, 60.0, 60)])


def one(key: bytes = b"sidecar:{k:}") -> Any:
    return lambda _: decision(key, SIXTY, 1.0, 0.0)


def line(redis: RedisServer) -> Line:
    return Line(RedisSettings(url=redis.url))


async def free(line: Line, asked: list[Any]) -> list[float]:
    return [float(answer[1]) for answer in await line.ask(asked, Patience(5.0))]


async def test_what_is_asked_together_is_answered_in_order_over_one_connection() -> None:
    async with redis_server() as redis:
        ours = line(redis)
        assert await free(ours, [one(), one(b"sidecar:{j:}"), one()]) == pytest.approx([59, 59, 58], abs=0.5)
        era = ours.era
        assert len(await free(ours, [one()] * 3000)) == 3000
        assert ours.era is era
        await ours.aclose()


async def test_redis_is_told_the_script_when_it_does_not_know_it() -> None:
    async with redis_server() as redis:
        ours = line(redis)
        await free(ours, [one()])
        assert await redis.ask("SCRIPT", "FLUSH") == "+OK"
        assert await free(ours, [one(), one()]) == pytest.approx([58, 57], abs=0.9)
        await ours.aclose()


async def test_one_that_was_begun_again_is_found_again_at_once() -> None:
    async with redis_server() as redis:
        ours = line(redis)
        await free(ours, [one()])
        era = ours.era
        await redis.stop()
        await redis.start()
        assert await free(ours, [one()]) == [59.0]
        assert ours.era is not era, "what it was told before it may have forgotten"
        await ours.aclose()


async def test_an_error_is_the_answer_of_the_one_that_had_it() -> None:
    async with redis_server() as redis:
        await redis.ask("SET", "theirs", "x")
        ours = line(redis)
        first, second = await ours.ask([one(b"theirs"), one()], Patience(5.0))
        assert isinstance(first, ResponseError)
        assert float(second[1]) == 59.0
        await ours.aclose()


async def test_without_an_answer_the_connection_is_left() -> None:
    """The answer of the one before would be read as that of the next."""
    async with redis_server() as redis:
        ours = line(redis)
        await free(ours, [one()])
        redis.freeze()
        with pytest.raises(TimeoutError):
            await ours.ask([one()], Patience(0.05))
        redis.thaw()
        assert await free(ours, [one(b"sidecar:{other:}")]) == [59.0]
        await ours.aclose()


async def test_a_loop_that_was_busy_is_no_fault_of_redis() -> None:
    async with redis_server() as redis:
        ours = line(redis)
        asked = asyncio.ensure_future(ours.ask([one()], Patience(0.1)))
        for _ in range(3):
            await asyncio.sleep(0)
            time.sleep(0.2)  # noqa: ASYNC251 - the loop is held up, as by a crowd of callers
        assert float((await asked)[0][1]) == 59.0
        await ours.aclose()


async def test_patience_ends() -> None:
    patience, began = Patience(0.05), time.monotonic()
    with pytest.raises(TimeoutError):
        async with patience.run():
            await asyncio.Event().wait()
    assert time.monotonic() - began > 0.04
    assert patience.spent == pytest.approx(0.05)
