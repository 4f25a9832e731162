"""What the state and a pulse of `GET /live` tell."""

from __future__ import annotations

from tests.kit.live import LISTEN, hearing
from tests.kit.running import one, running
from tests.kit.scripted import OK, scripted


async def test_a_first_pulse_tells_of_the_calls_that_are_remembered() -> None:
    async with scripted(OK, OK) as upstream, running(one(upstream.url, more=LISTEN)) as sidecar:
        await sidecar.ask("/1")
        await sidecar.ask("/2?secret=1")
        async with hearing(sidecar) as live:
            pulse = await live.pulse()
    assert (pulse["routes"]["r"]["calls"], pulse["more_calls"]) == (2, 0)
    assert [call["path"] for call in pulse["calls"]] == ["/1", "/2"]
