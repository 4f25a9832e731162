"""`GET /live` of a running sidecar: who listens, and when they are told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import pytest

from sidecar import watching
from sidecar.live_frames import Frames
from tests.kit.live import LISTEN, Hearing, hearing
from tests.kit.running import Running, one, running, until
from tests.kit.scripted import OK, scripted

if TYPE_CHECKING:
    from sidecar.view import View

NOWHERE = "http://127.0.0.1:1"
PUBLIC = '[listen]\nhttp = "127.0.0.1:0"\nadmin = "0.0.0.0:0"\n[admin]\ntoken = "first-token"\n'


def view_of(sidecar: Running) -> View:
    assert sidecar.daemon.view is not None
    return sidecar.daemon.view


def rewrite(sidecar: Running, old: str, new: str) -> None:
    text = sidecar.file.read_text()
    assert old in text
    sidecar.file.write_text(text.replace(old, new))


async def test_a_listener_is_told_the_state_and_a_pulse_at_once_and_another_each_second() -> None:
    async with scripted(OK) as upstream, running(one(upstream.url, more=LISTEN)) as sidecar:
        async with hearing(sidecar) as live:
            first = [await live.next() for _ in range(4)]
        assert [kind for kind, _ in first] == ["state", "pulse", "pulse", "pulse"]
        assert first[3][1]["at"] > first[2][1]["at"]


def beating() -> bool:
    """There is a task that makes pulses."""
    return any(task.get_name() == "live" for task in asyncio.all_tasks())


async def test_nothing_runs_while_nobody_listens() -> None:
    async with running(one(NOWHERE, more=LISTEN)) as sidecar:
        view = view_of(sidecar)
        for _ in range(2):
            assert not beating()
            async with hearing(sidecar) as live:
                await live.pulse()
                assert beating()
            await until(lambda: not beating())
        assert not view.events.listeners


async def test_who_comes_in_between_begins_with_all_of_it_and_goes_on_with_the_others() -> None:
    async with (
        scripted(OK) as upstream,
        running(one(upstream.url, more=LISTEN)) as sidecar,
        hearing(sidecar) as early,
    ):
        await early.pulse()
        await sidecar.ask("/1")
        told = await early.pulse(lambda pulse: "a" in pulse["breakers"])
        async with hearing(sidecar) as late:
            assert (await late.state())["generation"] == 1
            assert (await late.pulse())["breakers"] == told["breakers"]
            await sidecar.ask("/2")
            both = [await each.pulse(lambda pulse: "a" in pulse["breakers"]) for each in (early, late)]
    assert both[0] == both[1]
    assert both[0]["breakers"]["a"]["total_calls"] == 2


async def test_a_drain_is_told_and_then_the_stream_ends() -> None:
    async with running(one(NOWHERE, more=LISTEN)) as sidecar, hearing(sidecar) as live:
        assert (await live.state())["draining"] is False
        sidecar.daemon.stop()
        serving = asyncio.create_task(sidecar.daemon.run())
        assert (await live.state())["draining"] is True
        await live.end()
        await serving


async def test_a_reload_is_told_with_what_it_did_and_a_mistake_with_its_place() -> None:
    async with running(one(NOWHERE, more=LISTEN)) as sidecar, hearing(sidecar) as live:
        assert (await live.state())["reload"] is None
        rewrite(sidecar, "[routes.r]", "[routes.q]")
        done = await sidecar.daemon.reload()
        state = await live.state()
        assert (state["generation"], [route["name"] for route in state["routes"]]) == (2, ["q"])
        assert (state["reload"]["result"], state["reload"]["difference"]) == ("success", done)
        rewrite(sidecar, "chain", "chian")
        async with aiohttp.ClientSession(sidecar.admin) as admin, admin.post("/reload") as answer:
            mistakes = (await answer.json())["mistakes"]
        state = await live.state()
    assert (state["generation"], state["reload"]["result"]) == (2, "failure")
    assert state["reload"]["mistakes"] == mistakes
    assert (mistakes[0]["file"], mistakes[0]["key"], mistakes[0]["nearest"]) == (
        str(sidecar.file), "routes.q.chian", "chain",
    )  # fmt: skip


async def test_a_file_that_is_watched_and_refused_shows_its_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_STEP", 10)
    async with running(one(NOWHERE, more=LISTEN), watched=True) as sidecar, hearing(sidecar) as live:
        await live.state()
        rewrite(sidecar, "chain", "chian")
        [mistake, *_] = (await live.state())["reload"]["mistakes"]
        assert (mistake["line"] > 0, mistake["problem"]) == (True, "unknown key")
        rewrite(sidecar, "chian", "chain")
        assert (await live.state())["reload"]["result"] == "success"


async def test_no_secret_stands_in_a_mistake() -> None:
    policy = one(NOWHERE, more=LISTEN, upstream='headers = { X-API-Key = "${KEY}" }')
    environ = {"KEY": "hush-hush", "URL": "ftp://me:hush-hush@x"}
    async with running(policy, environ) as sidecar, hearing(sidecar) as live:
        await live.state()
        for old, new in (
            ('url = "http://127.0.0.1:1"', 'url = "${URL}"'),
            ('"${URL}"', '"${KEY}"'),
            ('url = "${KEY}"', f'url = "{NOWHERE}"\nauth = "${{KEY}}"'),
        ):
            rewrite(sidecar, old, new)
            async with aiohttp.ClientSession(sidecar.admin) as admin, admin.post("/reload") as answer:
                assert answer.status == 422
            state = await live.state()
            assert state["reload"]["mistakes"]
            assert "hush-hush" not in str(state)


@pytest.mark.parametrize("path", ["/live", "/events"])
async def test_a_reload_with_another_token_ends_the_streams(path: str) -> None:
    """Off loopback reads need the token, and a stream is one read that goes on."""
    async with running(one(NOWHERE, more=PUBLIC)) as sidecar:
        url = sidecar.admin.replace("0.0.0.0", "127.0.0.1")
        token = {"Authorization": "Bearer first-token"}
        async with aiohttp.ClientSession() as session, session.get(url + path, headers=token) as answer:
            hears = Hearing(answer)
            rewrite(sidecar, "chain = ", "idempotent = true\nchain = ")
            await sidecar.daemon.reload()
            assert (await hears.next("reload"))[1]["generation"] == 2
            rewrite(sidecar, "first-token", "second-token")
            await sidecar.daemon.reload()
            with pytest.raises(EOFError):  # and not this reload
                await hears.next("reload")


async def test_a_bug_ends_the_streams_and_the_next_listener_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(_: Frames) -> bytes:
        raise ZeroDivisionError

    async with running(one(NOWHERE, more=LISTEN), bug=True) as sidecar:
        with monkeypatch.context() as broken:
            broken.setattr(Frames, "pulse", fails)
            async with hearing(sidecar) as live:
                await live.end()
        assert "ZeroDivisionError" in (await sidecar.log.saying("the live stream failed"))["exception"]
        async with hearing(sidecar) as live:
            await live.pulse()
            await live.pulse()
