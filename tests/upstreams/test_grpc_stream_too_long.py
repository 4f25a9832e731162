"""A reply's message that is longer than we take, on a call of unknown kind: the status says so, also while we send.

C-core ends such a call while its last batch is on the way; grpcio then raises an error of its own kind there.
"""

from __future__ import annotations

import grpc.aio
import pytest

from tests.kit.rpc import channel_to, routed, rpc_service, says
from tests.kit.running import running

SMALL = "[limits]\nmax_body_bytes = 1000"


async def test_a_message_that_is_too_long_is_no_bug_of_ours() -> None:
    async with (
        rpc_service(says(b"x" * 5000)) as service,
        running(routed(service.url, more=SMALL)) as sidecar,
        channel_to(sidecar) as channel,
    ):
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/p.S/M")
        for _ in range(20):
            with pytest.raises(grpc.aio.AioRpcError, match="larger than max") as ended:
                await method(b"", timeout=20)
            assert ended.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
