"""What hears the engine, and says it in metrics, log, timeline and events.

One `Telemetry` lives as long as the process; a `RouteWatch` and a `TargetWatch`
are made for each route and target when a runtime is built, everything bound. They
satisfy the observers of `engine/observer.py`. Nothing here raises or blocks.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Protocol

from sidecar.call import Wire
from sidecar.telemetry.access_log import CANCELLED
from sidecar.telemetry.call_span import NOWHERE, CallSpan
from sidecar.telemetry.metrics import NO_ROUTE, OTHER_METHOD, STATES, category
from sidecar.telemetry.moves import Moves
from sidecar.telemetry.series import OTHER
from sidecar.telemetry.timeline import refused_by_us

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from sidecar.call import Call, Outcome, Summary
    from sidecar.errors import Refused
    from sidecar.llm import Usage
    from sidecar.telemetry.access_log import AccessLog
    from sidecar.telemetry.call_span import Peer
    from sidecar.telemetry.events import Events
    from sidecar.telemetry.metrics import Metrics
    from sidecar.telemetry.spans import Spans
    from sidecar.telemetry.timeline import Timeline

log = logging.getLogger("sidecar")


class Named(Protocol):
    """A breaker, as far as telemetry knows it."""

    @property
    def name(self) -> str: ...


class Telemetry:
    """Where metrics, log, timeline and events come together.

    `access_log` may be replaced at any time (a reload may change what it writes).
    `unrouted` hears of calls that met no route. `grpc_method` tells what a metric calls a
    gRPC method (`/package.Service/Method`): its name if it is known, else `other`.
    """

    grpc_method: Callable[[bytes], str]
    spans: Spans | None = None
    """While calls are traced (`tracing.py`)."""

    def __init__(self, metrics: Metrics, access_log: AccessLog, timeline: Timeline, events: Events) -> None:
        self.metrics = metrics
        self.access_log = access_log
        self.timeline = timeline
        self.events = events
        self.moves = Moves()
        self.grpc_method = _nothing_known
        self.unrouted = RouteWatch(self, NO_ROUTE)

    def route(self, name: str, limit_key: str = "global", pattern: str = "") -> RouteWatch:
        """What hears the calls of a route; `limit_key` is its rate limit's key as written in the file, `pattern` the
        path that it matches.
        """
        return RouteWatch(self, name, limit_key, pattern)

    def target(self, route: str, upstream: str, model: str = "", peer: Peer = NOWHERE) -> TargetWatch:
        """What hears the attempts of a route on an upstream; `model` as the file names it, empty for others; `peer`
        is where they go.
        """
        return TargetWatch(self, route, upstream, model, peer)

    def breaker_moved(self, breaker: Named, old: str, new: str) -> None:
        """A breaker went from one state to another (a listener of `Breaker`)."""
        if new in STATES:
            self.metrics.transitions.child(breaker.name, new).value += 1
        self.events.tell("breaker", service=breaker.name, old=old, new=new)
        self.moves.add(time.time_ns(), breaker.name, old, new)
        level = logging.INFO if new == "closed" else logging.WARNING
        log.log(level, "circuit breaker moved", extra={"fields": {"service": breaker.name, "from": old, "to": new}})

    def news(self, kind: str) -> None:
        """One more message of breaker news: `sent`, `heard`, `dropped` or `malformed`."""
        self.metrics.store_news.child("redis", kind).value += 1

    def news_changed(self, service: str, told: str, sender: str) -> None:
        """Another sidecar's breaker has moved (`told` is `open` or `closed`), and that counts here."""
        self.events.tell("breaker_news", service=service, told=told, sender=sender)
        fields = {"service": service, "told": told, "sender": sender}
        log.info("circuit breaker moved in another sidecar", extra={"fields": fields})

    def reloaded(self, result: str, generation: int, **what: object) -> None:
        """A reload ended: `result` is `success` or `failure`, `generation` the one that is live now."""
        self.metrics.reloaded(result, generation)
        self.events.tell("reload", result=result, generation=generation, **what)

    def unreadable(self, call: Call, refusal: Refused) -> None:
        """A request that could not be served as one was refused; `call` has no more than its ids."""
        status = refusal.http_status
        self.metrics.requests.child(OTHER_METHOD, NO_ROUTE, str(status)).value += 1
        self.metrics.errors.child(OTHER_METHOD, NO_ROUTE, category(status)).value += 1
        self.metrics.route(NO_ROUTE).refused.value += 1
        fields = {"request_id": call.id, "status_code": status, "outcome": refusal.label, "why": refusal.message}
        log.info("unreadable request", extra={"fields": fields})

    def retire(self, routes: Collection[str], upstreams: Collection[str]) -> None:
        """These are in no live runtime any more: their series go."""
        self.metrics.retire(routes, upstreams)


