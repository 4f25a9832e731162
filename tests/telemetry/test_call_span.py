"""The live part of a trace: ids."""

from __future__ import annotations

import pytest

from sidecar.llm import Usage
from sidecar.telemetry.call_span import CallSpan, Peer, new_id, place, traceparent


def test_ids_are_of_their_length_and_never_none() -> None:
    assert all(0 < new_id(64) < 1 << 64 for _ in range(100))
    assert all(0 < new_id(128) < 1 << 128 for _ in range(100))


def test_the_lower_half_of_a_trace_s_id_is_by_chance_as_samplers_expect() -> None:
    """A sampler by ratio compares it with a bound: counted, whole processes would be in or out."""
    low = sum(new_id(128) & (1 << 64) - 1 < 1 << 63 for _ in range(1000))
    assert 350 < low < 650


def test_a_traceparent() -> None:
    assert traceparent(1, 2, 3) == b"00-00000000000000000000000000000001-0000000000000002-03"


def test_each_attempt_has_an_id_of_its_own_in_the_call_s_trace() -> None:
    span = CallSpan(7, 8, 1, None, None)
    told = [span.attempt("a", 0), span.attempt("a", 1)]
    assert [text[:36] for text in told] == [b"00-00000000000000000000000000000007-"] * 2
    assert told[0] != told[1]
    assert [one.address for one in span.sendings] == [0, 1]


def test_what_is_told_of_an_attempt_is_of_the_last_one() -> None:
    span, peer, usage = CallSpan(7, 8, 1, None, None), Peer("http"), Usage(3, 4)
    span.attempt("a", 0)
    span.attempt("b", 0)
    span.answered("gpt-4o")
    span.spent(usage)
    span.attempted(peer, 0.5)
    first, last = span.sendings
    assert (first.usage, first.ttfb, first.model) == (None, 0.0, "")
    assert (last.usage, last.peer, last.ttfb, last.model) == (usage, peer, 0.5, "gpt-4o")


def test_fallbacks_are_kept_in_their_order() -> None:
    span = CallSpan(7, 8, 1, None, None)
    span.fell_back(1, "a", "b", "timeout")
    span.fell_back(2, "b", "c", "reset")
    assert [(one.at, one.target) for one in span.fallbacks] == [(1, "b"), (2, "c")]


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://api.example", ("api.example", 80)),
        ("https://api.example/v1", ("api.example", 443)),
        ("grpc://[::1]:50051", ("::1", 50051)),
        ("grpc://router", ("router", 0)),
        ("unix:/run/a.sock", ("/run/a.sock", 0)),
    ],
)
def test_where_an_upstream_is(url: str, found: tuple[str, int]) -> None:
    assert place(url) == found
