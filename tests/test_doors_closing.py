"""How a gRPC door closes: for nobody longer than for those who have a call under way, and for them long enough."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sidecar import doors
from tests.kit.caller import PATIENCE
from tests.kit.rpc import says
from tests.kit.rpc_caller import METHOD, closed, opened, relayed, told
from tests.kit.running import until

if TYPE_CHECKING:
    import pytest

    from sidecar.doors import GrpcDoor
    from tests.kit.running import Running

UNARY = f'unary = ["{METHOD[1:]}"]'


def grpc_door(sidecar: Running) -> GrpcDoor:
    assert sidecar.daemon._listening is not None
    (door,) = sidecar.daemon._listening._rpc_doors()
    return door


async def test_a_call_that_no_handler_is_given_holds_up_no_end() -> None:
    """C-core may keep one that comes in the moment of a stop. Here it is a unary one whose message never comes."""
    async with relayed(says(b"1"), upstream=UNARY) as on:
        door = grpc_door(on.sidecar)
        held = opened(on.channel, timeout=None)
        await until(lambda: len(door.rpc._handlers) == 1)
        assert door.rpc.unsent == 0
        async with asyncio.timeout(PATIENCE):
            await door.close(100 * PATIENCE)
            assert (await told(held)).code == "UNAVAILABLE"


async def test_an_answer_that_is_taken_slowly_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our handler has ended, and grpcio has what is left to send."""
    monkeypatch.setattr(doors, "LETS_GO", 0.01)
    answer = b"x" * 3_000_000
    narrow = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65536))
    async with relayed(says(answer), upstream=UNARY, options=narrow) as on:
        door = grpc_door(on.sidecar)
        rpc = opened(on.channel, metadata=(("x-request-id", "slow"),), timeout=None)
        await rpc.write(b"1")
        await rpc.done_writing()
        await on.sidecar.log.call("slow")
        await until(lambda: door.rpc.calls == 0)
        assert door.rpc.unsent == 1
        closing = asyncio.create_task(door.close(100 * PATIENCE))
        await closed(on.sidecar.grpc)
        for _ in range(20):  # looks, each of which finds the call under way
            await asyncio.sleep(doors.LETS_GO)
        assert not closing.done()
        assert (await told(rpc)).short == ("OK", [answer])
        async with asyncio.timeout(PATIENCE):
            await closing
        assert door.rpc.unsent == 0
