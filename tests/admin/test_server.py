"""Binding and stopping, and the built-in paths of the http listener."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import pytest

from sidecar.admin import server as admin_server
from sidecar.admin.api import admin_app
from sidecar.admin.server import serve
from sidecar.settings.address import Address
from tests.kit.caller import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.fake_view import FakeView


async def test_a_unix_socket(view: FakeView, tmp_path: Path) -> None:
    path = str(tmp_path / "admin.sock")
    server = await serve(admin_app(view), Address(unix=path))
    assert server.address == f"unix:{path}"
    async with (
        aiohttp.ClientSession("http://sidecar", connector=aiohttp.UnixConnector(path)) as session,
        session.get("/livez") as answer,
    ):
        assert answer.status == 200
    await server.aclose()


@pytest.mark.parametrize("path", ["/livez", "/", "/no-such-path", "/live"])
async def test_no_answer_tells_which_versions_run(view: FakeView, path: str) -> None:
    server = await serve(admin_app(view), Address("127.0.0.1", 0))
    async with aiohttp.ClientSession(f"http://{server.address}") as session, session.get(path) as answer:
        assert "Server" not in answer.headers
    await server.aclose()


async def test_ipv6_is_written_in_brackets(view: FakeView) -> None:
    server = await serve(admin_app(view), Address("::1", 0))
    assert server.address.startswith("[::1]:")
    assert not server.address.endswith(":0")
    await server.aclose()


async def test_an_address_in_use_is_an_os_error(view: FakeView) -> None:
    server = await serve(admin_app(view), Address("127.0.0.1", 0))
    port = int(server.address.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        await serve(admin_app(view), Address("127.0.0.1", port))
    await server.aclose()


async def test_open_event_streams_do_not_hold_the_stop(view: FakeView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_server, "GRACE", 10 * PATIENCE)
    server = await serve(admin_app(view), Address("127.0.0.1", 0))
    async with aiohttp.ClientSession(f"http://{server.address}") as session, session.get("/events") as answer:
        await answer.content.readuntil(b"\n\n")
        async with asyncio.timeout(PATIENCE):
            await server.aclose()
        assert await answer.content.read() == b""
    assert not view.events.listeners
