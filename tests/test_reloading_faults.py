"""A reload that fails half-way leaves nothing behind, and one that is swapped in lets go of all that was before."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.errors import ConfigError
from sidecar.listening import Listening
from sidecar.runtime import build
from sidecar.wiring import HttpService
from tests.kit.running import Running, one, running

if TYPE_CHECKING:
    from sidecar.listening import Move
    from sidecar.runtime import Runtime
    from sidecar.settings import Settings

NOWHERE = "http://127.0.0.1:1"
ELSEWHERE = "http://127.0.0.1:2"
ANOTHER = f"""
[upstreams.b]
url = "{ELSEWHERE}"
[routes.another]
match = {{ path = "/another" }}
chain = ["b", "static/sorry"]
[static.sorry]
status = 503
"""


def rewrite(sidecar: Running, old: str, new: str) -> None:
    text = sidecar.file.read_text()
    assert old in text
    sidecar.file.write_text(text.replace(old, new))


async def metrics(sidecar: Running) -> str:
    return (await sidecar.ask("/metrics")).body.decode()


def closed(runtime: Runtime) -> bool:
    return all(pool._closed for service in runtime.services().values() for pool in service.pools)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Runtime]:
    """Each runtime that a reload builds."""
    runtimes: list[Runtime] = []

    async def kept(*given: Any) -> Runtime:
        runtimes.append(await build(*given))
        return runtimes[-1]

    monkeypatch.setattr("sidecar.reloading.build", kept)
    return runtimes


async def test_what_was_refused_has_no_series() -> None:
    """Made while it was built; an address that cannot be had comes after."""
    async with running(one(NOWHERE, path="/api/*")) as sidecar:
        good = sidecar.file.read_text()
        before = await metrics(sidecar)
        sidecar.file.write_text(good.replace('http = "127.0.0.1:0"', 'http = "nobody.invalid:1"') + ANOTHER)
        with pytest.raises(ConfigError):
            await sidecar.daemon.reload()
        after = await metrics(sidecar)
        for name in ('"another"', '"b"', '"static/sorry"'):
            assert name not in before + after


async def test_a_static_answer_that_is_dropped_takes_its_series_along() -> None:
    async with running(one(NOWHERE, path="/api/*", more=ANOTHER)) as sidecar:
        assert (await sidecar.ask("/another")).status == 503
        assert '"static/sorry"' in await metrics(sidecar)
        sidecar.file.write_text(sidecar.file.read_text().replace(ANOTHER, ""))
        await sidecar.daemon.reload()
        assert '"static/sorry"' not in await metrics(sidecar)


async def test_a_reload_that_is_ended_while_listeners_open_closes_what_it_made(
    monkeypatch: pytest.MonkeyPatch, built: list[Runtime]
) -> None:
    opens = asyncio.Event()

    async def prepare(*_: object) -> None:
        opens.set()
        await asyncio.Future()

    monkeypatch.setattr(Listening, "prepare", prepare)
    async with running(one(NOWHERE)) as sidecar:
        rewrite(sidecar, NOWHERE, ELSEWHERE)
        reload = asyncio.create_task(sidecar.daemon.reload())
        await opens.wait()
        assert sidecar.daemon._reloading is not None
        await sidecar.daemon._reloading.aclose()
        with pytest.raises(asyncio.CancelledError):
            await reload
        assert sidecar.runtime is not built[0]
        assert closed(built[0])
        assert not closed(sidecar.runtime)


async def test_a_drain_that_begins_while_listeners_open_closes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = Listening.prepare
    moves: list[Move] = []

    async def and_drains(listening: Listening, settings: Settings) -> Move:
        moves.append(await prepare(listening, settings))
        assert sidecar.daemon.view is not None
        sidecar.daemon.view.draining = True
        return moves[0]

    monkeypatch.setattr(Listening, "prepare", and_drains)
    async with running(one(NOWHERE)) as sidecar:
        before = dict(sidecar.daemon.addresses)
        rewrite(sidecar, 'http = "127.0.0.1:0"', 'http = "[::1]:0"')
        await sidecar.daemon.reload()
        assert sidecar.daemon.addresses == before
        made = moves[0].doors["http"]
        assert made is not None
        host, _, port = made.door.address.rpartition(":")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host.strip("[]"), int(port))


async def test_a_bug_after_the_swap_is_told_and_what_was_before_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(one(NOWHERE), bug=True) as sidecar:
        before = sidecar.runtime
        with monkeypatch.context() as patch:
            patch.setattr(Listening, "take", lambda *_: 1 / 0)
            rewrite(sidecar, NOWHERE, ELSEWHERE)
            with pytest.raises(ZeroDivisionError):
                await sidecar.daemon.reload()
        assert closed(before)
        view = sidecar.daemon.view
        assert view is not None
        told = await view.config()
        assert told["generation"] == 2
        assert told["config"]["upstreams"]["a"]["url"] == ELSEWHERE
        assert view.stale.startswith("an error of ours")
        assert (await sidecar.daemon.reload())["generation"] == 3
        assert not view.stale


async def test_one_part_that_cannot_be_closed_keeps_no_other_open(monkeypatch: pytest.MonkeyPatch) -> None:
    aclose, more = HttpService.aclose, ANOTHER.replace("static/sorry", "a")
    async with running(one(NOWHERE, more=more), bug=True) as sidecar:
        before = sidecar.runtime
        a, b = (before.services()[name] for name in "ab")

        async def fails(service: HttpService) -> None:
            if service is a:
                raise RuntimeError("a bug")
            await aclose(service)

        monkeypatch.setattr(HttpService, "aclose", fails)
        rewrite(sidecar, NOWHERE, "http://127.0.0.1:3")
        rewrite(sidecar, ELSEWHERE, "http://127.0.0.1:4")
        assert (await sidecar.daemon.reload())["generation"] == 2
        assert "a bug" in (await sidecar.log.saying("could not be closed"))["exception"]
        assert [pool._closed for pool in b.pools] == [True]


async def test_a_breaker_that_was_replaced_speaks_no_more() -> None:
    """Calls under way still move it; its name belongs to another."""
    async with running(one(NOWHERE, path="/api/*")) as sidecar:
        old = sidecar.runtime.breakers()["a"]
        rewrite(sidecar, "[routes.r]", "circuit_breaker = { window = 7 }\n[routes.r]")
        assert "breaker a" in (await sidecar.daemon.reload())["reset"]
        old.force_open()
        sidecar.runtime.breakers()["a"].force_open()
        moved = [line for line in sidecar.log.lines if line["message"] == "circuit breaker moved"]
        assert len(moved) == 1
        assert 'circuit_breaker_transitions_total{service="a",to="open"} 1\n' in await metrics(sidecar)


async def test_credentials_that_a_reload_opens_to_the_network_are_warned_of_once() -> None:
    async with running(one(NOWHERE, upstream='api_key = "x"')) as sidecar:
        rewrite(sidecar, 'http = "127.0.0.1:0"', 'http = "0.0.0.0:0"')
        await sidecar.daemon.reload()
        assert (await sidecar.log.saying("a credential is injected"))["level"] == "warning"
        rewrite(sidecar, "[routes.r]", "# another text\n[routes.r]")
        await sidecar.daemon.reload()
        assert sum("a credential is injected" in line["message"] for line in sidecar.log.lines) == 1
