"""What gRPC's C core would write to stderr by itself: nothing, unless it is asked to."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import grpc.aio
import pytest

from sidecar.cli import app
from tests.kit.caller import PATIENCE
from tests.kit.commands import SIDECAR
from tests.kit.rpc import routed, rpc_service, says

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from pathlib import Path


async def address_of(sidecar: Process) -> str:
    assert sidecar.stdout is not None
    async with asyncio.timeout(PATIENCE):
        while b'"grpc":"' not in (line := await sidecar.stdout.readline()):
            assert line
    return line.partition(b'"grpc":"')[2].partition(b'"')[0].decode()


@pytest.mark.parametrize(("asked", "told"), [({}, False), ({"GRPC_VERBOSITY": "INFO"}, True)])
async def test_that_a_server_went_away_is_not_told_twice(asked: dict[str, str], told: bool, tmp_path: Path) -> None:
    file = tmp_path / "sidecar.toml"
    env = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"} | asked
    async with rpc_service(says(b"hi")) as service:
        file.write_text(routed(service.url, more='[limits]\nlinger = "0s"'))
        sidecar = await asyncio.create_subprocess_exec(
            SIDECAR, "run", "-c", str(file), env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            channel = grpc.aio.insecure_channel(await address_of(sidecar))
            method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/p.S/M")
            assert await method(b"") == b"hi"
        except BaseException:
            sidecar.kill()
            raise
    with pytest.raises(grpc.aio.AioRpcError):
        await method(b"", timeout=PATIENCE)
    await channel.close()
    sidecar.terminate()
    async with asyncio.timeout(PATIENCE):
        _, said = await sidecar.communicate()
    assert bool(said) is told, said.decode()


@pytest.mark.parametrize(("asked", "resolver"), [(None, "native"), ("ares", "ares")])
def test_names_are_resolved_as_for_http_unless_another_way_is_asked_for(
    asked: str | None, resolver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "app", lambda **_: None)
    monkeypatch.setenv("GRPC_VERBOSITY", "NONE")
    monkeypatch.setenv("GRPC_DNS_RESOLVER", asked or "")
    if asked is None:
        monkeypatch.delenv("GRPC_DNS_RESOLVER")
    app.main()
    assert os.environ["GRPC_DNS_RESOLVER"] == resolver
