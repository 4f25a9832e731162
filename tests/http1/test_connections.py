from __future__ import annotations

from dataclasses import dataclass

from sidecar.http1.connections import Connections


@dataclass(eq=False)
class FakeConnection:
    idle: bool
    ended: str = ""

    def close_when_idle(self) -> None:
        if self.idle:
            self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"


def test_it_counts_and_says_when_the_count_changes() -> None:
    counts: list[int] = []
    connections = Connections()
    connections.on_change = lambda: counts.append(connections.count)
    one, two = FakeConnection(idle=True), FakeConnection(idle=False)
    connections.add(one)
    connections.add(two)
    assert connections.idle == 1
    connections.discard(one)
    connections.discard(one)
    assert counts == [1, 2, 1]


def test_idle_ones_are_closed_and_a_drain_that_takes_too_long_ends_all() -> None:
    connections = Connections()
    one, two = FakeConnection(idle=True), FakeConnection(idle=False)
    connections.add(one)
    connections.add(two)
    connections.close_idle()
    assert (one.ended, two.ended) == ("closed", "")
    connections.abort_all()
    assert (one.ended, two.ended) == ("aborted", "aborted")
