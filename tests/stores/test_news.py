"""Which moves are told, and what is made of what others tell. No Redis: messages are handed over."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from sidecar.stores.news import BACKLOG, HEARD_MOST, STALE, TOLD_MOST, BreakerNews, Guard
from sidecar.stores.news_message import Message, read
from tests.kit.breakers import breaker, play
from tests.kit.clock import Clock

if TYPE_CHECKING:
    from sidecar.policy.breaker import Breaker

UPSTREAM = "3b1f"
OPEN = Message("other", "orders", UPSTREAM, "open")


@dataclass
class Heard:
    """An observer that keeps what it hears."""

    kinds: list[str] = field(default_factory=list)
    changes: list[tuple[str, str, str]] = field(default_factory=list)

    def news(self, kind: str) -> None:
        self.kinds.append(kind)

    def news_changed(self, service: str, told: str, sender: str) -> None:
        self.changes.append((service, told, sender))


class One:
    """One sidecar's news, with one breaker of which they are."""

    def __init__(self, sender: str = "me", upstream: str = UPSTREAM) -> None:
        self.clock = Clock()
        self.heard = Heard()
        self.news = BreakerNews(sender, self.clock, self.heard)
        self.breaker: Breaker = breaker(self.clock)
        self.guards = {"orders": Guard(self.breaker, upstream)}
        self.news.follow(self.guards)

    async def told(self) -> list[Message]:
        """All that waits to be sent."""
        found: list[Message] = []
        while True:
            asking = asyncio.ensure_future(self.news.next())
            await asyncio.sleep(0)
            if not asking.done():
                asking.cancel()
                return found
            message = read(asking.result())
            assert message is not None
            found.append(message)


async def test_an_opening_and_the_closing_after_it_are_told() -> None:
    one = One()
    play(one.breaker, "---")
    assert await one.told() == [Message("me", "orders", UPSTREAM, "open")]
    one.clock.advance(10)
    play(one.breaker, "+")
    assert await one.told() == [Message("me", "orders", UPSTREAM, "closed")]


async def test_a_probe_that_fails_is_no_news() -> None:
    one = One()
    play(one.breaker, "---")
    await one.told()
    one.clock.advance(10)
    play(one.breaker, "-")
    assert await one.told() == []


async def test_what_a_hand_has_done_is_not_told() -> None:
    one = One()
    one.breaker.force_open()
    one.breaker.reset()
    play(one.breaker, "---")
    await one.told()
    one.breaker.reset()
    assert await one.told() == []


async def test_what_came_by_hearsay_is_not_passed_on_but_the_recovery_is_our_own() -> None:
    one = One()
    one.news.hear(OPEN.encoded())
    play(one.breaker, "-")
    assert one.breaker.state == "open"
    assert await one.told() == []
    one.clock.advance(10)
    play(one.breaker, "+")
    assert [message.to for message in await one.told()] == ["closed"]


async def test_what_is_heard_makes_one_failure_enough_and_a_probe_due() -> None:
    one = One()
    assert one.news.hear(OPEN.encoded())
    assert play(one.breaker, "") == "closed"
    assert play(one.breaker, "-") == "open"
    assert one.news.hear(OPEN._replace(to="closed").encoded())
    assert play(one.breaker, "") == "half_open"
    assert one.heard.changes == [("orders", "open", "other"), ("orders", "closed", "other")]
    assert one.heard.kinds == ["heard", "heard"]


async def test_what_changes_nothing_is_heard_and_no_more() -> None:
    one = One()
    for message in (OPEN, OPEN, OPEN._replace(to="closed")):
        one.news.hear(message.encoded())
    assert len(one.heard.changes) == 1
    assert one.heard.kinds == ["heard"] * 3


@pytest.mark.parametrize(
    "message",
    [OPEN._replace(sender="me"), OPEN._replace(breaker="users"), OPEN._replace(upstream="another of that name")],
    ids=["our own", "a breaker that is not here", "another upstream of that name"],
)
async def test_what_is_not_meant_for_us_does_nothing(message: Message) -> None:
    one = One()
    assert one.news.hear(message.encoded())
    play(one.breaker, "-")
    assert one.breaker.state == "closed"
    assert one.heard.kinds == []