class RouteWatch:
    """Hears the calls of one route."""

    __slots__ = ("_inflight", "_limit_key", "_name", "_pattern", "_series", "_telemetry")

    def __init__(self, telemetry: Telemetry, name: str, limit_key: str = "global", pattern: str = "") -> None:
        self._telemetry = telemetry
        self._name = name
        self._series = telemetry.metrics.route(name)
        self._inflight = self._series.inflight
        self._limit_key = limit_key
        self._pattern = pattern

    def started(self, call: Call) -> None:
        self._inflight.value += 1
        spans = self._telemetry.spans
        if spans is not None:
            spans.begin(call)

    def fell_back(self, call: Call, source: str, target: str, reason: str) -> None:
        self._series.count(self._telemetry.metrics.fallbacks, self._name, source, target, reason)
        if call.span is not None:
            _of(call).fell_back(time.time_ns(), source, target, reason)
        events = self._telemetry.events
        if events.listeners:
            events.tell("fallback", request_id=call.id, route=self._name, source=source, target=target, reason=reason)

    def refused_by_limit(self, call: Call) -> None:  # noqa: ARG002 - the observer's interface
        self._series.count(self._telemetry.metrics.limited, self._name, self._limit_key)

    def replay_skipped(self, call: Call, reason: str) -> None:  # noqa: ARG002 - the observer's interface
        self._series.count(self._telemetry.metrics.replay_skipped, self._name, reason)

    def finished(self, call: Call, summary: Summary) -> None:
        """The call is over: 3.5 us for everything that is said of it."""
        telemetry = self._telemetry
        seconds = summary.seconds
        overhead = seconds - summary.waited - summary.upstream_seconds
        # Clocks are read at different moments: a hair below nothing is nothing.
        if call.wire is Wire.HTTP:
            self._series.finished(call.method, call.status, seconds, max(overhead, 0.0))
        else:
            method = telemetry.grpc_method(call.target)
            self._series.finished_grpc(method, call.code or CANCELLED, seconds, max(overhead, 0.0))
        telemetry.access_log.write(call, summary)
        telemetry.timeline.add(call, summary)
        if call.span is not None and telemetry.spans is not None:
            rpc = "" if call.wire is Wire.HTTP else telemetry.grpc_method(call.target)
            telemetry.spans.end(call, summary, self._pattern, rpc, telemetry.moves)
        if call.attempts or not refused_by_us(summary.outcome, call.upstream):
            return
        self._series.refused.value += 1
        if telemetry.events.listeners:
            answer = {"status_code": call.status} if call.wire is Wire.HTTP else {"grpc_code": call.code}
            telemetry.events.tell("refusal", request_id=call.id, route=self._name, outcome=summary.outcome, **answer)


def _of(call: Call) -> CallSpan:
    """The span of a call that is traced, as it was begun here."""
    assert isinstance(call.span, CallSpan), "begun here"
    return call.span


def _nothing_known(_path: bytes) -> str:
    return OTHER


class TargetWatch:
    """Hears the attempts of one route on one upstream, of an LLM provider on one model."""

    __slots__ = ("_model", "_peer", "_route", "_series", "_telemetry", "_upstream")

    def __init__(self, telemetry: Telemetry, route: str, upstream: str, model: str = "", peer: Peer = NOWHERE) -> None:
        self._peer = peer
        self._model = model or OTHER
        self._telemetry = telemetry
        self._route = route
        self._upstream = upstream
        self._series = telemetry.metrics.target(route, upstream)

    def attempted(self, call: Call, outcome: Outcome, seconds: float, ttfb: float) -> None:
        self._series.attempted(outcome.label, seconds, ttfb)
        if call.span is not None:
            _of(call).attempted(self._peer, ttfb)

    def spent(self, call: Call, usage: Usage, *, wasted: bool) -> None:
        if call.span is not None:
            _of(call).spent(usage)
        if wasted:
            self._series.spent(self._model, "wasted", usage.total)
            return
        self._series.spent(self._model, "input", usage.input)
        self._series.spent(self._model, "output", usage.output)
        self._series.spent(self._model, "cached", usage.cached)

    def streamed(self, events: Mapping[str, int]) -> None:
        self._series.streamed(events)

    def retried(self, call: Call, reason: str) -> None:
        self._series.retried(reason)
        events = self._telemetry.events
        if events.listeners:
            events.tell("retry", request_id=call.id, route=self._route, upstream=self._upstream, reason=reason)

    def rested(self, seconds: float, reason: str) -> None:
        self._telemetry.events.tell("rest", upstream=self._upstream, seconds=round(seconds, 3), reason=reason)
        fields = {"upstream": self._upstream, "seconds": round(seconds, 3), "reason": reason}
        log.info("target rests", extra={"fields": fields})

    def budget_exhausted(self, call: Call) -> None:  # noqa: ARG002 - the observer's interface
        self._series.budget_exhausted()
