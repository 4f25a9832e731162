"""What an attempt cost in tokens, and what the limits and the observers are told of it.

A limit took the call's estimate. It is corrected by the real use once that is known; given back
only if the target refused or was never reached; where no use was told, the estimate stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.call import What
from sidecar.llm import Usage
from sidecar.policy.classify import BROKE

if TYPE_CHECKING:
    from sidecar.call import Call, Facts, Reply
    from sidecar.engine.attempt import Attempts
    from sidecar.engine.route import Target
    from sidecar.llm import Ask

NEVER_REACHED = frozenset(
    {What.NO_CONNECTION, What.DEAD_UNWRITTEN, What.CANNOT_CARRY, What.OVERLOADED},
)
"""Ends of an attempt that cost nobody a token."""


def settle(call: Call, ask: Ask, target: Target, attempts: Attempts, *, used: bool) -> float:
    """Tell the observer and the target's limit; the tokens that count for the route's limit."""
    reply = attempts.reply
    known, ended = None, False
    if reply is not None:
        ended = reply.ended
        known = reply.usage if ended else seen(reply.usage, reply.deltas)
        if reply.events:
            target.observer.streamed(reply.events)
    if known is not None:
        wasted = not used or attempts.last is BROKE or attempts.facts.status >= 400
        target.observer.spent(call, known, wasted=wasted)
    tokens = float(ask.estimate)
    if known is not None and ended:
        tokens = float(known.total)
    elif attempts.last is not None and _cost_nothing(attempts.facts, reply):
        tokens = 0.0
    elif known is not None:
        tokens = max(tokens, float(known.total))
    if target.service.limit is not None:
        target.service.limit.used(call, tokens - ask.estimate)
    return tokens


def _cost_nothing(facts: Facts, reply: Reply | None) -> bool:
    """The target was never reached or refused: an error behind some content is no refusal."""
    if facts.what in NEVER_REACHED:
        return True
    begun = reply is not None and reply.events is not None and "content" in reply.events
    return facts.status >= 400 and not begun


def seen(usage: Usage | None, deltas: int) -> Usage | None:
    """What is known of the tokens of an answer that did not come to its end: each delta counts as one."""
    if usage is None:
        return Usage(output=deltas) if deltas else None
    return Usage(usage.input, max(usage.output, deltas), usage.cached) if deltas > usage.output else usage
