"""One sending of a call to one target, judged at evidence.

The permit is settled exactly once, when evidence comes; told only at the end, a
burst of long streams would show the breaker's window nothing but its quick
failures, and hold the only half-open probe. A stream cut later adds a failure.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from sidecar.call import Facts, Outcome, Reply, Same, Sign, Step, Verdict, What
from sidecar.engine.answer import HELD_BYTES
from sidecar.engine.spending import settle
from sidecar.errors import UpstreamError
from sidecar.policy.classify import BROKE, CLIENT_ERROR, OK, classify
from sidecar.replies import read_up_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.call import Call
    from sidecar.engine.route import Target
    from sidecar.engine.timer import Timer
    from sidecar.policy.breaker import Permit
    from sidecar.policy.concurrency import Concurrency

NO_FACTS = Facts(What.REPLY)

REASONING = 300.0
"""Seconds to the first token of a request that asks for reasoning, where the policy file says nothing."""

ABANDONED = Outcome("abandoned", Verdict.NOTHING)
"""An attempt ended by the caller's own body (too long, too slow) or by a bug of ours."""


class Chances(Protocol):
    """What may come after the attempt that runs, as the attempt loop knows it."""

    @property
    def deadline(self) -> float:
        """The route's (seconds)."""

    def could_follow(self, outcome: Outcome | None) -> bool:
        """Could another attempt come after this one? Before its end (None) it is assumed to be allowed."""

    def other_left(self) -> bool:
        """A later target neither rests nor is open."""

    async def resume(self) -> Reply | None:
        """The committed reply was cut: that of a later target that goes on where it ended."""


