"""Spans of finished calls, in OpenTelemetry's types: what the exporter is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, DEFAULT_ON, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode

from sidecar.call import Step
from sidecar.ids import Ids
from sidecar.telemetry.call_span import CallSpan, Peer
from sidecar.telemetry.moves import Moves
from sidecar.telemetry.spans import SECOND, Spans
from tests.kit.finished_calls import finished_call, summary

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.sampling import Sampler

    from sidecar.call import Call

ENDED = 1_700_000_000 * SECOND
THEIRS = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
IDS = Ids()


def spans(taken: list[ReadableSpan], sampler: Sampler = DEFAULT_ON) -> Spans:
    return Spans(sampler, Resource({"service.name": "s"}), taken.append, version="1.2.3", wall=lambda: ENDED)


def begun(sent: bytes | None = None, *, sampler: Sampler = DEFAULT_ON, state: bytes | None = None) -> Call:
    """A call that has begun; `sent` is its caller's traceparent."""
    call = finished_call()
    if sent is not None:
        call.fields[b"traceparent"] = sent
    if state is not None:
        call.fields[b"tracestate"] = state
    call.traceparent = IDS.traceparent(sent)
    spans([], sampler).begin(call)
    return call


def said(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


def span_of(call: Call) -> CallSpan:
    assert isinstance(call.span, CallSpan)
    return call.span


def test_a_caller_s_trace_goes_on() -> None:
    call = begun(THEIRS)
    span = span_of(call)
    assert call.traceparent == THEIRS[:36] + b"%016x-01" % span.span_id
    assert span.span_id != 0x00F067AA0BA902B7


def test_a_trace_that_begins_here_is_not_that_of_the_ids() -> None:
    """They count: a sampler by ratio takes the lower half of a trace's id for chance."""
    kept = [begun(sampler=TraceIdRatioBased(0.5)).span is not None for _ in range(200)]
    assert 50 < sum(kept) < 150


@pytest.mark.parametrize(
    ("flags", "told", "kept"),
    [(b"00", b"00", False), (b"01", b"01", True), (b"03", b"03", True), (b"02", b"02", False), (b"f1", b"01", True)],
)
def test_by_itself_the_caller_s_word_counts(flags: bytes, told: bytes, kept: bool) -> None:
    call = begun(THEIRS[:-2] + flags)
    assert (call.span is not None) == kept
    assert call.traceparent[-2:] == told


def test_a_caller_that_is_not_traced_passes_as_it_came() -> None:
    assert begun(THEIRS[:-2] + b"00").traceparent == THEIRS[:-2] + b"00"


def test_who_takes_the_mark_away_gives_the_parent_another_id() -> None:
    """W3C Trace Context, section 3.4."""
    call = begun(THEIRS, sampler=ALWAYS_OFF)
    assert call.span is None
    assert call.traceparent[:36] == THEIRS[:36]
    assert call.traceparent[36:52] != THEIRS[36:52]
    assert call.traceparent[-3:] == b"-00"


def test_a_version_of_the_future_is_answered_in_ours() -> None:
    assert begun(b"cc" + THEIRS[2:] + b"-more").traceparent[:3] == b"00-"


def test_a_state_goes_along_unless_it_is_too_long_or_none() -> None:
    states = [span_of(begun(THEIRS, state=state)).state for state in (b"a=1,b=2", b"a=" + b"x" * 600, b"\xff,,=", None)]
    assert [dict(state) if state else {} for state in states] == [{"a": "1", "b": "2"}, {}, {}, {}]  # type: ignore[call-overload]


def ended(
    *steps: Step, call: Call | None = None, seconds: float = 2.0, moves: Moves | None = None
) -> list[ReadableSpan]:
    taken: list[ReadableSpan] = []
    call = call or begun(THEIRS)
    for step in steps:
        if step.kind == "attempt":
            span_of(call).attempt(step.target, 0)
            span_of(call).attempted(Peer("http", (("up", 80),), breaker="store"), 0.0)
    told = summary(seconds=seconds, steps=list(steps))
    spans(taken).end(call, told, "/v1/*", "", moves or Moves())
    return taken


def test_a_call_s_spans_are_told_clients_first_and_lie_in_its_time() -> None:
    client, server = ended(Step("attempt", "store", "ok", 0.5, 1.0, status=200))
    assert (client.kind, server.kind) == (SpanKind.CLIENT, SpanKind.SERVER)
    assert client.parent == server.context
    assert server.parent is not None
    assert server.parent.is_remote
    assert (server.start_time, server.end_time) == (ENDED - 2 * SECOND, ENDED)
    assert (client.start_time, client.end_time) == (ENDED - 3 * SECOND // 2, ENDED - SECOND // 2)
    assert (client.status.status_code, client.status.description) == (StatusCode.UNSET, None)


def test_resent_is_what_went_to_the_same_target_again() -> None:
    steps = [Step("attempt", name, "reset", 0.1, 0.1) for name in ("a", "a", "a", "b", "b", "a")]
    *clients, _ = ended(*steps)
    assert [said(span).get("http.request.resend_count") for span in clients] == [None, 1, 2, None, 1, None]
    assert [said(span)["sidecar.attempt"] for span in clients] == [1, 2, 3, 4, 5, 6]


def test_what_was_never_sent_is_an_event() -> None:
    call = begun(THEIRS)
    span_of(call).fell_back(ENDED - SECOND, "a", "b", "cannot_carry")
    client, server = ended(
        Step("wait", "things", "", 0.0, 0.2, "rate_limit"),
        Step("attempt", "a", "cannot_carry", 0.3, 0.0),
        Step("skip", "c", "circuit_open", 1.2, 0.0, "its words"),
        Step("attempt", "b", "ok", 1.3, 0.1, status=200),
        call=call,
    )
    assert said(client)["sidecar.upstream"] == "b"
    assert said(client)["sidecar.attempt"] == 1
    assert [(event.name, ENDED - event.timestamp) for event in server.events] == [
        ("sidecar.wait", 2 * SECOND),
        ("sidecar.skip", SECOND * 17 // 10),
        ("sidecar.fallback", SECOND),
        ("sidecar.skip", SECOND * 8 // 10),
    ]
    assert "its words" not in str([event.attributes for event in server.events])


def test_a_breaker_that_moved_meanwhile_is_an_event() -> None:
    moves = Moves()
    moves.add(ENDED - 3 * SECOND, "store", "open", "half_open")
    moves.add(ENDED - SECOND, "store", "closed", "open")
    moves.add(ENDED - SECOND, "another", "closed", "open")
    _, server = ended(Step("attempt", "store", "reset", 0.5, 1.0), moves=moves)
    assert [event.name for event in server.events] == ["sidecar.breaker"]


def test_an_attempt_whose_step_is_missing_costs_its_span_only() -> None:
    call = begun(THEIRS)
    span_of(call).attempt("a", 0)
    (server,) = ended(call=call)
    assert server.kind is SpanKind.SERVER


@given(
    path=st.binary(max_size=40), host=st.binary(max_size=40), agent=st.binary(max_size=40),
    method=st.binary(max_size=9), state=st.binary(max_size=40), flags=st.integers(0, 255),
)  # fmt: skip
def test_whatever_a_caller_sends_can_be_exported(
    path: bytes, host: bytes, agent: bytes, method: bytes, state: bytes, flags: int
) -> None:
    call = finished_call(method=method, path=path)
    call.host = host
    call.fields |= {b"user-agent": agent, b"traceparent": THEIRS[:-2] + b"%02x" % flags, b"tracestate": state}
    call.traceparent = call.fields[b"traceparent"]
    spans([], ALWAYS_ON).begin(call)
    taken = ended(Step("attempt", "store", "ok", 0.5, 1.0, status=200), call=call)
    sent = encode_spans(taken).SerializeToString()
    assert sent
    assert b"hunter2" not in sent
