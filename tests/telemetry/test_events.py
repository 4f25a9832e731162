"""Events reach listeners, and a slow one loses some."""

from __future__ import annotations

import asyncio

from sidecar.telemetry.events import KEPT, MOST_LISTENERS, Events, frame
from sidecar.telemetry.lines import Timestamp
from tests.kit.server_sent import told


async def test_a_slow_listener_loses_events_and_is_told_how_many() -> None:
    events = Events(Timestamp())
    slow, quick = events.listen(backlog=3), events.listen()
    assert slow
    assert quick
    for number in range(10):
        events.tell("retry", number=number)
    first, *rest = told(await slow.frames())
    assert first == {"event": "dropped", "count": 7}
    assert [event["number"] for event in rest] == [7, 8, 9]
    assert len(told(await quick.frames())) == 10
    events.tell("retry", number=10)
    assert [event["number"] for event in told(await slow.frames())] == [10]


async def test_frames_are_server_sent_events() -> None:
    events = Events(Timestamp(lambda: 0.0))
    listening = events.listen()
    assert listening
    events.tell("retry", reason="two\nlines")
    assert await listening.frames() == (
        b'event: retry\ndata: {"event":"retry","timestamp":"1970-01-01T00:00:00.000Z","reason":"two\\nlines"}\n\n'
    )


async def test_only_so_many_may_listen() -> None:
    events = Events(Timestamp())
    places = [events.listen() for _ in range(MOST_LISTENERS)]
    assert all(places)
    assert events.listen() is None
    last = places.pop()
    assert last
    last.close()
    assert events.listen()


async def test_a_closed_place_gives_what_is_left_and_then_nothing() -> None:
    events = Events(Timestamp())
    listening = events.listen()
    assert listening
    events.tell("retry", number=1)
    listening.close()
    events.tell("retry", number=2)
    assert [event["number"] for event in told(await listening.frames())] == [1]
    assert await listening.frames() == b""


async def test_closing_wakes_who_waits() -> None:
    listening = Events(Timestamp()).listen()
    assert listening
    waiting = asyncio.ensure_future(listening.frames())
    await asyncio.sleep(0)
    listening.close()
    assert await waiting == b""


async def test_what_is_kept_is_not_lost_and_stands_before_the_events() -> None:
    events = Events(Timestamp())
    listening = events.listen(backlog=1)
    assert listening
    events.tell("retry", number=1)
    listening.keep(frame("pulse", {"number": 2}))
    events.tell("retry", number=3)
    assert told(await listening.frames())[0] == {"number": 2}


async def test_who_leaves_too_much_of_what_is_kept_is_cut_once() -> None:
    gone: list[object] = []
    listening = Events(Timestamp()).listen(gone=gone.append)
    assert listening
    for _ in range(KEPT):
        listening.keep(b"x")
    assert gone == []
    listening.keep(b"x")
    listening.close()
    assert gone == [listening]
    assert await listening.frames() == b""
