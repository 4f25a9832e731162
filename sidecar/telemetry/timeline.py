"""What happened to each of the last calls, for `GET /requests` and `GET /live`.

A finished call costs one tuple and one append; text is made when somebody asks.
Bodies, headers and queries are not kept.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from sidecar.call import Wire
from sidecar.telemetry.access_log import CANCELLED, LONGEST_MODEL, LONGEST_PATH
from sidecar.telemetry.metrics import CALLER_LEFT, NO_ROUTE

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.call import Call, Step, Summary
    from sidecar.telemetry.lines import Fields, Timestamp

KEPT = 1000
"""Calls that are remembered."""

LONGEST_SHOWN = 200
"""Characters of a path in a list of calls: fifty of them go out each second."""

_NO_REFUSALS = frozenset({"ok", "client_error", "caller_left"})
"""How a call without an attempt may end that we did not refuse: an equal call's answer was its own, too, or nobody was
left.
"""

_STATIC = "static/"


def refused_by_us(outcome: str, upstream: str) -> bool:
    """Whether a call without an attempt was; what a static link answers is an answer, whatever came before it."""
    return outcome not in _NO_REFUSALS and not upstream.startswith(_STATIC)


class Finished(NamedTuple):
    """What is kept of a call."""

    id: str
    correlation_id: str
    ended: float
    """Unix time, seconds."""
    method: bytes
    path: bytes
    route: str
    model: str
    """That an LLM call asked for: the caller's word."""
    upstream: str
    attempts: int
    status: int
    code: str
    """Of a gRPC call; empty for HTTP."""
    generation: int
    bytes_in: int
    bytes_out: int
    summary: Summary

    @property
    def refused(self) -> bool:
        """By us, before any attempt."""
        return not self.attempts and refused_by_us(self.summary.outcome, self.upstream)

    @property
    def answered(self) -> bool:
        """By the target that it names: not by us, where none was left or nothing came of it."""
        return self.summary.ttfb > 0.0 or self.upstream.startswith(_STATIC)

    def short(self) -> Fields:
        """One line of a list of calls; `at` is when it ended (Unix time), `ttfb` None where no byte came."""
        summary = self.summary
        return {
            "id": self.id,
            "at": round(self.ended, 3),
            "protocol": "grpc" if self.code else "http",
            "method": self.method.decode("latin-1"),
            "path": self.path.decode("utf-8", "backslashreplace")[:LONGEST_SHOWN],
            "route": self.route or NO_ROUTE,
            "upstream": self.upstream,
            "attempts": self.attempts,
            **({"code": self.code} if self.code else {"status": self.status or CALLER_LEFT}),
            "outcome": summary.outcome,
            "seconds": round(summary.seconds, 6),
            "ttfb": round(summary.ttfb, 6) or None,
        }


class Timeline:
    """The last `kept` calls; `wall` gives Unix time in seconds."""

    __slots__ = ("_calls", "_timestamp", "_wall", "ended")

    def __init__(self, wall: Callable[[], float], timestamp: Timestamp, kept: int = KEPT) -> None:
        self._wall = wall
        self._timestamp = timestamp
        self._calls: deque[tuple[object, ...]] = deque(maxlen=kept)
        self.ended = 0
        """Calls so far, those that are forgotten as well."""

    def add(self, call: Call, summary: Summary) -> None:
        http = call.wire is Wire.HTTP
        path = call.path if http else call.target
        model = "" if call.llm is None else call.llm.model[:LONGEST_MODEL]
        self.ended += 1
        # A plain tuple in the order of `Finished`: 100 ns, where a named one takes 450.
        self._calls.append(
            (
                call.id, call.correlation_id, self._wall(), call.method, path[:LONGEST_PATH], call.route,
                model, call.upstream, call.attempts, call.status,
                "" if http else call.code or CANCELLED,
                call.generation, call.body.received, call.bytes_out, summary,
            )
        )  # fmt: skip

    @property
    def full(self) -> bool:
        """Calls are forgotten for new ones."""
        return len(self._calls) == self._calls.maxlen

    def newest(self, most: int = KEPT) -> list[Finished]:
        """At most so many, the newest one first."""
        return [Finished._make(kept) for kept in islice(reversed(self._calls), most)]

    def find(self, wanted: str) -> Fields | None:
        """The newest call of that request id, else of that correlation id; times in seconds."""
        newest_first = self.newest()
        for found in newest_first:
            if found.id == wanted:
                return self._told(found)
        for found in newest_first:
            if found.correlation_id == wanted:
                return self._told(found)
        return None

    def _told(self, found: Finished) -> Fields:
        summary = found.summary
        return {
            "request_id": found.id,
            "correlation_id": found.correlation_id,
            "started": self._timestamp.of(found.ended - summary.seconds),
            "protocol": "grpc" if found.code else "http",
            "method": found.method.decode("latin-1"),
            "path": found.path.decode("utf-8", "backslashreplace"),
            "route": found.route,
            "upstream": found.upstream,
            "attempts": found.attempts,
            **({"grpc_code": found.code} if found.code else {"status_code": found.status}),
            "outcome": summary.outcome,
            "generation": found.generation,
            "seconds": round(summary.seconds, 6),
            "ttfb": round(summary.ttfb, 6),
            "waited": round(summary.waited, 6),
            "upstream_seconds": round(summary.upstream_seconds, 6),
            "bytes_in": found.bytes_in,
            "bytes_out": found.bytes_out,
            "steps": [_step(step) for step in summary.steps],
        }


def _step(step: Step) -> Fields:
    """`at` is counted from the start of the call (seconds); `why` says why the next step came."""
    told: Fields = {
        "kind": step.kind,
        "target": step.target,
        "outcome": step.outcome,
        "at": round(step.at, 6),
        "seconds": round(step.seconds, 6),
    }
    if step.code:
        told["grpc_code"] = step.code
    elif step.status:
        told["status_code"] = step.status
    if step.why:
        told["why"] = step.why
    return told
