"""What telemetry may hear, and the only places where the engine speaks.

An attempt ended, a call ended, and what happened between: implementations are
handed to targets and routes when these are built, with everything bound; none
of them may raise or block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.call import Call, Outcome, Summary
    from sidecar.llm import Usage


class TargetObserver(Protocol):
    """Hears what happens between one route and one of its targets."""

    def attempted(self, call: Call, outcome: Outcome, seconds: float, ttfb: float) -> None:
        """An attempt ended: judged so, after `seconds`, with evidence after `ttfb` seconds."""

    def spent(self, call: Call, usage: Usage, *, wasted: bool) -> None:
        """An attempt used so many tokens; `wasted`: the caller got nothing, or not all, for them."""

    def streamed(self, events: Mapping[str, int]) -> None:
        """A stream had so many events, by what they were."""

    def retried(self, call: Call, reason: str) -> None:
        """The same target will be tried again because of `reason` (an outcome's label)."""

    def rested(self, seconds: float, reason: str) -> None:
        """The target is left alone for so long."""

    def budget_exhausted(self, call: Call) -> None:
        """A retry was due, and the budget did not pay."""


class RouteObserver(Protocol):
    """Hears what happens to the calls of one route."""

    def started(self, call: Call) -> None: ...

    def fell_back(self, call: Call, source: str, target: str, reason: str) -> None:
        """The call goes on from `source` to `target`."""

    def refused_by_limit(self, call: Call) -> None:
        """A rate limit (the route's or a target's) had no place for the call."""

    def replay_skipped(self, call: Call, reason: str) -> None:
        """Another attempt was due, and the body could not be sent again."""

    def finished(self, call: Call, summary: Summary) -> None: ...
