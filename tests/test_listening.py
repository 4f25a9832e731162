"""All listeners of a process: open together or not at all, told where they are, closed in order."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import grpc.aio
import pytest

from tests.kit.addresses import free_port
from tests.kit.caller import PATIENCE
from tests.kit.peer import listening
from tests.kit.rpc import channel_to, echo, hang, routed, rpc_service
from tests.kit.rpc_caller import OWN_CONNECTION, ask, ask_unary, closed, opened, relayed, told
from tests.kit.running import one, running, until

if TYPE_CHECKING:
    from pathlib import Path

NOWHERE = "grpc://127.0.0.1:1"


def at(address: str, url: str = NOWHERE) -> str:
    return routed(url).replace('grpc = "127.0.0.1:0"', f'grpc = "{address}"')


async def test_a_name_that_nobody_has_is_told_as_such() -> None:
    with pytest.raises(OSError, match=r"listen\.grpc: cannot listen on nobody\.invalid:1: (?!Unknown error)\w"):
        async with running(at("nobody.invalid:1")):
            pass


async def test_an_address_that_is_taken_is_told_by_its_key() -> None:
    async with running(routed(NOWHERE)) as first:
        address = first.daemon.addresses["grpc"]
        with pytest.raises(OSError, match=rf"listen\.grpc: cannot listen on {address}: .*another sidecar running"):
            async with running(at(address)):
                pass


async def test_a_unix_socket_that_is_in_use_is_not_taken_over(tmp_path: Path) -> None:
    async with rpc_service(echo) as service, running(at(f"unix:{tmp_path}/s", service.url)) as first:
        with pytest.raises(OSError, match=r"listen\.grpc"):
            async with running(at(f"unix:{tmp_path}/s")):
                pass
        async with channel_to(first) as channel:
            assert (await ask_unary(channel)).code == "OK"


async def test_a_unix_socket_that_was_left_behind_is_used_again(tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(f"{tmp_path}/s")
    left.close()
    async with (
        rpc_service(echo) as service,
        running(at(f"unix:{tmp_path}/s", service.url)) as sidecar,
        channel_to(sidecar) as channel,
    ):
        assert (await ask_unary(channel)).code == "OK"


async def test_if_one_listener_cannot_open_none_does() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = free_port()
        policy = at(f"127.0.0.1:{port}").replace('admin = ""', f'admin = "127.0.0.1:{taken.getsockname()[1]}"')
        with pytest.raises(OSError, match=r"listen\.admin"):
            async with running(policy):
                pass
    await closed(f"127.0.0.1:{port}")


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "localhost:0"])
async def test_where_it_really_listens_is_told(address: str) -> None:
    async with rpc_service(echo) as service, running(at(address, service.url)) as sidecar:
        bound = sidecar.daemon.addresses["grpc"]
        assert not bound.endswith(":0")
        async with grpc.aio.insecure_channel(bound) as channel:
            assert (await ask_unary(channel)).code == "OK"


async def test_without_a_grpc_address_there_is_none() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        assert "http" in sidecar.daemon.addresses
        assert sidecar.daemon._listening is not None
        assert sidecar.daemon._listening.rpcs == 0


async def test_a_drain_lets_calls_end_takes_no_new_ones_and_then_ends() -> None:
    async with relayed(echo, more='[limits]\ndrain = "10m"') as on:
        rpc = opened(on.channel)
        await rpc.write(b"1")
        assert await rpc.read() == b"1"
        on.sidecar.daemon.stop()
        ending = asyncio.create_task(on.sidecar.daemon.run())
        view = on.sidecar.daemon.view
        assert view is not None
        await until(lambda: view.runtime.engine.draining)
        await closed(on.sidecar.grpc)
        async with channel_to(on.sidecar, OWN_CONNECTION) as late:
            assert (await ask(late, b"2")).code == "UNAVAILABLE"
        await rpc.write(b"3")
        assert await rpc.read() == b"3"
        assert not ending.done()
        await rpc.done_writing()
        assert (await told(rpc)).short == ("OK", [])
        async with asyncio.timeout(PATIENCE):
            await ending
        assert len(on.service.seen) == 1


async def test_while_it_lingers_a_call_is_taken_as_ever() -> None:
    """An application in the same pod may outlive our signal."""
    lingers = '[limits]\nlinger = "200ms"'
    async with (
        rpc_service(echo) as service,
        running(routed(service.url, more=lingers), on_terminal=False) as sidecar,
        channel_to(sidecar) as channel,
    ):
        sidecar.daemon.stop()
        ending = asyncio.create_task(sidecar.daemon.run())
        await sidecar.log.saying("draining")
        assert (await ask(channel, b"1")).short == ("OK", [b"1"])
        await ending


async def test_at_the_end_of_a_drain_calls_are_cut_and_logged() -> None:
    async with relayed(hang, more='[limits]\ndrain = "200ms"') as on:
        rpc = opened(on.channel, metadata=(("x-request-id", "cut"),))
        await rpc.write(b"1")
        seen = await on.service.call()
        on.sidecar.daemon.stop()
        async with asyncio.timeout(PATIENCE):
            await on.sidecar.daemon.run()
            assert (await told(rpc)).code == "UNAVAILABLE"
            await seen.cancelled.wait()
        assert (await on.sidecar.log.call("cut"))["outcome"] == "caller_left"


async def test_a_reload_changes_who_may_call() -> None:
    async with relayed(echo) as on:
        assert (await ask(on.channel, b"1")).code == "OK"
        policy = on.sidecar.file.read_text()
        on.sidecar.file.write_text(policy.replace("[listen]\n", '[listen]\nhttp_token = "t"\n'))
        await on.sidecar.daemon.reload()
        assert (await ask(on.channel, b"1")).code == "PERMISSION_DENIED"
        assert (await ask(on.channel, b"1", metadata=(("x-sidecar-token", "t"),))).code == "OK"


async def test_a_reload_changes_which_methods_are_known_to_be_unary() -> None:
    async with relayed(echo) as on:
        assert (await ask(on.channel, b"1", b"2")).messages == [b"1", b"2"]
        policy = on.sidecar.file.read_text()
        on.sidecar.file.write_text(policy.replace('protocol = "grpc"', 'protocol = "grpc"\nunary = ["p.S/M"]'))
        await on.sidecar.daemon.reload()
        assert (await ask(on.channel, b"1")).messages == [b"1"]
        assert on.sidecar.runtime.methods.is_unary(b"/p.S/M")
