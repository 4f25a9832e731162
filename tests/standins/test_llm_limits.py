"""A provider's window of requests and tokens."""

from __future__ import annotations

from sidecar.standins.llm_limits import Limits


def test_a_window_begins_with_its_first_request_and_is_new_when_it_has_passed() -> None:
    now = [100.0]
    limits = Limits(2, 10, 60, clock=lambda: now[0])
    first = limits.take(4)
    assert (first.granted, first.requests, first.tokens, first.reset) == (True, 1, 6, 60)
    now[0] = 130
    assert limits.take(7).granted is False, "more tokens than are left"
    second = limits.take(6)
    assert (second.granted, second.requests, second.tokens, second.reset) == (True, 0, 0, 30)
    third = limits.take(0)
    assert (third.granted, third.requests) == (False, 0)
    now[0] = 160
    assert limits.take(1).granted
