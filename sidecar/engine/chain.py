"""The attempt loop: targets in order, tries on each, until one answer can be committed.

For each target: its rest, its rate limit, its concurrency slot, its breaker's
permit, then the attempt. The outcome says whether the same target may be tried
again and whether the next one may; here it is asked whether that is possible
(a body that can be replayed, tries, budget, time) and worth waiting for.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sidecar.call import NO_DEADLINE, Outcome, Reply, Same, Sign, Step
from sidecar.engine.answer import BUSY_RETRY_AFTER, THROTTLING, Answers, resting
from sidecar.engine.timer import TICK
from sidecar.errors import CircuitOpen, NotTranslatable, Overloaded, RateLimited, Refused
from sidecar.policy.classify import BROKE
from sidecar.policy.retry import after, backoff
from sidecar.replies import let_go

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sidecar.call import Call
    from sidecar.engine.attempt import Attempts
    from sidecar.engine.route import Route, Target
    from sidecar.engine.waits import Waits


class ChainRun:
    """One call on its way through its route's chain."""

    why = ""
    """What came of the target at hand: an outcome's label, or a refusal's."""
    _index = 0
    _rested = 0.0
    """Seconds waited for targets that all rest."""
    _tried_at_once = False

    def __init__(self, call: Call, route: Route, attempts: Attempts, waits: Waits, rng: Callable[[], float]) -> None:
        self._call = call
        self._route = route
        self._clock = waits.clock
        self._rng = rng
        self._attempts = attempts
        self._waits = waits
        self._chain: Sequence[Target] = route.chain(call, rng)
        self._target = self._chain[0]
        self.deadline = route.deadline
        self.answers = Answers()

    async def obtain(self) -> Reply:
        """The reply to commit. Raises our own error when no target gave one."""
        answers, chain = self.answers, self._chain
        while True:
            self._index = 0
            while True:
                target = self._target = chain[self._index]
                reply = await self._serve(target)
                if reply is not None:
                    return reply
                if not self._may_go_on(target):
                    break
                self._index += 1
            if chain[-1].static and self._call.fallback:
                self._route.observer.fell_back(self._call, target.name, chain[-1].name, self.why)
                return await self._serve_static(chain[-1])
            wait = self._all_rest()
            if wait is None:
                break
            self._rested += wait
            await self._waits.sleep(wait, "", "rest")
        if answers.held is not None and answers.holder is not None:
            reply, answers.held = answers.held, None
            self._call.upstream = answers.holder.service.name
            return reply
        raise answers.error()

    async def resume(self) -> Reply | None:
        """The committed reply was cut where another target may go on: the reply of the first one that does."""
        call, attempts, chain = self._call, self._attempts, self._chain
        attempts.over()
        # The caller's own was for the evidence, which it has got.
        call.caller_deadline, call.deadline = NO_DEADLINE, self._clock() + self.deadline
        self.why, source, upstream = BROKE.label, self._target.name, call.upstream
        while call.fallback and self._index + 1 < len(chain) and call.attempts < self._target.retry.max_attempts:
            self._index += 1
            target = self._target = chain[self._index]
            if not target.prefill:
                continue
            self._route.observer.fell_back(call, source, target.name, self.why)
            source = target.name
            self.answers = Answers()
            reply = await self._serve(target)
            if reply is not None and reply.status < 400:
                return reply
            if reply is not None:
                let_go(reply)
                assert attempts.last is not None
                self.why = attempts.last.label
            self.answers.drop()
            attempts.over(used=False)
        call.upstream = upstream  # whose answer it stays
        return None

    async def _serve(self, target: Target) -> Reply | None:
        """All tries at one target: the reply to commit, or None when it is the next one's turn."""
        if target.static:
            return await self._serve_static(target)
        answers, attempts, service = self.answers, self._attempts, target.service
        attempts.tried = 0
        if target.cannot is not None and (why := target.cannot(self._call)):
            self._skip(target, NotTranslatable(f"{target.name}: {why}"), why.partition(":")[0])
            return None
        attempts.fresh = self._tried_at_once = False
        if target.collects and not self._call.body.complete:
            await self._collect(target.collects)
        tried: list[int] = []
        while True:
            refusal = self._resting(target)
            if refusal is None and (service.limit is not None or service.concurrency is not None):
                refusal = await self._admitted(target)
            if refusal is None:
                refusal = self._permitted(target)
            if refusal is not None:
                self._skip(target, refusal)
                return None
            if service.addresses is not None:
                attempts.address = service.addresses.pick(tried)
                tried.append(attempts.address)
                service.addresses.started(attempts.address)
            self._call.upstream = service.name
            reply = await attempts.send(target, self)
            outcome = attempts.last
            assert outcome is not None
            if reply is not None and attempts.facts.sign is not Sign.OWN_CREDENTIAL_REFUSED:
                first = answers.holder is None or answers.holder is target
                if outcome.final or (first and not self.could_follow(outcome)):
                    if answers.held is not None:
                        answers.drop()
                    return reply
                answers.replied(target, reply)
            else:
                if reply is not None:  # row 13: it never counts as an answer
                    let_go(reply)
                answers.failed(target, attempts.facts)
            attempts.over(used=False)
            self.why = outcome.label
            if outcome.same is Same.NO or not await self._again(target, outcome):
                return None

    async def _serve_static(self, target: Target) -> Reply:
        self.answers.drop()
        self._call.upstream = target.service.name
        return await target.service.upstream.send(self._call, self._attempts)

    async def _collect(self, most: int) -> None:
        """Have the body here first: a slow caller would hold a slot that others wait for."""
        call = self._call
        await self._waits.collect(most)
        if call.body.complete:
            call.deadline = min(call.caller_deadline, self._clock() + self.deadline)

    # What says no before an attempt: rest, rate limit, slot, permit, in this order.

    def _resting(self, target: Target) -> Refused | None:
        if not target.rest.until and target.own_credential:
            return None
        left, cause = target.rests(self._call, self._clock())
        return resting(target, cause, left) if left > 0 else None

    async def _admitted(self, target: Target) -> Refused | None:
        service = target.service
        if service.limit is not None:
            refusal = await self._waits.draw(service.limit, service.name)
            if refusal is not None:
                if isinstance(refusal, RateLimited):
                    self._route.observer.refused_by_limit(self._call)
                return refusal
        if service.concurrency is not None:
            try:
                entered = await self._waits.enter(service.concurrency, service.name)
            except asyncio.CancelledError:  # the caller left the queue
                self._give_back_tokens(target)
                raise
            if not entered:
                self._give_back_tokens(target)
                return Overloaded(f"{service.name} is busy", retry_after=BUSY_RETRY_AFTER)
            self._attempts.slot = service.concurrency
        return None

    def _give_back_tokens(self, target: Target) -> None:
        """They were drawn for an attempt that is not made."""
        if target.service.limit is not None and self._call.llm is not None:
            target.service.limit.used(self._call, -self._call.llm.estimate)

    def _permitted(self, target: Target) -> Refused | None:
        breaker = target.service.breaker
        self._attempts.permit = None  # the one of the last attempt is settled, and may be another target's
        if breaker is not None:
            try:
                self._attempts.permit = breaker.acquire()
            except CircuitOpen as open_circuit:
                self._attempts.over()  # the slot goes back
                self._give_back_tokens(target)
                return open_circuit
        return None

    def _skip(self, target: Target, refusal: Refused, label: str = "") -> None:
        """`label` (from a closed set) says it better than the refusal's own."""
        self.answers.skipped(refusal)
        self.why = label or refusal.label
        at = self._clock() - self._call.started
        self._waits.steps.append(Step("skip", target.name, self.why, at, 0.0, refusal.message))

    # What may come next.

    def _may_go_on(self, target: Target) -> bool:
        """After a target that gave no answer to commit: may the next one be tried?"""
        call, attempts = self._call, self._attempts
        if self._index + 1 >= len(self._chain) or not call.fallback or self._clock() + TICK >= call.deadline:
            return False
        if attempts.tried:  # else it was skipped: nothing has been sent
            assert attempts.last is not None
            if not attempts.last.next or call.attempts >= target.retry.max_attempts:
                return False
            if not call.body.replayable:
                self._replay_skipped()
                return False
        self._route.observer.fell_back(call, target.name, self._chain[self._index + 1].name, self.why)
        return True

    def _all_rest(self) -> float | None:
        """When nothing was attempted because every target rests by its own word: how long to wait for the soonest."""
        if self._call.attempts:
            return None
        now = self._clock()
        soonest, longest = NO_DEADLINE, 0.0
        for target in self._chain:
            left, cause = target.rests(self._call, now)
            if left <= 0 or cause not in THROTTLING:
                return None
            if left < soonest:
                soonest, longest = left, target.retry.max_retry_after
        return soonest if self._rested + soonest <= longest and now + soonest < self._call.deadline else None

    def other_left(self) -> bool:
        """A later target of the chain neither rests nor is open. A static link is no target to go to, but an end."""
        if self._index + 1 >= len(self._chain):
            return False
        now = self._clock()
        later = self._chain[self._index + 1 :]
        return any(target.would_take(self._call, now) for target in later if not target.static)

    def _try_left(self) -> bool:
        """Tries on this target, keeping one attempt of the call for each target still to come."""
        call, retry = self._call, self._target.retry
        still_to_come = len(self._chain) - self._index - 1 - self._chain[-1].static  # which takes no attempt
        return call.retry and self._attempts.tried < retry.tries and call.attempts + still_to_come < retry.max_attempts

    def could_follow(self, outcome: Outcome | None) -> bool:
        """Could another attempt come after this one? Before its end (`outcome` None) it is assumed to be allowed."""
        call = self._call
        again = (outcome is None or outcome.same is not Same.NO) and self._try_left()
        further = (outcome is None or outcome.next) and call.fallback
        if again or (further and call.attempts < self._target.retry.max_attempts and self.other_left()):
            if call.body.replayable:
                return True
            if outcome is not None:
                self._replay_skipped()
        return further and self._chain[-1].static  # it needs neither an attempt nor the body

    def _replay_skipped(self) -> None:
        if not self._call.replay_off:
            self._call.replay_off = True
            self._route.observer.replay_skipped(self._call, "body_too_long")

    async def _again(self, target: Target, outcome: Outcome) -> bool:
        """May the same target be tried again? If so, waits until it is time."""
        call, retry, attempts = self._call, target.retry, self._attempts
        if outcome.same is Same.FRESH:
            if attempts.fresh or not call.body.replayable:
                return False
            attempts.fresh = True
            attempts.tried -= 1
            call.attempts -= 1
            return True
        if not self._try_left() or (outcome.same is Same.AT_ONCE and self._tried_at_once):
            return False
        if not call.body.replayable:
            self._replay_skipped()
            return False
        wait = 0.0
        if outcome.same is Same.AFTER:
            wait = after(retry, outcome.wait, self._rng)
        elif outcome.same is Same.BACKOFF:
            wait = backoff(retry, attempts.tried, self._rng)
        if self._clock() + wait >= call.deadline:
            return False
        breaker = target.service.breaker
        if breaker is not None and breaker.retry_after() > wait:
            return False  # this very failure has opened it: waiting would be for nothing
        if not target.budget.withdraw():
            target.observer.budget_exhausted(call)
            return False
        if outcome.same is Same.AT_ONCE:
            self._tried_at_once = True
        attempts.fresh = outcome.same is Same.AT_ONCE
        target.observer.retried(call, outcome.label)
        if wait > 0:
            await self._waits.sleep(wait, target.name, outcome.label)
        return True
