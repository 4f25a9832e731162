"""Streams that end by our doing: who may listen no more, and who does not read. `GET /live` beside `GET /events`."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sidecar.accepting import bind
from sidecar.admin.api import admin_app
from sidecar.admin.server import serve
from sidecar.admin.view import Access
from sidecar.settings.address import Address
from sidecar.telemetry.events import MOST_LISTENERS
from tests.kit.caller import PATIENCE
from tests.kit.running import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

    from tests.kit.fake_view import FakeView

BOTH = pytest.mark.parametrize("path", ["/live", "/events"])
OFF_LOOPBACK = Access("t0ken", loopback=False, check_host=False)
BEARER = {"Authorization": "Bearer t0ken"}


@asynccontextmanager
async def stream(admin: aiohttp.ClientSession, path: str, **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
    async with admin.get(path, headers=headers) as answer:
        assert await answer.content.readuntil(b"\n\n") == b": listening\n\n"
        if path == "/live":
            assert (await answer.content.readuntil(b"\n\n")).startswith(b"event: state\n")
        yield answer


async def test_events_stand_between_what_live_tells(admin: aiohttp.ClientSession, view: FakeView) -> None:
    async with stream(admin, "/live") as answer:
        assert answer.content_type == "text/event-stream"
        view.events.tell("breaker", service="store", old="closed", new="open")
        while (frame := await answer.content.readuntil(b"\n\n")).startswith(b":"):
            pass
        assert frame.startswith(b"event: breaker\n")


@BOTH
async def test_another_token_ends_the_streams_of_those_who_needed_one(
    admin: aiohttp.ClientSession, view: FakeView, path: str
) -> None:
    view.may = OFF_LOOPBACK
    async with stream(admin, path, **BEARER) as answer:
        view.may = replace(view.may, token="another")
        view.events.tell("reload", result="success")
        assert b"reload" not in await answer.content.read()
    await until(lambda: not view.events.listeners)
    async with admin.get(path, headers=BEARER) as answer:
        assert answer.status == 403


@BOTH
async def test_a_renewed_token_that_is_the_same_ends_none(
    admin: aiohttp.ClientSession, view: FakeView, path: str
) -> None:
    view.may = OFF_LOOPBACK
    async with stream(admin, path, **BEARER) as answer:
        view.may = replace(view.may)
        view.events.tell("reload", result="success")
        while (frame := await answer.content.readuntil(b"\n\n")).startswith(b":"):
            pass
        assert frame.startswith(b"event: reload\n")


@BOTH
async def test_on_loopback_reads_need_no_token_whatever_it_becomes(
    admin: aiohttp.ClientSession, view: FakeView, path: str
) -> None:
    async with stream(admin, path) as answer:
        view.may = Access("new")
        view.events.tell("reload", result="success")
        while (frame := await answer.content.readuntil(b"\n\n")).startswith(b":"):
            pass
        assert frame.startswith(b"event: reload\n")


async def test_too_many_who_listen_are_refused(admin: aiohttp.ClientSession, view: FakeView) -> None:
    for _ in range(MOST_LISTENERS):
        assert view.events.listen()
    async with admin.get("/live") as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (503, "overloaded")


async def test_who_does_not_read_is_cut_and_its_place_is_free(view: FakeView) -> None:
    server = await serve(admin_app(view, stalled=0.05), bind(Address("127.0.0.1", 0)))
    host, _, port = server.address.rpartition(":")
    loop = asyncio.get_running_loop()
    with socket.socket() as asleep:
        asleep.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asleep.setblocking(False)
        await loop.sock_connect(asleep, (host, int(port)))
        await loop.sock_sendall(asleep, b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: len(view.events.listeners) == 1)
        [listening] = view.events.listeners
        async with asyncio.timeout(PATIENCE):
            while view.events.listeners:
                listening.keep(b": " + b"much" * (1 << 18) + b"\n\n")
                await asyncio.sleep(0)
        assert view.events.listen()
    await server.aclose()


async def test_the_newest_calls_are_listed(admin: aiohttp.ClientSession, view: FakeView) -> None:
    view.calls = {name: {"id": name} for name in ("a", "b", "c")}
    async with admin.get("/requests?limit=2") as answer:
        assert await answer.json() == {"requests": [{"id": "c"}, {"id": "b"}]}
    async with admin.get("/requests") as answer:
        assert len((await answer.json())["requests"]) == 3


@pytest.mark.parametrize("limit", ["-1", "many", "1e3", "", "٣", "9" * 10])
async def test_a_limit_is_a_number(admin: aiohttp.ClientSession, limit: str) -> None:
    async with admin.get("/requests", params={"limit": limit}) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, "invalid_request")
