"""The port beside the gateway, and the command."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest

from sidecar.standins.c_gateway import CGateway
from sidecar.standins.c_gateway_control import Control
from sidecar.standins.c_gateway_faults import WELL, GatewayFault, GatewayKind
from tests.kit.c_gateway import ask, connected, decide
from tests.kit.caller import PATIENCE
from tests.kit.commands import process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

COMMAND = (sys.executable, "-m", "sidecar.standins.c_gateway", "--port", "0")


@asynccontextmanager
async def running() -> AsyncIterator[tuple[CGateway, aiohttp.ClientSession]]:
    async with CGateway(say=lambda _: None) as gateway:
        control = Control(gateway)
        async with aiohttp.ClientSession(await control.start()) as person:
            yield gateway, person
        await control.stop()


async def test_a_person_switches_the_fault_and_reads_how_it_went() -> None:
    async with running() as (gateway, person):
        async with person.post("/_fault", json={"kind": "not-json"}) as reply:
            assert (await reply.json())["fault"]["kind"] == "not-json"
        assert b"this is not json" in await ask(gateway, decide())
        async with person.get("/_fault") as reply:
            told = await reply.json()
        assert (told["requests"], told["faulty"], told["died"], told["most_at_once"]) == (1, 1, False, 1)


@pytest.mark.parametrize("asked", [{"kind": "explode"}, ["slow"], {"kind": "slow", "delay": -1}])
async def test_a_fault_that_cannot_be_is_refused(asked: object) -> None:
    async with running() as (gateway, person), person.post("/_fault", json=asked) as reply:
        assert reply.status == 400
        assert (await reply.json())["error"]
        assert gateway.fault == WELL


async def test_a_body_that_is_no_json_is_refused() -> None:
    async with running() as (_, person), person.post("/_fault", data=b"slow") as reply:
        assert reply.status == 400


async def test_a_person_revives_it() -> None:
    async with running() as (gateway, person):
        await gateway.switch(GatewayFault(GatewayKind.SLOW, delay=0.01))
        async with connected(gateway) as caller:
            await asyncio.get_running_loop().sock_sendall(caller, decide())
        async with asyncio.timeout(PATIENCE):
            await gateway.death.wait()
        async with person.get("/_fault") as reply:
            assert (await reply.json())["died"]
        async with person.post("/_revive") as reply:
            assert not (await reply.json())["died"]
        assert b"200 OK" in await ask(gateway, decide())


async def line(command: asyncio.subprocess.Process) -> str:
    """The next one that it prints."""
    assert command.stdout is not None
    async with asyncio.timeout(PATIENCE):
        return (await command.stdout.readline()).decode()


async def test_the_command_prints_what_to_try_and_it_works() -> None:
    async with process(*COMMAND, "--control", "0", "--mode", "router", "--fault", "false-empty") as command:
        assert re.fullmatch(r"c-gateway http://127\.0\.0\.1:\d+ router false-empty\n", await line(command))
        control = (await line(command)).split()[1]
        async with aiohttp.ClientSession() as person, person.post(f"{control}/_fault", json={"kind": "none"}):
            pass
        said = ""
        while "policy" not in said:
            said += await line(command)
        shell = said[said.index("curl") :].strip()
        curl = await asyncio.create_subprocess_shell(shell, stdout=asyncio.subprocess.PIPE, stderr=-3)
        answer, _ = await curl.communicate()
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b'"provider_id": "openai:gpt-4o"' in answer
        command.terminate()
        async with asyncio.timeout(PATIENCE):
            assert await command.wait() == 0


async def test_without_a_control_port_the_command_dies_as_the_real_one_does() -> None:
    async with process(*COMMAND, "--fault", "slow:delay=0.1") as command:
        gateway = CGateway(port=int((await line(command)).split()[1].rpartition(":")[2]))
        async with connected(gateway) as caller:
            await asyncio.get_running_loop().sock_sendall(caller, decide())
        async with asyncio.timeout(PATIENCE):
            assert await command.wait() == 128 + signal.SIGPIPE
