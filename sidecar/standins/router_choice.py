"""Which provider the stand-in Router chooses under a policy.

The first rule that matches narrows the choice to what it prefers; a sticky policy
gives the same provider to the same key, any other draws one by the weights; when
nothing can be had the fallback is taken. A provider with weight 0 is never drawn.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from sidecar.standins.router_error import RouterError
from sidecar.standins.router_policies import weights

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from random import Random

    from sidecar.pb.beamline.flow.v1.flow_pb2 import AdminPolicy, AdminRule, RouteRequest

STICKY_KEYS = ("sticky_key", "session_id", "user_id")
"""Entries of the context by which a caller is known again; the first that is there counts."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A provider, why it was taken, and the priority that the Router gives with this reason."""

    provider: str
    reason: str
    priority: int = 50


def fallback(provider: str) -> Choice:
    """A choice made because the better ones are away."""
    return Choice(provider, "fallback", 25)


def choose(policy: AdminPolicy, asked: RouteRequest, down: Collection[str], chance: Random) -> Choice:
    """The provider for one call. `down` are those that cannot be had. Raises `RouterError`: no_provider_available."""
    ready = {name: weight for name, weight in weights(policy).items() if weight > 0 and name not in down}
    rule = matching(policy, asked)
    if rule is not None:
        preferred = {name: ready[name] for name in rule.prefer if name in ready}
        if not preferred and rule.fallback and rule.fallback not in down:
            return fallback(rule.fallback)
        ready = preferred or ready
    if not ready:
        if not policy.fallback or policy.fallback in down:
            raise RouterError("no_provider_available", f"{policy.policy_id} has nobody left to ask")
        return fallback(policy.fallback)
    key = sticky_key(asked) if policy.sticky else None
    if key is not None:
        return Choice(same_for((asked.message.tenant_id, policy.policy_id, key), ready), "sticky")
    return Choice(chance.choices(list(ready), list(ready.values()))[0], "weighted")


def matching(policy: AdminPolicy, asked: RouteRequest) -> AdminRule | None:
    """The first rule whose `match` fits. It reads `*`, a message type, or `key=value` with the key of a field or of an
    entry in context or metadata; type and value may have `*` in them.
    """
    known = {**asked.message.metadata, **asked.context, "message_type": asked.message.message_type}
    known["tenant_id"] = asked.message.tenant_id
    return next((rule for rule in policy.rules if fits(rule.match, known)), None)


def fits(match: str, known: Mapping[str, str]) -> bool:
    """Whether a rule's `match` fits what is known of a call."""
    key, equals, pattern = match.partition("=")
    if not equals:
        key, pattern = "message_type", match
    return match == "*" or (key in known and fnmatchcase(known[key], pattern))


def sticky_key(asked: RouteRequest) -> str | None:
    """What the caller is known by, None when it does not say."""
    return next((asked.context[name] for name in STICKY_KEYS if asked.context.get(name)), None)


def same_for(key: tuple[str, ...], ready: Mapping[str, float]) -> str:
    """The same provider for the same key, by the weights over many keys; when one goes away only its own keys move.

    Weighted rendezvous hashing (Schindelhauer and Schomaker, 2005): nothing has to be remembered, so that a
    restarted stand-in still agrees with itself.
    """

    def score(name: str) -> float:
        digest = hashlib.blake2b("\0".join((*key, name)).encode(), digest_size=6).digest()
        draw = (int.from_bytes(digest) + 1) / (2**48 + 1)  # between 0 and 1, and never either
        return -ready[name] / math.log(draw)

    return max(sorted(ready), key=score)
