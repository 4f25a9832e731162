"""The life of one call: admission, attempts, settlement.

`async with Exchange(call, engine) as reply` is the whole of it: entering finds
the route, waits where a limit allows it, and makes attempts until one reply is
committed; the body of the `with` is the listener writing; leaving settles what
is still open and tells the observers, once.

Rules that hold here:

- There is one attempt loop (`chain.py`), for every protocol. Policies are asked, not nested.
- Before commit the caller has seen nothing; after it nothing is tried again.
- One timer per attempt, no task of our own.
- A refusal of ours at a target means the next target; its breaker does not hear it.
- A crash of ours is ours: everything is released, no breaker hears a failure.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidecar.call import NO_DEADLINE, Summary
from sidecar.engine.answer import BUSY_RETRY_AFTER
from sidecar.engine.attempt import Attempts
from sidecar.engine.chain import ChainRun
from sidecar.engine.flights import Flights
from sidecar.engine.timer import TICK, Timer, Wheel
from sidecar.engine.waits import Waits
from sidecar.errors import (
    BodyTooLarge,
    CallerLeft,
    DeadlineExceeded,
    Draining,
    HeaderTooLarge,
    InternalError,
    Overloaded,
    RateLimited,
    Refused,
    UpstreamError,
    UpstreamReset,
)
from sidecar.policy.classify import CLIENT_ERROR, OK
from sidecar.replies import end

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from types import TracebackType

    from sidecar.call import Call, Reply
    from sidecar.engine.observer import RouteObserver
    from sidecar.engine.route import Limit, Llm, Route
    from sidecar.engine.route_table import RouteTable
    from sidecar.policy.concurrency import Concurrency

CLIENT_CLOSED = 499
"""nginx's status for a caller that left; it stands in the log only."""

CANCELLED = "CANCELLED"
"""gRPC's for the same."""


@dataclass(slots=True, eq=False)
class Engine:
    """What all exchanges of one configuration share. `unmatched` hears of calls that no route took."""

    table: RouteTable[Route]
    generation: int
    clock: Callable[[], float]
    rng: Callable[[], float]
    unmatched: RouteObserver
    inflight: Concurrency | None = None
    draining: bool = False
    size_of: Callable[[Refused, Call], int] = lambda _refusal, _call: 0
    """Bytes of the body that answers a refusal: it is written when the call is over and told of."""
    flights: Flights = field(default_factory=Flights)
    wheel: Wheel = field(default_factory=Wheel)

    def exchange(self, call: Call) -> Exchange:
        return Exchange(call, self)


