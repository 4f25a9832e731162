"""As many file descriptors as the system gives, and no more connections than they carry."""

from __future__ import annotations

import resource

import pytest

from sidecar import listening
from sidecar.descriptors import PER_CALL, RESERVED, fitting, raise_limit
from tests.kit.running import one, running

NOWHERE = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("wanted", "descriptors", "fit"),
    [
        (4096, 1 << 20, 4096),
        (4096, 1024, (1024 - RESERVED) // PER_CALL),
        (10, 1024, 10),
        (10, 3, 1),
    ],
)
def test_connections_are_as_many_as_descriptors_carry(wanted: int, descriptors: int, fit: int) -> None:
    assert fitting(wanted, descriptors) == fit


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


async def test_what_fits_is_not_worth_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "raise_limit", lambda: 264)
    async with running(one(NOWHERE, more="[limits]\nmax_connections = 100\n")) as sidecar:
        assert not [line for line in sidecar.log.lines if line["level"] == "warning"]
