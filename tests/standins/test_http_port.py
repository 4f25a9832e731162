"""A port that is open, closed as if its service had died, and open again."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import ClientConnectionError, ClientSession, web

from sidecar.standins.http_port import HttpPort


async def say(_request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text="hello")


async def never(_request: web.BaseRequest) -> web.StreamResponse:
    await asyncio.get_running_loop().create_future()
    raise AssertionError


async def test_it_comes_back_on_the_same_port() -> None:
    port = HttpPort("127.0.0.1", 0)
    async with ClientSession() as session:
        await port._open(say)
        url = port.url
        async with session.get(url) as reply:
            assert await reply.text() == "hello"
        port._close()
        port._close()
        with pytest.raises(ClientConnectionError):
            await session.get(url)
        await port._open(say)
        await port._open(say)
        async with session.get(url) as reply:
            assert (await reply.text(), port.url) == ("hello", url)
        await port._shut()
        with pytest.raises(ClientConnectionError):
            await session.get(url)


async def test_callers_that_wait_are_cut_off() -> None:
    port = HttpPort("127.0.0.1", 0)
    came = asyncio.Event()

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        came.set()
        return await never(request)

    await port._open(serve)
    async with ClientSession() as session:
        asking = asyncio.create_task(session.get(port.url))
        await came.wait()
        port._close()
        with pytest.raises(ClientConnectionError):
            await asking
    await port._shut()


async def test_one_that_was_never_open_can_be_shut() -> None:
    await HttpPort("127.0.0.1", 0)._shut()