class Attempts:
    """The attempts of one call, one at a time; an `Upstream` sees it as its `Attempt`.

    `last` is the outcome of the attempt that runs, None before its evidence. `facts`
    are those of the last one. `tried` counts the attempts on the target at hand.
    """

    address = 0
    fresh = False
    tried = 0
    last: Outcome | None = None
    facts = NO_FACTS
    permit: Permit | None = None
    slot: Concurrency | None = None
    seconds = 0.0
    """Time spent in attempts and their replies."""
    tokens = 0.0
    """Tokens that the attempts have used, as far as is known, else as estimated."""
    reply: Reply | None = None
    """Of the attempt that runs, from its first token on."""
    ttfb = 0.0
    """From the call's start to the last evidence of a reply."""
    _target: Target | None = None
    _chances: Chances | None = None
    _began = 0.0
    _evidence_after = 0.0
    _failed = 0

    def __init__(self, call: Call, clock: Callable[[], float], timer: Timer, steps: list[Step]) -> None:
        self._call = call
        self._clock = clock
        self._timer = timer
        self._steps = steps

    async def send(self, target: Target, chances: Chances) -> Reply | None:
        """Send once. Leaves the outcome in `last`; None when there is no reply to give."""
        call, service = self._call, target.service
        if self.tried == 0 and not self.fresh:
            target.budget.deposit()
            if call.retrying:
                target.budget.charge()
        self.tried += 1
        call.attempts += 1
        if call.span is not None:
            call.traceparent = call.span.attempt(target.name, self.address)
        self._target = target
        self._chances = chances
        self.last = None
        began = self._began = self._clock()
        reply: Reply | None = None
        self.reply = None
        if call.body.complete:
            self._arm(target, began)
        else:
            self._timer.arm(call.deadline, began)
        try:
            reply = self.reply = await service.upstream.send(call, self)
            outcome = self._settle(target, reply.facts)
            if not outcome.final and chances.could_follow(outcome):
                await read_up_to(reply, HELD_BYTES)
        except UpstreamError as error:
            if reply is None:
                facts = error.facts
                if facts.what is What.CALLER_DEADLINE:  # told by a channel that keeps time itself
                    facts = self._cut(facts.what, self._clock() - began)
                self._settle(target, facts)
            else:
                self.facts = replace(error.facts, status=reply.status)
        except asyncio.CancelledError:
            ours = self._timer.expired()
            cut = self._cut_short(ours=ours, seconds=self._clock() - began)
            if reply is None:
                self._settle(target, cut)
            else:
                self.facts = replace(cut, status=reply.status)
            if not ours:
                raise
        else:
            return reply
        finally:
            self._timer.disarm()
        return None

    def sent(self) -> None:
        """The streamed request body is on its way whole: the deadline and the attempt's clock start now."""
        call, chances, now = self._call, self._chances, self._clock()
        if self._target is None or chances is None:
            return
        if call.deadline == call.caller_deadline:
            call.deadline = min(call.caller_deadline, now + chances.deadline)
        if self.last is None:
            self._arm(self._target, now)

    def began(self, reply: Reply) -> None:
        """A first token came of an answer that is held back until it is whole: the deadline alone counts now."""
        self.reply = reply
        self._timer.arm(self._call.deadline, self._clock())

    def keep_slot(self) -> Callable[[], None]:
        """The upstream's connection outlives the attempt: the slot is given back by what is returned."""
        slot, self.slot = self.slot, None
        return _nothing if slot is None else slot.leave

    async def resume(self, why: str) -> Reply | None:
        """The committed reply was cut: a later target's, that goes on where it ended. None when there is none."""
        chances = self._chances
        if chances is None:
            return None
        self.broke(why)
        ttfb = self.ttfb  # the caller has had its first byte
        try:
            return await chances.resume()
        finally:
            self.ttfb = ttfb

    def broke(self, why: str) -> None:
        """The committed reply was cut: the breaker hears a failure on top of the success it was told."""
        if self._target is None:  # it has been said, and nothing could go on
            return
        self.last = BROKE
        self.facts = replace(self.facts, detail=why)
        if self.permit is not None:
            self.permit.broke()

    def over(self, *, used: bool = True) -> None:
        """The attempt and its reply are done with: its line in the timeline, its slot, its place at the address, its
        tokens. `used`: the caller got the reply, if there was one.
        """
        target = self._target
        if target is not None:
            self._target = self._chances = None
            if self._call.llm is not None:
                self.tokens += settle(self._call, self._call.llm, target, self, used=used)
            seconds = self._clock() - self._began
            self.seconds += seconds
            outcome = self.last or ABANDONED
            facts = self.facts if self.last is not None else NO_FACTS
            at = self._began - self._call.started
            self._steps.append(
                Step("attempt", target.name, outcome.label, at, seconds, facts.detail, facts.status, facts.grpc_code)
            )
            target.observer.attempted(self._call, outcome, seconds, self._evidence_after)
            if target.service.addresses is not None:
                target.service.addresses.ended(self.address)
                self.address = 0  # the next target may have no other
        if self.slot is not None:
            self.slot.leave()
            self.slot = None

    def _arm(self, target: Target, now: float) -> None:
        """When the attempt ends. Its own timeouts count only while another attempt could follow: that is asked when
        they are over. A `first_token` of the file's always counts.
        """
        call, timeout, end = self._call, target.attempt_timeout, self._call.deadline
        if call.llm is not None and call.llm.stream and target.first_token:
            if target.first_token_set:
                end = min(end, now + target.first_token)
            else:
                first = max(target.first_token, REASONING) if call.llm.reasoning else target.first_token
                timeout = min(timeout, first) if timeout else first
        if not timeout or now + timeout >= end or not (call.idempotent or target.rules.idempotent):
            self._timer.arm(end, now)
        else:
            self._timer.arm(now + timeout, now, lambda: self._no_sooner_than(end))

    def _no_sooner_than(self, end: float) -> float:
        assert self._chances is not None
        return 0.0 if self._chances.could_follow(None) else end

    def _cut_short(self, *, ours: bool, seconds: float) -> Facts:
        what = What.CALLER_LEFT
        if ours:
            # Not the clock: uvloop counts whole milliseconds, and may fire half of one too early.
            late = self._timer.when >= self._call.caller_deadline
            what = What.CALLER_DEADLINE if late else What.TIMED_OUT
        return self._cut(what, seconds)

    def _cut(self, what: What, seconds: float) -> Facts:
        assert self._target is not None
        return Facts(what, seconds=seconds, answered=self._target.service.answered_at >= self._began)

    def _settle(self, target: Target, facts: Facts) -> Outcome:
        """Judge the attempt, and tell everything that listens: once."""
        call, service, now = self._call, target.service, self._clock()
        assert self._chances is not None
        well = facts.what is What.REPLY and facts.status < 400 and facts.sign is None and not facts.grpc_code
        outcome = self.last = OK if well else classify(facts, call, target.rules, other_left=self._chances.other_left())
        self.facts = facts
        self._evidence_after = 0.0
        if facts.what is What.REPLY:
            service.answered_at = now
            self.ttfb = now - call.started
            self._evidence_after = now - self._began
        hears = outcome.verdict
        if service.addresses is not None:
            if hears is Verdict.SUCCESS:
                service.addresses.succeeded(self.address)
            elif hears is Verdict.FAILURE and not service.addresses.failed(self.address):
                hears = Verdict.NOTHING
        if self.permit is not None:
            if hears is Verdict.SUCCESS:
                self.permit.succeed(now - self._began, streamed=call.llm is not None and call.llm.stream)
            elif hears is Verdict.FAILURE:
                self.permit.fail()
            else:
                self.permit.release()
        if facts.rest > 0:
            target.give_rest(call, now, min(facts.rest, target.rules.max_rest), "throttled")
        if outcome is OK or outcome is CLIENT_ERROR:
            return outcome
        if outcome.rest > 0:
            target.give_rest(call, now, outcome.rest, outcome.label)
        if facts.what is What.CANNOT_CARRY:  # nothing was sent
            call.attempts -= 1
            call.upstream = ""
        elif outcome.same is not Same.FRESH:  # which is no attempt
            self._failed += 1
        if self._failed > 1 or facts.sign is Sign.OUT_OF_MONEY:
            call.should_retry = False
        return outcome


def _nothing() -> None:
    """There was no slot to keep."""
