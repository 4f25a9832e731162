"""One sending of a call to one target, judged at evidence.

The permit is settled exactly once, when evidence comes; told only at the end, a
burst of long streams would show the breaker's window nothing but its quick
failures, and hold the only half-open probe. A stream cut later adds a failure.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sidecar.call import Facts, Outcome, Reply, Sign, Step, Verdict, What
from sidecar.engine.answer import hold
from sidecar.errors import UpstreamError
from sidecar.policy.classify import BROKE, CLIENT_ERROR, OK, classify

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.call import Call
    from sidecar.engine.route import Target
    from sidecar.engine.timer import Timer
    from sidecar.policy.breaker import Permit
    from sidecar.policy.concurrency import Concurrency

ABANDONED = Outcome("abandoned", Verdict.NOTHING)
"""An attempt ended by the caller's own body (too long, too slow) or by a bug of ours."""


class Attempts:
    """The attempts of one call, one at a time; an `Upstream` sees it as its `Attempt`.

    `last` is the outcome of the attempt that runs, None before its evidence. `facts`
    are those of the last one. `tried` counts the attempts on the target at hand.
    `could_follow` answers whether another attempt may come after this one: while it
    runs (asked with None), and once it is judged (asked with its outcome).
    """

    __slots__ = (
        "_began", "_call", "_clock", "_failed", "_route_deadline", "_steps", "_target", "_timer", "_ttfb",
        "address", "could_follow", "facts", "fresh", "last", "other_left", "permit", "seconds", "slot", "tried", "ttfb",
    )  # fmt: skip

    def __init__(self, call: Call, clock: Callable[[], float], timer: Timer, steps: list[Step]) -> None:
        self._call = call
        self._clock = clock
        self._timer = timer
        self._steps = steps
        self._target: Target | None = None
        self._route_deadline = 0.0
        self._began = 0.0
        self._ttfb = 0.0
        self._failed = 0
        self.could_follow: Callable[[Outcome | None], bool] = _nothing_follows
        self.other_left: Callable[[], bool] = _no_other
        self.address = 0
        self.fresh = False
        self.tried = 0
        self.last: Outcome | None = None
        self.facts = Facts(What.REPLY)
        self.permit: Permit | None = None
        self.slot: Concurrency | None = None
        self.seconds = 0.0
        self.ttfb = 0.0

    async def send(self, target: Target, route_deadline: float) -> Reply | None:
        """Send once. Leaves the outcome in `last`; None when there is no reply to give."""
        call, service = self._call, target.service
        if self.tried == 0 and not self.fresh:
            target.budget.deposit()
            if call.retrying:
                target.budget.charge()
        self.tried += 1
        call.attempts += 1
        self._target = target
        self._route_deadline = route_deadline
        self.last = None
        began = self._began = self._clock()
        reply: Reply | None = None
        self._timer.arm(self._until(target) if call.body.complete else call.deadline)
        try:
            reply = await service.upstream.send(call, self)
            outcome = self._settle(target, reply.facts)
            if not outcome.final and self.could_follow(outcome):
                reply = await hold(reply)
        except UpstreamError as error:
            if reply is None:
                self._settle(target, error.facts)
        except asyncio.CancelledError:
            ours = self._timer.expired()
            if reply is None:
                self._settle(target, self._cut_short(ours=ours, seconds=self._clock() - began))
            if not ours:
                raise
        else:
            return reply
        finally:
            self._timer.disarm()
        if reply is not None and reply.closer is not None:
            reply.closer.close()
        return None

    def sent(self) -> None:
        """The streamed request body is on its way whole: the deadline and the attempt's clock start now."""
        call = self._call
        if self._route_deadline and call.deadline == call.caller_deadline:
            call.deadline = min(call.caller_deadline, self._clock() + self._route_deadline)
        if self._target is not None and self.last is None:
            self._timer.arm(self._until(self._target))

    def broke(self) -> None:
        """The committed reply was cut: the breaker hears a failure on top of the success it was told."""
        self.last = BROKE
        if self.permit is not None:
            self.permit.broke()

    def over(self) -> None:
        """The attempt and its reply are done with: its line in the timeline, its slot, its place at the address."""
        target = self._target
        if target is not None:
            self._target = None
            seconds = self._clock() - self._began
            self.seconds += seconds
            outcome = self.last or ABANDONED
            status = self.facts.status if self.last is not None else 0
            at = self._began - self._call.started
            self._steps.append(Step("attempt", target.name, outcome.label, at, seconds, self.facts.detail, status))
            target.observer.attempted(self._call, outcome, seconds, self._ttfb)
            if target.service.addresses is not None:
                target.service.addresses.ended(self.address)
        if self.slot is not None:
            self.slot.leave()
            self.slot = None

    def _until(self, target: Target) -> float:
        """When the attempt ends: its timeout counts only while another attempt could follow."""
        timeout, deadline = target.attempt_timeout, self._call.deadline
        if not timeout or not (self._call.idempotent or target.rules.idempotent):
            return deadline
        until = self._clock() + timeout
        return until if until < deadline and self.could_follow(None) else deadline

    def _cut_short(self, *, ours: bool, seconds: float) -> Facts:
        assert self._target is not None
        what = What.CALLER_LEFT
        if ours:
            late = self._clock() >= self._call.caller_deadline
            what = What.CALLER_DEADLINE if late else What.TIMED_OUT
        return Facts(what, seconds=seconds, answered=self._target.service.answered_at >= self._began)

    def _settle(self, target: Target, facts: Facts) -> Outcome:
        """Judge the attempt, and tell everything that listens: once."""
        call, service, now = self._call, target.service, self._clock()
        outcome = self.last = classify(facts, call, target.rules, other_left=self.other_left())
        self.facts = facts
        seconds = self._ttfb = now - self._began
        if facts.what is What.REPLY:
            service.answered_at = now
            self.ttfb = now - call.started
        hears = outcome.verdict
        if service.addresses is not None:
            if hears is Verdict.SUCCESS:
                service.addresses.succeeded(self.address)
            elif hears is Verdict.FAILURE and not service.addresses.failed(self.address):
                hears = Verdict.NOTHING
        if self.permit is not None:
            if hears is Verdict.SUCCESS:
                self.permit.succeed(seconds)
            elif hears is Verdict.FAILURE:
                self.permit.fail()
            else:
                self.permit.release()
        if outcome.rest > 0:
            target.rest.rest(now + outcome.rest, outcome.label)
            target.observer.rested(outcome.rest, outcome.label)
        if outcome is not OK and outcome is not CLIENT_ERROR:
            self._failed += 1
            if self._failed > 1 or facts.sign is Sign.OUT_OF_MONEY:
                call.should_retry = False
        return outcome


def _nothing_follows(_outcome: Outcome | None) -> bool:
    return False


def _no_other() -> bool:
    return False
