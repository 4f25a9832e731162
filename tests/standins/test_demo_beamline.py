"""The demo's decides, and what becomes of them when their service is killed, behind a sidecar of the test's own."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import aiohttp

from sidecar.standins.demo_beamline import Beamline, Decides, Told, channel_to
from tests.kit.commands import shell
from tests.kit.running import running

if TYPE_CHECKING:
    from collections.abc import Mapping


def policy(urls: Mapping[str, str]) -> str:
    return f"""
[listen]
http = "127.0.0.1:0"
grpc = "127.0.0.1:0"
admin = ""
[upstreams.c-gateway]
protocol = "c-gateway"
url = "{urls["gateway"]}"
[upstreams.router]
protocol = "router"
url = "{urls["router"]}"
[routes.decide]
match = {{ path = "/api/v1/routes/decide" }}
chain = ["c-gateway", "router"]
idempotent = true
[routes.rpc]
match = {{ grpc = "beamline.flow.v1.*" }}
chain = ["router", "c-gateway"]
"""


async def test_each_is_killed_once_and_the_other_answers() -> None:
    beamline, lines = Beamline(), list[str]()

    async def tell(told: Told) -> None:
        assert told.well
        assert 0 < told.seconds < 15
        lines.append(f"{told.what} {told.status} by {told.fields['x-sidecar-upstream']}")

    urls = await beamline.start()
    try:
        async with (
            running(policy(urls)) as sidecar,
            aiohttp.ClientSession() as session,
            channel_to(sidecar.daemon.addresses["grpc"]) as channel,
        ):
            await Decides(beamline, session, channel, sidecar.url, tell).story(lines.append)
    finally:
        await beamline.stop()
    assert [line for line in lines if not line.startswith("\n")] == [
        "POST …/decide 200 by c-gateway",
        "Router/Decide OK by router",
        "POST …/decide 200 by router",
        "Router/Decide OK by c-gateway",
    ]


async def test_what_it_tells_to_try_does_what_it_says() -> None:
    beamline = Beamline()
    urls = await beamline.start()
    try:
        async with running(policy(urls)) as sidecar:
            hints = beamline.hints(sidecar.url, sidecar.daemon.addresses["grpc"])
            (decide, _), (program, _), (kill_gateway, _), (kill_router, _) = hints
            assert "x-sidecar-upstream: c-gateway" in (await shell(decide)).lower()
            assert '"dead"' in await shell(kill_gateway)
            assert "x-sidecar-upstream: router" in (await shell(decide)).lower()
            assert '"dead"' in await shell(kill_router)
            assert "502 bad gateway" in (await shell(decide)).lower()
            assert shlex.split(program)[1] == "examples/beamline/decide_grpc.py"
    finally:
        await beamline.stop()
