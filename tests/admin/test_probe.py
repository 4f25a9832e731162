"""The probe listener, over a real socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

from sidecar.accepting import bind
from sidecar.admin.probe import probe_app
from sidecar.admin.server import serve
from sidecar.admin.view import Access
from sidecar.settings.address import Address

if TYPE_CHECKING:
    from tests.kit.fake_view import FakeView


async def status_of(probe: aiohttp.ClientSession, method: str, path: str) -> int:
    async with probe.request(method, path) as answer:
        return answer.status


async def test_the_probe_listener_asks_for_nothing_and_shows_little(view: FakeView) -> None:
    view.may = Access("s3cret", loopback=False)
    view.draining = True
    server = await serve(probe_app(view), bind(Address("127.0.0.1", 0)))
    try:
        async with aiohttp.ClientSession(f"http://{server.address}", headers={"Host": "pod.example.com"}) as probe:
            paths = ("/livez", "/readyz", "/metrics", "/health", "/config", "/circuit-breakers")
            assert [await status_of(probe, "GET", path) for path in paths] == [200, 503, 200, 404, 404, 404]
            assert await status_of(probe, "POST", "/livez") == 405
    finally:
        await server.aclose()
