"""The metadata that goes upstream: what stays, what is added, what each hop makes anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.body import Messages
from sidecar.ids import Ids
from sidecar.listeners.asked import Access
from sidecar.listeners.read_metadata import MetadataReader
from sidecar.upstreams.grpc_metadata import MetadataWriter, pairs

if TYPE_CHECKING:
    from sidecar.call import Call, Header

READER = MetadataReader(Access(frozenset(), frozenset(), b"", ()), Ids(), b"1.1 sidecar-me", lambda: 0.0)
DECIDE = b"/beamline.flow.v1.PolicyService/Decide"


def call(*metadata: tuple[str, str | bytes], attempts: int = 1, method: str = "/p.S/M") -> Call:
    how: dict[str, Any] = {"deadline": None, "peer": "ipv4:127.0.0.1:1", "host": b"", "secure": False, "unary": False}
    made = READER.read(method, metadata, Messages.of(b""), **how)
    made.id, made.correlation_id, made.traceparent = "i", "c", b"00-t-s-01"
    made.attempts = attempts
    return made


def write(
    made: Call, *, headers: tuple[Header, ...] = (), defaults: tuple[Header, ...] = (), via: bytes = b""
) -> list[Header]:
    return list(MetadataWriter(headers, defaults, via).write(made))


OURS = [(b"x-request-id", b"i"), (b"x-correlation-id", b"c"), (b"traceparent", b"00-t-s-01")]


def test_a_caller_s_own_stay_as_they_are_and_in_their_order() -> None:
    theirs = ("a", "1"), ("b-bin", b"\x00\xff"), ("a", "2")
    assert write(call(*theirs)) == [(b"a", b"1"), (b"b-bin", b"\x00\xff"), (b"a", b"2"), *OURS]


def test_what_each_hop_makes_anew_is_there_once() -> None:
    made = call(("traceparent", "00-old-old-00"), ("x-request-id", "mine"), ("x-correlation-id", "mine"), ("a", "1"))
    assert write(made) == [(b"a", b"1"), *OURS]


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_state_goes_on_with_its_trace_alone() -> None:
    state = ("tracestate", "a=b")
    assert (b"tracestate", b"a=b") in write(call(("traceparent", TRACE), state))
    for stray in ((), (("traceparent", "00-nonsense"),), (("traceparent", TRACE), ("traceparent", TRACE))):
        assert write(call(*stray, state, ("a", "1"))) == [(b"a", b"1"), *OURS]


def test_a_caller_s_other_way_to_write_its_correlation_id_stays() -> None:
    assert (b"correlation-id", b"theirs") in write(call(("correlation-id", "theirs")))


def test_what_the_file_sets_counts_more_than_what_a_caller_sends_and_a_default_less() -> None:
    headers, defaults = ((b"X-Key", b"file"), (b"X-Off", b"")), ((b"X-Tenant", b"file"), (b"X-None", b""))
    sent = write(call(("x-key", "mine"), ("x-tenant", "mine")), headers=headers, defaults=defaults)
    assert sent == [(b"x-tenant", b"mine"), (b"x-key", b"file"), *OURS]
    assert write(call(), headers=headers, defaults=defaults) == [(b"x-key", b"file"), (b"x-tenant", b"file"), *OURS]


def test_what_is_ours_and_nobody_else_s() -> None:
    writer = MetadataWriter(((b"X-A", b"1"),), ((b"x-a", b"2"), (b"X-B", b"3")), b"1.1 me")
    assert writer.own == ((b"x-a", b"1"), (b"x-b", b"3"), (b"via", b"1.1 me"))
    assert MetadataWriter((), (), b"").own == ()


def test_via_goes_on_behind_those_before_us() -> None:
    assert write(call(), via=b"1.1 me")[-1] == (b"via", b"1.1 me")
    sent = write(call(("via", "1.1 a"), ("via", "1.1 b")), via=b"1.1 me")
    assert [value for name, value in sent if name == b"via"] == [b"1.1 a, 1.1 b, 1.1 me"]
    assert (b"via", b"1.1 a") in write(call(("via", "1.1 a"))), "not ours to change without one of our own"


@pytest.mark.parametrize(
    ("attempts", "told", "sent"),
    [(1, "", None), (2, "", b"1"), (3, "", b"2"), (1, "4", b"4"), (3, "4", b"6"), (2, "-1", b"1"), (1, "x", None)],
)
def test_how_many_attempts_there_were_before(attempts: int, told: str, sent: bytes | None) -> None:
    metadata = (("grpc-previous-rpc-attempts", told),) if told else ()
    written = write(call(*metadata, attempts=attempts))
    assert [value for name, value in written if name == b"grpc-previous-rpc-attempts"] == ([sent] if sent else [])


def test_a_method_whose_server_breaks_on_a_correlation_id_gets_none() -> None:
    writer = MetadataWriter((), (), b"", frozenset({DECIDE}))
    theirs = ("x-correlation-id", "mine"), ("correlation-id", "mine"), ("a", "1")
    names = [name for name, _ in writer.write(call(*theirs, method=DECIDE.decode()))]
    assert names == [b"a", b"x-request-id", b"traceparent"]
    assert b"x-correlation-id" in [name for name, _ in writer.write(call(*theirs))]


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "x-request-id", "via"]), st.text("xyz", max_size=3))))
def test_nothing_of_the_callers_is_lost_or_doubled(metadata: list[tuple[str, str]]) -> None:
    kept = [(name.encode(), value.encode()) for name, value in metadata if name in ("a", "b")]
    sent = write(call(*metadata), via=b"1.1 me")
    assert [pair for pair in sent if pair[0] in (b"a", b"b")] == kept
    assert sum(name == b"via" for name, _ in sent) == 1


def test_metadata_as_grpcio_gives_them_are_bytes() -> None:
    given_: tuple[tuple[str | bytes, str | bytes], ...] = (("a", "ä"), (b"b", b"1"), ("c-bin", b"\xff"))
    assert pairs(given_) == [(b"a", "ä".encode()), (b"b", b"1"), (b"c-bin", b"\xff")]
