"""`GET /live` of a running sidecar: who listens, and when they are told."""

from __future__ import annotations

from tests.kit.live import LISTEN, hearing
from tests.kit.running import one, running, until
from tests.kit.scripted import OK, scripted


async def test_a_listener_is_told_the_state_and_a_pulse_at_once_and_another_each_second() -> None:
    async with scripted(OK) as upstream, running(one(upstream.url, more=LISTEN)) as sidecar:
        async with hearing(sidecar) as live:
            kinds = [(await live.next())[0] for _ in range(4)]
        assert kinds == ["state", "pulse", "pulse", "pulse"]


async def test_nothing_runs_while_nobody_listens() -> None:
    async with running(one("http://127.0.0.1:1", more=LISTEN)) as sidecar:
        view = sidecar.daemon.view
        assert view is not None
        assert view.live.beating is False
        async with hearing(sidecar) as live:
            await live.pulse()
            await until(lambda: view.live.beating)
        await until(lambda: not view.live.beating)
        assert not view.events.listeners