async def test_what_cannot_be_read_is_counted() -> None:
    one = One()
    for data in (b"", b"open!", b'{"v":9}', 7):
        assert one.news.hear(data)
    assert one.heard.kinds == ["malformed"] * 4


async def test_no_message_opens_a_circuit_however_often_it_comes() -> None:
    one = One()
    for _ in range(HEARD_MOST):
        one.news.hear(OPEN.encoded())
    assert play(one.breaker, "+" * 10) == "closed"


async def test_a_flood_is_looked_at_no_longer_than_it_may_be() -> None:
    one = One()
    assert [one.news.hear(b"?") for _ in range(HEARD_MOST + 2)] == [True] * HEARD_MOST + [False] * 2
    assert one.heard.kinds.count("dropped") == 2
    one.clock.advance(1)
    assert one.news.hear(OPEN.encoded())


def many(one: One, count: int) -> None:
    """Openings of as many breakers."""
    guards = {}
    for number in range(count):
        each = breaker(one.clock)
        each.name = f"orders-{number}"
        guards[each.name] = Guard(each, UPSTREAM)
    one.news.follow(guards)
    for guard in guards.values():
        play(guard.breaker, "---")


async def test_a_second_has_only_so_many_messages() -> None:
    one = One()
    many(one, TOLD_MOST + 10)
    assert len(await one.told()) == TOLD_MOST
    assert one.heard.kinds == ["dropped"] * 10
    one.clock.advance(1)
    many(one, 1)
    assert len(await one.told()) == 1


async def test_what_waits_is_bounded_and_old_news_are_none() -> None:
    one = One()
    many(one, TOLD_MOST)
    one.clock.advance(1)
    many(one, TOLD_MOST)
    assert one.heard.kinds == ["dropped"] * (2 * TOLD_MOST - BACKLOG)
    one.clock.advance(STALE - 1)
    assert len(await one.told()) == BACKLOG - TOLD_MOST
    one.news.sent(arrived=True)
    one.news.sent(arrived=False)
    assert one.heard.kinds == ["dropped"] * (2 * TOLD_MOST - BACKLOG + TOLD_MOST) + ["sent", "dropped"]


async def test_a_breaker_that_a_reload_has_replaced_tells_nothing() -> None:
    one = One()
    one.news.follow({"orders": Guard(breaker(one.clock), UPSTREAM)})
    play(one.breaker, "---")
    assert await one.told() == []
    assert one.breaker.listeners == ()


async def test_one_that_a_reload_has_kept_tells_once_and_its_other_listeners_stay() -> None:
    one = One()
    heard: list[str] = []
    one.breaker.listeners = (lambda _breaker, _old, new: heard.append(new), *one.breaker.listeners)
    one.news.follow(dict(one.guards))
    play(one.breaker, "---")
    assert len(await one.told()) == 1
    assert heard == ["open"]


async def test_who_waits_for_the_next_message_is_woken() -> None:
    one = One()
    waiting = asyncio.ensure_future(one.news.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    play(one.breaker, "---")
    assert read(await waiting) == Message("me", "orders", UPSTREAM, "open")


async def test_an_opening_does_not_wander_between_many() -> None:
    """Each message to all others, as Redis does it; each of fifty sidecars meets a failure at once. One tells."""
    all_of_them = [One(f"sidecar {number}") for number in range(50)]
    play(all_of_them[0].breaker, "---")
    told = 0
    waiting = [(all_of_them[0], message) for message in await all_of_them[0].told()]
    while waiting:
        sender, message = waiting.pop()
        told += 1
        for one in all_of_them:
            one.news.hear(message.encoded())
            if one is not sender and one.breaker.state == "closed":
                play(one.breaker, "-")
                waiting += [(one, each) for each in await one.told()]
    assert told == 1
    assert {one.breaker.state for one in all_of_them} == {"open"}