class Exchange:
    """One call, from admission to the end of its reply."""

    _run: ChainRun | None = None
    _reply: Reply | None = None
    _over = False
    _flight: Hashable = None
    """Under which equal calls wait for this one."""
    _drawn: Limit | None = None
    """The route's limit, once the call has drawn on it."""

    def __init__(self, call: Call, engine: Engine) -> None:
        self._call = call
        self._engine = engine
        self._observer = engine.unmatched
        timer = Timer(engine.wheel)
        self._waits = Waits(call, engine.clock, timer)
        self._attempts = Attempts(call, engine.clock, timer, self._waits.steps)
        self._slots: list[Concurrency] = []

    async def __aenter__(self) -> Reply:
        try:
            route = self._find()
            if route.llm is not None:
                await self._ask(route, route.llm)
                shared = await self._board(route)
                if shared is not None:
                    return self._replied(shared)
            limit = route.limit
            if limit is not None:
                if limit.shared is not None or limit.take(self._call) > 0.0:
                    await self._queue(limit, route)
                else:
                    self._call.quotas = limit.bucket.quotas(limit.key_of(self._call))
                self._drawn = limit
            if route.concurrency is not None:
                await self._enter(route)
            self._run = ChainRun(self._call, route, self._attempts, self._waits, self._engine.rng)
            reply = await self._run.obtain()
            self._land(reply)
        except (asyncio.CancelledError, CallerLeft):
            outcome, code = self._left()
            self._finish(outcome, CLIENT_CLOSED, code)
            raise
        except Refused as refusal:
            self._land(refusal)
            self._call.bytes_out = self._engine.size_of(refusal, self._call)
            self._finish(refusal.label, refusal.http_status, refusal.grpc_code)
            raise
        except BaseException:
            self._finish("internal_error", 500, InternalError.grpc_code)
            raise
        return self._replied(reply)

    def _replied(self, reply: Reply) -> Reply:
        self._reply = reply
        self._call.status = reply.status
        ask, body = self._call.llm, self._call.body
        if ask is not None:
            ask.answered_by = reply.model
            if reply.chunks is not None and body.whole is not None and ask.options.on_break != "continue":
                # A stream goes on for minutes, and conversations are long.
                ask.forget()
                body.forget()
        return reply

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._reply is not None
        code = self._reply.code
        if error is None:
            last = self._attempts.last
            if last is not None:
                outcome = last.label
            elif self._run is not None:
                outcome = self._run.why or OK.label
            else:  # an equal call's answer
                outcome = (OK if self._reply.status < 400 else CLIENT_ERROR).label
            if outcome == OK.label and code not in ("", "OK"):  # a stream that ended with a status of its own
                outcome = CLIENT_ERROR.label
        elif isinstance(error, UpstreamError):
            self._attempts.broke(error.facts.detail)
            outcome = "broke"
            code = code or UpstreamReset.grpc_code
        elif isinstance(error, asyncio.CancelledError | CallerLeft | ConnectionError):
            outcome, code = self._left()
        elif isinstance(error, Refused):  # the caller's own body went wrong behind its reply
            outcome, code = error.label, error.grpc_code
        else:
            outcome, code = "internal_error", InternalError.grpc_code
        self._finish(outcome, self._call.status, code)

    def _left(self) -> tuple[str, str]:
        """How it ended for a caller that is gone. A gRPC caller whose deadline has passed is, and its clock may be
        1 % early: `grpc-timeout` is sent with three digits, rounded up.
        """
        call = self._call
        if call.rpc_deadline != NO_DEADLINE:
            left = call.rpc_deadline - self._engine.clock()
            if left <= TICK + 0.01 * (call.rpc_deadline - call.started):
                return DeadlineExceeded.label, DeadlineExceeded.grpc_code
        return "caller_left", CANCELLED

    def _find(self) -> Route:
        call, engine = self._call, self._engine
        call.generation = engine.generation
        if call.refusal is not None:
            raise call.refusal
        if engine.draining:
            raise Draining("the sidecar is shutting down", retry_after=BUSY_RETRY_AFTER)
        if engine.inflight is not None:
            if not engine.inflight.try_enter():
                raise Overloaded("too many calls at once", retry_after=BUSY_RETRY_AFTER)
            self._slots.append(engine.inflight)
        route = engine.table.match(call)
        call.route = route.name
        self._observer = route.observer
        route.observer.started(call)
        body = call.body
        body.limit = route.replay_buffer
        if route.max_body_bytes or route.max_headers or route.max_header_bytes:
            _check_size(call, route)
        call.deadline = call.caller_deadline
        if body.complete:
            call.deadline = min(call.deadline, call.started + route.deadline)
        if route.idempotent or call.path in route.idempotent_paths:
            call.idempotent = True
        if route.strip or route.rewrite:
            call.outgoing = route.outgoing(call.target)
            call.stripped = route.strip
        return route

    async def _ask(self, route: Route, llm: Llm) -> None:
        """Read what the call asks of an LLM: its chain, its limits and its times follow from it."""
        call = self._call
        if llm.wants(call) and (call.body.whole is None or len(call.body.whole) > llm.longest):
            await self._waits.hold(llm.longest)
            call.deadline = min(call.caller_deadline, self._engine.clock() + route.deadline)
        ask = call.llm = llm.read(call, llm.options)
        if ask.stream and llm.options.stream == "complete" and call.keep_warm is not None:
            call.keep_warm()

    async def _board(self, route: Route) -> Reply | None:
        """Share the upstream call of an equal call that is under way; None: this one is the one to be made.

        Equal are whole calls with the same `Idempotency-Key`, route, path, credential and body.
        """
        call, flights = self._call, self._engine.flights
        key = call.fields.get(b"idempotency-key")
        body = call.body.whole
        if not key or call.method != b"POST" or body is None or call.llm is None or call.llm.stream:
            return None
        flight_key = (route.name, call.llm.path, call.llm.credential, key)
        digest = hashlib.blake2b(body, digest_size=16).digest()
        while True:
            flight = flights.join(flight_key, digest, call)
            if flight is None:
                self._flight = flight_key
                return None
            reply = await self._waits.join(flight)
            if reply is not None:
                call.upstream = flight.leader.upstream
                return reply

    def _land(self, landing: Reply | Refused | None) -> None:
        if self._flight is not None:
            self._engine.flights.land(self._flight, landing)
            self._flight = None

    async def _queue(self, limit: Limit, route: Route) -> None:
        refusal = await self._waits.draw(limit, route.name)
        shared = limit.shared is not None
        self._call.quotas = self._waits.left if shared else limit.bucket.quotas(limit.key_of(self._call))
        if refusal is not None:
            if isinstance(refusal, RateLimited):
                self._observer.refused_by_limit(self._call)
            raise refusal

    async def _enter(self, route: Route) -> None:
        assert route.concurrency is not None
        if not await self._waits.enter(route.concurrency, route.name):
            raise Overloaded(f"{route.name} is busy", retry_after=BUSY_RETRY_AFTER)
        self._slots.append(route.concurrency)

    def _finish(self, outcome: str, status: int, code: str) -> None:
        """Release everything and tell the observers, once. `code` is the gRPC status of what the caller got."""
        if self._over:
            return
        self._over = True
        self._land(None)
        call, attempts = self._call, self._attempts
        if attempts.permit is not None:
            attempts.permit.release()
        attempts.over(used=self._reply is not None)
        if call.llm is not None:
            if self._drawn is not None:
                self._drawn.used(call, attempts.tokens - call.llm.estimate)
            if self._reply is not None:
                call.llm.usage = self._reply.usage
        if self._reply is not None:
            end(self._reply)
        if self._run is not None and self._run.answers.held is not None:
            self._run.answers.drop()
        for slot in self._slots:
            slot.leave()
        call.body.close()
        call.status, call.code = status, code
        if not call.route:  # it never got as far as a route
            self._observer.started(call)
        waits = self._waits
        seconds = self._engine.clock() - call.started
        summary = Summary(outcome, seconds, attempts.ttfb, waits.total, attempts.seconds, waits.steps)
        self._observer.finished(call, summary)


def _check_size(call: Call, route: Route) -> None:
    """The route's own limits, beside those that the listener holds while it parses."""
    if route.max_headers and len(call.fields) > route.max_headers:
        raise HeaderTooLarge(f"more than {route.max_headers} header fields")
    if route.max_header_bytes:
        size = sum(len(name) + len(value) + 4 for name, value in call.fields.items())
        if size > route.max_header_bytes:
            raise HeaderTooLarge(f"more than {route.max_header_bytes} bytes of header fields")
    if route.max_body_bytes:
        if (call.body.length or call.body.received) > route.max_body_bytes:
            raise BodyTooLarge(f"the body is longer than {route.max_body_bytes} bytes")
        call.body.max_bytes = route.max_body_bytes
