"""The demo's own parts, against a fake sidecar; `tests/cli/test_demo.py` runs the whole of it."""

from __future__ import annotations

import tomllib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from sidecar.settings import Settings
from sidecar.standins.demo import FAULTS, ROUTES, Demo, Tally, Traffic, in_words
from sidecar.standins.demo_policy import policy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PROVIDERS = ("openai", "anthropic", "small")
URLS = dict.fromkeys((*FAULTS, "gateway", *PROVIDERS), "http://127.0.0.1:9000") | {"router": "grpc://127.0.0.1:50051"}


def test_the_policy_is_a_good_one_and_has_every_route_that_is_asked() -> None:
    settings = Settings.model_validate(
        tomllib.loads(policy("127.0.0.1:7070", "127.0.0.1:7071", "127.0.0.1:7072", URLS))
    )
    assert set(settings.routes) == {*ROUTES, "decide", "rpc", "openai", "anthropic"}
    assert set(settings.upstreams) == {*FAULTS, "c-gateway", "router", *PROVIDERS}


def step(kind: str, target: str, outcome: str, seconds: float = 0.001, status: int = 0) -> dict[str, object]:
    """One step, as the admin listener tells it."""
    told: dict[str, object] = {"kind": kind, "target": target, "outcome": outcome, "seconds": seconds}
    return told | ({"status_code": status} if status else {})


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([step("attempt", "flaky", "server_error", status=500)], "flaky 500"),
        ([step("attempt", "slow", "timeout", 0.4)], "slow timeout after 400 ms"),
        ([step("wait", "flaky", "server_error", 0.1)], "waits 100 ms"),
        ([step("skip", "gone", "circuit_open")], "gone skipped: circuit_open"),
        (
            [step("attempt", "openai/a", "broke", 0.2, 200), step("attempt", "anthropic/b", "ok", status=200)],
            "openai/a broke after 200 ms → anthropic/b 200",
        ),
        ([step("attempt", "router", "grpc_error") | {"grpc_code": "UNAVAILABLE"}], "router UNAVAILABLE"),
        (
            [
                step("attempt", "gone", "connect_failed"),
                step("wait", "gone", "connect_failed", 0.1),
                step("attempt", "gone", "connect_failed"),
                step("attempt", "steady", "ok", status=200),
            ],
            "gone connect_failed (2 times) → steady 200",
        ),
    ],
)
def test_a_timeline_is_told_in_a_few_words(steps: list[dict[str, object]], words: str) -> None:
    assert in_words(steps) == words


def test_the_tally_tells_rescued_calls_from_refused_and_failed_ones() -> None:
    tally = Tally()
    tally.count(1, well=True, ours=False)
    tally.count(2, well=True, ours=False)
    tally.count(0, well=False, ours=True)
    tally.count(1, well=False, ours=False)
    assert str(tally) == "4 calls: 2 answered well, 1 of them after trouble; 1 refused early; 1 failed"


PROXY_STATUS = 'sidecar; error=destination_unavailable; details="circuit_open"'


class FakeSidecar:
    """Answers each call as `replies` say, and its admin paths as a sidecar would."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.state = "closed"
        self.steps: list[dict[str, object]] = []
        self.unwritten = 0
        """How often the timeline is asked before the call stands in it."""

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/circuit-breakers":
            return web.json_response({"moody": {"state": self.state}})
        if request.path.startswith("/requests/"):
            self.unwritten -= 1
            return web.json_response({"steps": self.steps}, status=404 if self.unwritten >= 0 else 200)
        return web.json_response({"error": {"code": "circuit_open"}}, status=self.status, headers=self.headers)

    @asynccontextmanager
    async def traffic(self, demo: Demo) -> AsyncIterator[Traffic]:
        runner = web.ServerRunner(web.Server(self.serve, access_log=None))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        url = f"http://{host}:{port}"
        async with aiohttp.ClientSession() as session:
            yield Traffic(demo, session, url, url)
        await runner.cleanup()


async def test_a_call_is_told_from_what_came_back_and_from_its_timeline() -> None:
    said: list[str] = []
    sidecar = FakeSidecar()
    sidecar.headers = {"X-Sidecar-Attempts": "2", "X-Sidecar-Upstream": "flaky", "X-Sidecar-Request-ID": "a-1"}
    sidecar.steps = [
        step("attempt", "flaky", "server_error", status=500),
        step("wait", "flaky", "server_error", 0.1),
        step("attempt", "flaky", "ok", status=200),
    ]
    sidecar.unwritten = 1
    async with sidecar.traffic(Demo(said.append)) as traffic:
        await traffic.ask("flaky")
    assert said[0].startswith("  GET /flaky/1     200 by flaky")
    assert said[0].endswith("flaky 500 → waits 100 ms → flaky 200")


async def test_a_breaker_that_moved_is_told_once() -> None:
    said: list[str] = []
    sidecar = FakeSidecar()
    sidecar.state = "open"
    sidecar.status = 503
    sidecar.headers = {"Proxy-Status": PROXY_STATUS, "Retry-After": "1"}
    demo = Demo(said.append)
    async with sidecar.traffic(demo) as traffic:
        await traffic.ask("moody")
        await traffic.ask("moody")
    assert said[0].endswith("   circuit_open, again in 1 s")
    assert said[1] == "      breaker moody: closed → open"
    assert len(said) == 3
    assert demo.tally.refused == 2
