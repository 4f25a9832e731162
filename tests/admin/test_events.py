"""`GET /events` over a real socket."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from sidecar.telemetry.events import MOST_LISTENERS
from tests.kit.caller import PATIENCE

if TYPE_CHECKING:
    import aiohttp

    from tests.kit.fake_view import FakeView


async def test_events_are_streamed(admin: aiohttp.ClientSession, view: FakeView) -> None:
    async with admin.get("/events") as answer:
        assert answer.content_type == "text/event-stream"
        assert await answer.content.readuntil(b"\n\n") == b": listening\n\n"
        view.events.tell("breaker", service="store", old="closed", new="open")
        event = await answer.content.readuntil(b"\n\n")
        while event.startswith(b":"):
            event = await answer.content.readuntil(b"\n\n")
    kind, data = event.decode().strip().split("\n")
    assert kind == "event: breaker"
    assert json.loads(data.removeprefix("data: "))["new"] == "open"


async def test_a_quiet_stream_says_that_it_is_there(admin: aiohttp.ClientSession) -> None:
    async with admin.get("/events") as answer:
        assert await answer.content.readuntil(b"\n\n") == b": listening\n\n"
        assert await answer.content.readuntil(b"\n\n") == b": still here\n\n"


async def test_a_listener_that_leaves_gives_its_place_back(admin: aiohttp.ClientSession, view: FakeView) -> None:
    async with admin.get("/events") as answer:
        await answer.content.readuntil(b"\n\n")
        assert len(view.events.listeners) == 1
    async with asyncio.timeout(PATIENCE):
        while view.events.listeners:
            await (await admin.get("/livez")).read()


@pytest.mark.parametrize("path", ["/events", "/live"])
async def test_a_page_from_elsewhere_takes_no_place(admin: aiohttp.ClientSession, view: FakeView, path: str) -> None:
    """It cannot read the stream, but 32 of them would keep everybody else out."""
    for site in ("cross-site", "same-site"):
        async with admin.get(path, headers={"Sec-Fetch-Site": site}) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (403, "forbidden_origin")
    assert not view.events.listeners
    for site in ("same-origin", "none"):
        async with admin.get(path, headers={"Sec-Fetch-Site": site}) as answer:
            assert answer.status == 200


async def test_too_many_listeners_are_refused(admin: aiohttp.ClientSession, view: FakeView) -> None:
    for _ in range(MOST_LISTENERS):
        assert view.events.listen()
    async with admin.get("/events") as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (503, "overloaded")
