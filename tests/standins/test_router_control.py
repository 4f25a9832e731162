"""The stand-in Router's control port, as curl sees it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest
from grpc import StatusCode

from sidecar.standins.grpc_faults import HEALTHY
from sidecar.standins.router import StandIn
from tests.kit.router_caller import RouterCaller, calling, route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def controlled() -> AsyncIterator[tuple[StandIn, RouterCaller, aiohttp.ClientSession]]:
    router = StandIn(control=0)
    async with calling(router) as caller:
        assert router.control is not None
        async with aiohttp.ClientSession(router.control.url) as curl:
            yield router, caller, curl


async def test_a_fault_is_switched_and_told() -> None:
    async with controlled() as (router, caller, curl):
        await curl.post("/_fault", json={"kind": "fail", "code": "ABORTED"})
        assert (await caller.refused("Decide", route())).code() is StatusCode.ABORTED
        async with curl.get("/_fault") as reply:
            told = await reply.json()
        assert (told["requests"], told["faulty"], told["fault"]["code"]) == (1, 1, "ABORTED")
        assert told["target"] == router.target


async def test_a_dead_router_is_brought_back() -> None:
    async with controlled() as (router, caller, curl):
        await curl.post("/_fault", json={"kind": "dead"})
        assert (await caller.refused("Decide", route())).code() is StatusCode.UNAVAILABLE
        await curl.post("/_fault", json={"kind": "none"})
        assert router.fault == HEALTHY


async def test_what_came_is_told_with_its_metadata() -> None:
    async with controlled() as (_, caller, curl):
        await caller.ask("Decide", route(), ("x-colour", "red"), ("trace-bin", b"\x00\xff"))  # type: ignore[arg-type]  # bytes on purpose
        async with curl.get("/_calls") as reply:
            told = await reply.json()
    assert told["calls"] == {"Decide": 1}
    assert ["x-colour", "red"] in told["last"][0]["metadata"]
    assert ["trace-bin", "00ff"] in told["last"][0]["metadata"]


async def test_providers_are_taken_away() -> None:
    async with controlled() as (_, caller, curl):
        async with curl.post("/_down", json=["openai", "anthropic"]) as reply:
            assert (await reply.json())["down"] == ["anthropic", "openai"]
        assert (await caller.ask("Decide", route())).reason == "fallback"
        await curl.post("/_down", json=[])
        assert (await caller.ask("Decide", route())).reason == "weighted"


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/_fault", '{"kind": "explode"}'),
        ("/_fault", '{"kind": "fail", "code": "OK"}'),
        ("/_fault", '["slow"]'),
        ("/_fault", "{"),
        ("/_down", '{"openai": true}'),
        ("/_down", "[1]"),
    ],
)
async def test_what_cannot_be_is_refused(path: str, asked: str) -> None:
    async with controlled() as (router, _, curl), curl.post(path, data=asked) as reply:
        assert reply.status == 400
        assert (await reply.json())["error"]
        assert router.fault == HEALTHY
