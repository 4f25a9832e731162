"""Where it is served, and how it stops."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import aiohttp
import pytest

from sidecar.accepting import bind
from sidecar.admin import server as admin_server
from sidecar.admin.api import admin_app
from sidecar.admin.server import serve
from sidecar.settings.address import Address
from tests.kit.caller import PATIENCE
from tests.kit.running import one, running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.fake_view import FakeView


async def test_a_unix_socket(view: FakeView, tmp_path: Path) -> None:
    path = str(tmp_path / "admin.sock")
    server = await serve(admin_app(view), bind(Address(unix=path)))
    assert server.address == f"unix:{path}"
    async with (
        aiohttp.ClientSession("http://sidecar", connector=aiohttp.UnixConnector(path)) as session,
        session.get("/livez") as answer,
    ):
        assert answer.status == 200
    await server.aclose()


@pytest.mark.parametrize("path", ["/livez", "/", "/no-such-path", "/live"])
async def test_no_answer_tells_which_versions_run(view: FakeView, path: str) -> None:
    server = await serve(admin_app(view), bind(Address("127.0.0.1", 0)))
    async with aiohttp.ClientSession(f"http://{server.address}") as session, session.get(path) as answer:
        assert "Server" not in answer.headers
    await server.aclose()


async def test_ipv6_is_written_in_brackets(view: FakeView) -> None:
    server = await serve(admin_app(view), bind(Address("::1", 0)))
    assert server.address.startswith("[::1]:")
    assert not server.address.endswith(":0")
    await server.aclose()


async def test_another_sidecar_does_not_take_a_unix_socket_that_is_served(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    policy = one("http://127.0.0.1:1", more=f'[listen]\nhttp = "127.0.0.1:0"\nadmin = "unix:{path}"\n')
    async with running(policy):
        with pytest.raises(OSError, match=r"listen\.admin: cannot listen on unix:.*: Address already in use"):
            async with running(policy):
                pass
        async with (
            aiohttp.ClientSession("http://sidecar", connector=aiohttp.UnixConnector(str(path))) as session,
            session.get("/livez") as answer,
        ):
            assert answer.status == 200
    assert not path.exists()


async def test_a_unix_socket_that_a_dead_process_left_is_replaced(view: FakeView, tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    server = await serve(admin_app(view), bind(Address(unix=str(path))))
    await server.aclose()
    assert not path.exists()


async def test_open_event_streams_do_not_hold_the_stop(view: FakeView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_server, "GRACE", 10 * PATIENCE)
    server = await serve(admin_app(view), bind(Address("127.0.0.1", 0)))
    async with aiohttp.ClientSession(f"http://{server.address}") as session, session.get("/events") as answer:
        await answer.content.readuntil(b"\n\n")
        async with asyncio.timeout(PATIENCE):
            await server.aclose()
        assert await answer.content.read() == b""
    assert not view.events.listeners
