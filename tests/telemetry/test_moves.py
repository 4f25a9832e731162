"""Which moves of breakers fell into a call's time."""

from __future__ import annotations

from sidecar.telemetry.moves import Moves


def test_those_of_its_breakers_from_its_beginning_on() -> None:
    moves = Moves()
    moves.add(10, "a", "closed", "open")
    moves.add(20, "b", "closed", "open")
    moves.add(30, "a", "open", "half_open")
    assert [move.at for move in moves.since(10, {"a"})] == [10, 30]
    assert [move.at for move in moves.since(11, {"a", "b"})] == [20, 30]
    assert list(moves.since(0, {"c"})) == []
    assert list(moves.since(31, {"a"})) == []


def test_no_more_are_kept_than_it_says() -> None:
    moves = Moves(kept=2)
    for at in range(5):
        moves.add(at, "a", "closed", "open")
    assert [move.at for move in moves.since(0, {"a"})] == [3, 4]


def test_a_move_as_an_event_says_it() -> None:
    moves = Moves()
    moves.add(10, "a", "closed", "open")
    (move,) = moves.since(0, {"a"})
    assert move.said() == {"sidecar.breaker": "a", "sidecar.breaker.from": "closed", "sidecar.breaker.to": "open"}
