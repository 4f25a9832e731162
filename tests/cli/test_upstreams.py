"""The table of upstreams, from what the admin listener says of them."""

from __future__ import annotations

from typing import Any

from sidecar.cli.upstreams import HEAD, upstream_table

POOL = {"idle": 0, "active": 0, "connecting": 0, "waiting": 0}


def upstream(**more: Any) -> dict[str, Any]:
    return {
        "protocol": "http", "urls": ["http://h"], "circuit_breaker": "closed", "resting": {}, "connections": [],
        "channels": [], "addresses": [], **more,
    }  # fmt: skip


def rows(told: dict[str, Any], breakers: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
    head, *rest = upstream_table(told, breakers or {})
    assert head == HEAD
    return rest


def test_none_are_no_table() -> None:
    assert upstream_table({}, {}) == []


def test_a_quiet_one() -> None:
    assert rows({"a": upstream()}) == [("a", "http", "closed", None, None, "http://h")]


def test_one_without_a_breaker() -> None:
    assert rows({"a": upstream(circuit_breaker=None)})[0][2] == "off"


def test_an_open_one_tells_when_it_is_tried_again() -> None:
    opened = {"a": {"state": "open", "retry_after": 4.24}}
    assert rows({"a": upstream(circuit_breaker="open")}, opened)[0][2] == "open, 4.2 s"
    assert rows({"a": upstream(circuit_breaker="open")}, {"a": {"state": "open"}})[0][2] == "open, until reset"
    # It was asked for a moment later, and has moved on.
    assert rows({"a": upstream(circuit_breaker="open")}, {"a": {"state": "half_open"}})[0][2] == "open"
    assert rows({"a": upstream(circuit_breaker="open")}, {})[0][2] == "open"


def test_the_longest_of_its_rests_counts() -> None:
    assert rows({"a": upstream(resting={"a": 3.0, "a again": 200})})[0][3] == "3 min"


def test_connections_of_all_its_pools_and_channels() -> None:
    pools = [{**POOL, "active": 2, "idle": 1}, {**POOL, "active": 1}]
    addresses = [{"inflight": 0, "failures": 6, "aside": 3.0}, {"inflight": 0, "failures": 0, "aside": 0.0}]
    told = upstream(connections=pools, channels=["ready", "idle"], addresses=addresses)
    assert rows({"a": told})[0][4] == "3 active, 1 idle, ready, idle, 1 of 2 addresses aside"


def test_of_an_llm_upstream_only_the_models_that_are_shut_out_have_a_row() -> None:
    states = {"o/*": "closed", "o/big": "open", "o/small": "closed", "o/new": "half_open"}
    told = upstream(protocol="openai", circuit_breaker=states, resting={"o/small": 12.0, "o/big": 1.0})
    opened = {"o/big": {"state": "open", "retry_after": 9.0}}
    assert rows({"o": told}, opened) == [
        ("o", "openai", "2 closed, 1 open, 1 half_open", None, None, "http://h"),
        ("  o/big", "", "open, 9.0 s", "1.0 s", "", ""),
        ("  o/new", "", "half_open", None, "", ""),
        ("  o/small", "", "closed", "12.0 s", "", ""),
    ]
