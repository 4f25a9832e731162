"""How long to wait before the next try.

The wait is ours (`backoff`: exponential with jitter) or the upstream's word
(`after`). Whether there is a next try is not asked here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.settings.policies import RetrySettings


def backoff(settings: RetrySettings, tried: int, rng: Callable[[], float]) -> float:
    """Seconds to wait after the `tried`-th try (1 is the first): uniform within ± `jitter` of
    `backoff` * `multiplier` ** (tried - 1), and never more than `max_backoff`.

    The middle stops growing where its upper end meets `max_backoff`: cut off there
    instead, half of all callers would come back at the same moment.
    """
    ceiling = settings.max_backoff / (1 + settings.jitter)
    middle = settings.backoff
    for _ in range(tried - 1):
        if middle >= ceiling:
            break
        middle *= settings.multiplier
    return min(middle, ceiling) * (1 + settings.jitter * (2 * rng() - 1))


def after(settings: RetrySettings, wait: float, rng: Callable[[], float]) -> float:
    """Seconds to wait when the upstream said `wait`: never earlier, up to the `jitter` share later."""
    return wait * (1 + settings.jitter * rng())
