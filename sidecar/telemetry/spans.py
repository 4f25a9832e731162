"""Spans of calls, in OpenTelemetry's own types.

Live are only the ids and the sampler's word. When a call is over, its spans are put together from its summary and go to
`take` as a whole: the server's, and a client's for each attempt. `ReadableSpan` is made without a `Tracer`: that costs
1.3 us a span, `start_span` and `end` cost 21 (the SDK is 1.45; `tests/telemetry/test_spans.py` holds what is used of
it).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from sidecar.call import Wire
from sidecar.telemetry import conventions
from sidecar.telemetry.call_span import SAMPLED, CallSpan, new_id, traceparent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.sampling import Sampler

    from sidecar.call import Call, Step, Summary
    from sidecar.telemetry.call_span import Sending
    from sidecar.telemetry.moves import Moves

SECOND = 1_000_000_000
"""Nanoseconds."""

LONGEST_STATE = 512
"""Bytes of a `tracestate` that are kept (W3C Trace Context, section 3.3.1.5, asks for no more)."""

RANDOM = 2
"""The flag that says that a trace's id came by chance (W3C Trace Context, level 2): it stays as the caller sent it."""

_TO_THE_END = frozenset({"ok", "client_error"})
"""Outcomes of calls whose last attempt's answer is the caller's, from its beginning to its end."""

_NOBODY = Context()
_WELL = Status(StatusCode.UNSET)
_ERROR = Status(StatusCode.ERROR)
"""Without a description: what could stand there is an upstream's or a caller's word."""


class Spans:
    """Begins and ends the spans of calls; `take` gets each that is whole. `wall` gives Unix time in nanoseconds."""

    def __init__(
        self,
        sampler: Sampler,
        resource: Resource,
        take: Callable[[ReadableSpan], None],
        *,
        version: str,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self._sampler = sampler
        self._resource = resource
        self._take = take
        self._scope = InstrumentationScope("sidecar", version)
        self._wall = wall
        self._models = conventions.Models()

    def begin(self, call: Call) -> None:
        """The call has begun: decides whether it is traced. If not, its `traceparent` says so to its upstreams."""
        sent = call.fields.get(b"traceparent")
        parent: SpanContext | None = None
        context, flags, state = _NOBODY, 0, None
        if sent is not None and sent == call.traceparent:  # else it is none, and the call begins a trace
            flags = int(sent[53:55], 16)
            state = _state(call.fields.get(b"tracestate"))
            parent = SpanContext(
                int(sent[3:35], 16), int(sent[36:52], 16), is_remote=True, trace_flags=TraceFlags(flags),
                trace_state=state,
            )  # fmt: skip
            context = set_span_in_context(NonRecordingSpan(parent), context)
        trace_id = new_id(128) if parent is None else parent.trace_id
        told = self._sampler.should_sample(context, trace_id, "call", SpanKind.SERVER)
        if told.decision is Decision.RECORD_AND_SAMPLE:
            flags = flags & RANDOM | SAMPLED
            call.span = CallSpan(trace_id, new_id(64), flags, parent, told.trace_state)
            call.traceparent = traceparent(trace_id, call.span.span_id, flags)
        elif parent is None or flags & SAMPLED:  # else what came says it already
            call.traceparent = traceparent(trace_id, new_id(64), flags & RANDOM)

    def end(self, call: Call, summary: Summary, pattern: str, rpc: str, moves: Moves) -> None:
        """The call is over. `pattern` is its route's path, `rpc` its gRPC method as metrics name it."""
        span = call.span
        assert isinstance(span, CallSpan), "begun here"
        ended = self._wall()
        started = ended - int(summary.seconds * SECOND)
        state = span.state if isinstance(span.state, TraceState) else None
        flags = TraceFlags(span.flags)
        own = SpanContext(span.trace_id, span.span_id, is_remote=False, trace_flags=flags, trace_state=state)
        if call.wire is Wire.GRPC and span.sendings and summary.outcome in _TO_THE_END:
            span.sendings[-1].code = call.code
        events = [Event("sidecar.fallback", conventions.fell_back(one), one.at) for one in span.fallbacks]
        breakers: set[str] = set()
        for step, sending, ordinal, resent in _told(span, summary, events, started):
            begun = started + int(step.at * SECOND)
            context = SpanContext(
                span.trace_id, sending.span_id, is_remote=False, trace_flags=flags, trace_state=state
            )  # fmt: skip
            self._make(
                conventions.client_name(call, sending, rpc, self._models),
                context,
                own,
                SpanKind.CLIENT,
                conventions.client(call, step, sending, rpc, ordinal, resent),
                (),
                begun,
                begun + int(step.seconds * SECOND),
            )
            breakers.add(sending.peer.breaker)
        events += [Event("sidecar.breaker", move.said(), move.at) for move in moves.since(started, breakers)]
        events.sort(key=_when)
        self._make(
            conventions.server_name(call, pattern, rpc),
            own,
            span.parent if isinstance(span.parent, SpanContext) else None,
            SpanKind.SERVER,
            conventions.server(call, summary, pattern, rpc),
            tuple(events),
            started,
            ended,
        )

    def _make(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        said: conventions.Attributes,
        events: tuple[Event, ...],
        started: int,
        ended: int,
    ) -> None:
        self._take(
            ReadableSpan(
                name, context, parent, self._resource, said, events, (), kind,
                status=_ERROR if "error.type" in said else _WELL, start_time=started, end_time=ended,
                instrumentation_scope=self._scope,
            )
        )  # fmt: skip


def _told(
    span: CallSpan, summary: Summary, events: list[Event], started: int
) -> Iterator[tuple[Step, Sending, int, int]]:
    """Each attempt's step with what was sent, its number in the call, and how often the same had been sent before.
    What is no attempt becomes an event.
    """
    sendings = iter(span.sendings)
    ordinal, resent, before = 0, 0, ""
    for step in summary.steps:
        if step.kind == "attempt" and (sending := next(sendings, None)) is not None:
            if step.outcome == "cannot_carry":  # nothing was sent
                events.append(_event("sidecar.skip", conventions.skipped(step), step, started))
                continue
            ordinal += 1
            resent = resent + 1 if step.target == before else 0
            before = step.target
            yield step, sending, ordinal, resent
        elif step.kind == "wait":
            events.append(_event("sidecar.wait", conventions.waited(step), step, started))
        elif step.kind == "skip":
            events.append(_event("sidecar.skip", conventions.skipped(step), step, started))


def _event(name: str, said: conventions.Attributes, step: Step, started: int) -> Event:
    return Event(name, said, started + int(step.at * SECOND))


def _when(event: Event) -> int:
    return event.timestamp


def _state(sent: bytes | None) -> TraceState | None:
    if sent is None or len(sent) > LONGEST_STATE:
        return None
    return TraceState.from_header([sent.decode("latin-1")])
