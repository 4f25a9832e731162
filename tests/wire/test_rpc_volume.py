"""Many calls: nothing is left of them, whatever their kind and their end."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from typing import TYPE_CHECKING

from tests.kit.inventory import EVERY, GRPCIOS, more_than
from tests.kit.rpc import echo, fail
from tests.kit.rpc_caller import METHOD, ask, ask_unary, opened, opened_unary, relayed, told
from tests.kit.running import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.kit.rpc_caller import Relay

LOOKS = 3

SERVERS = 2
"""The sidecar's, and that of its upstream."""

UNARY = f'unary = ["{METHOD[1:]}"]'
OF_A_CALL = {
    "Call", "Reply", "Exchange", "ChainRun", "Attempts", "Waits", "Timer", "Messages", "StreamedCall", "Incoming",
    "Permit", "Answers", "_Origin", "Task", "UnaryUnaryCall", "StreamStreamCall", "_ServicerContext", "RPCState",
}  # fmt: skip


def alive() -> Counter[str]:
    """How many there are of what each call makes, and how many tasks have not ended."""
    gc.collect()
    names = (type(each).__name__ for each in gc.get_objects())
    found = Counter(name for name in names if name in OF_A_CALL)
    found["a task under way"] = len(asyncio.all_tasks())
    return found


async def nothing_is_left(on: Relay, batch: Callable[[], Awaitable[None]], times: int) -> None:
    """`batch`, that many times, after one that fills what is filled once."""
    await batch()
    await quiet(on)
    before = alive()
    for _ in range(LOOKS):  # a call whose deadline passed at once may come to a server later than this
        await asyncio.sleep(EVERY)
        before |= alive()
    for _ in range(times):
        await batch()
    await quiet(on)
    more = await more_than(before, alive)
    assert not more, more


async def quiet(on: Relay) -> None:
    """Until no call is under way, on either side."""
    listening = on.sidecar.daemon._listening
    assert listening is not None
    await until(lambda: listening.rpcs == 0)
    on.service.seen.clear()
    for _ in range(3):  # what was cancelled has its turn
        await asyncio.sleep(0.01)
    await until(lambda: waiting() == SERVERS)


def waiting() -> int:
    """How many of grpcio's servers have asked for their next call: what that takes is there, but for a moment."""
    return sum(getattr(task.get_coro(), "__qualname__", "") == GRPCIOS for task in asyncio.all_tasks())


async def test_two_thousand_unary_calls() -> None:
    async with relayed(echo, upstream=UNARY) as on:

        async def batch() -> None:
            rpcs = [opened_unary(on.channel, b"%d" % number) for number in range(100)]
            assert [await rpc for rpc in rpcs] == [b"%d" % number for number in range(100)]

        await nothing_is_left(on, batch, 20)


async def test_eight_hundred_streams() -> None:
    async with relayed(echo) as on:

        async def batch() -> None:
            answers = await asyncio.gather(*(ask(on.channel, b"1", b"2") for _ in range(200)))
            assert {answer.code for answer in answers} == {"OK"}

        await nothing_is_left(on, batch, 4)


async def test_calls_that_fail_or_whose_callers_leave() -> None:
    async with relayed(echo, upstream="circuit_breaker = false", route="idempotent = true") as on:

        async def batch() -> None:
            on.service.behaviours[:] = [fail("UNAVAILABLE"), fail("NOT_FOUND"), echo] * 10 + [echo]
            on.service.seen.clear()
            for number in range(50):
                await (ask(on.channel, b"1") if number % 2 else ask_unary(on.channel, b"1"))
            rpcs = [opened(on.channel) for _ in range(50)]
            for rpc in rpcs:
                await rpc.write(b"1")
                assert await rpc.read() == b"1"
            for rpc in rpcs:
                rpc.cancel()
            late = await asyncio.gather(*(ask(on.channel, method="/p.S/None", seconds=0.0001) for _ in range(20)))
            assert {answer.code for answer in late} <= {"DEADLINE_EXCEEDED", "OK"}

        await nothing_is_left(on, batch, 5)


async def test_a_thousand_streams_at_once() -> None:
    async with relayed(echo) as on:
        rpcs = [opened(on.channel) for _ in range(1000)]
        for rpc in rpcs:
            await rpc.write(b"1")
        assert {await rpc.read() for rpc in rpcs} == {b"1"}
        listening = on.sidecar.daemon._listening
        assert listening is not None
        assert listening.rpcs == 1000
        for rpc in rpcs:
            await rpc.done_writing()
        assert {(await told(rpc)).code for rpc in rpcs} == {"OK"}
        await quiet(on)
        assert not [task for task in asyncio.all_tasks() if "message" in task.get_name()]
