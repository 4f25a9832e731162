"""As many file descriptors as the system gives, and no more connections than they carry."""

from __future__ import annotations

import asyncio
import resource

import pytest

from sidecar import listening
from sidecar.descriptors import PER_GRPC, PER_HTTP, RESERVED, fitting, raise_limit
from tests.kit.caller import PATIENCE
from tests.kit.h2_peer import h2_connected
from tests.kit.rpc import routed
from tests.kit.running import one, running

NOWHERE = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("wanted", "descriptors", "fit"),
    [
        (4096, 1 << 20, 4096),
        (4096, 1024, (1024 - RESERVED) // PER_HTTP),
        (10, 1024, 10),
        (10, 3, 1),
    ],
)
def test_connections_are_as_many_as_descriptors_carry(wanted: int, descriptors: int, fit: int) -> None:
    assert fitting(wanted, descriptors, http=True, grpc=False) == fit


def test_two_listeners_share_them() -> None:
    left = 1024 - RESERVED
    assert fitting(4096, 1024, http=False, grpc=True) == left // PER_GRPC
    assert fitting(4096, 1024, http=True, grpc=True) == left // (PER_GRPC + PER_HTTP)
    assert fitting(4096, 1024, http=False, grpc=False) == left


def test_the_soft_limit_is_raised_to_the_hard_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    assert raise_limit() == 4096
    assert asked == [(4096, 4096)]


def test_where_it_may_not_be_raised_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int, limits: tuple[int, int]) -> None:
        raise ValueError("not allowed")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_limit() == 1024


def test_no_limit_at_all_is_a_large_number(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda _: everything)
    assert raise_limit() >= 1 << 20


async def test_fewer_connections_than_asked_for_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "raise_limit", lambda: 264)
    async with running(one(NOWHERE)) as sidecar:
        line = await sidecar.log.saying("max_connections is lowered to 100")
    assert line["level"] == "warning"


async def test_a_grpc_listener_alone_has_its_share_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "raise_limit", lambda: RESERVED + 1)
    policy = routed("grpc://127.0.0.1:1", more="[limits]\nmax_connections = 2\n")
    async with running(policy) as sidecar, h2_connected(sidecar.daemon.addresses["grpc"]) as first:
        await sidecar.log.saying("max_connections is lowered to 1")
        stream = first.open("/p.S/M")
        stream.say(b"", end=True)
        await stream.ended()
        async with h2_connected(sidecar.daemon.addresses["grpc"]) as second:
            async with asyncio.timeout(PATIENCE):
                await second.ended.wait()


async def test_what_fits_is_not_worth_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "raise_limit", lambda: 264)
    async with running(one(NOWHERE, more="[limits]\nmax_connections = 100\n")) as sidecar:
        assert not [line for line in sidecar.log.lines if line["level"] == "warning"]
