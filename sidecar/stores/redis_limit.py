"""A rate limit that several sidecars count in one Redis.

The local limit stands behind it as its image: it is told what Redis said of a key, so that it goes on from there when
Redis is away, and what it has counted alone since then is brought along when Redis is back (`least`), as is what
was counted before the limit came to Redis, and what a Redis that was begun again has forgotten. Neither an outage nor
another store is a way to a full bucket.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING

from sidecar.errors import Overloaded
from sidecar.quota import Taken
from sidecar.stores.redis_script import correction, decision, given

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.policy.limiter import RateLimit
    from sidecar.stores.redis_store import Asked, RedisStore

PREFIX = b"sidecar:"
"""Of every key. In a cluster, what follows in braces tells the slot."""


def bucket_key(name: str, kind: str, key: str) -> bytes:
    """The one key of a bucket: `sidecar:{NAME:DIGEST}`, a digest of whom the limit counts by and of who it is.

    What a caller said never stands in Redis as it is.
    """
    digest = hashlib.blake2b(f"{kind}\0{key}".encode(), digest_size=16).hexdigest()
    return PREFIX + f"{{{name}:{digest}}}".encode()


class RedisLimit:
    """Implements `quota.SharedLimit`. Two with one name and one key share their buckets, in whatever process."""

    def __init__(self, name: str, bucket: RateLimit, store: RedisStore, clock: Callable[[], float]) -> None:
        self._name = name
        self._bucket = bucket
        self._store = store
        self._clock = clock
        self._windows = given(bucket.windows)
        self._kind = str(bucket.settings.key)

    async def take(self, key: str, amount: float = 1.0, tokens: float = 0.0) -> Taken:
        """Raises `Overloaded` where Redis does not count and `on_failure` says so."""
        began = self._clock()
        there = bucket_key(self._name, self._kind, key)
        asked = self._store.ask(there, partial(self._decision, there, key, amount, tokens), len(self._bucket.windows))
        answer = None if asked is None else await asked.answered
        if asked is None or answer is None:
            return self._alone(key, amount, tokens)
        wait, *free = answer
        self._store.watch.shared(self._clock() - began)
        self._bucket.told(key, free, asked.era)
        windows = self._bucket.windows
        return Taken(wait, [window.quota(left) for window, left in zip(windows, free, strict=True)])

    def correct(self, key: str, tokens: float) -> None:
        if not tokens or not self._bucket.counts_tokens:
            return
        began = self._clock()
        there = bucket_key(self._name, self._kind, key)
        windows = self._windows
        asked = self._store.ask(there, lambda _: correction(there, windows, tokens), len(self._bucket.windows))
        if asked is None:
            self._correct_alone(key, tokens)
        else:
            asked.answered.add_done_callback(lambda _: self._corrected(asked, key, tokens, began))

    def _decision(self, there: bytes, key: str, amount: float, tokens: float, era: object) -> tuple[bytes, ...]:
        levels = self._bucket.untold(key, era)
        windows = self._windows if levels is None else given(self._bucket.windows, levels)
        return decision(there, windows, amount, tokens)

    def _alone(self, key: str, amount: float, tokens: float) -> Taken:
        store, bucket = self._store, self._bucket
        if store.settings.on_failure == "reject":
            store.watch.rejected()
            raise Overloaded("the rate limit's store does not answer", retry_after=store.back_in)
        store.watch.alone()
        wait = bucket.take(key, amount, tokens)
        bucket.alone(key)
        return Taken(wait, bucket.quotas(key))

    def _corrected(self, asked: Asked, key: str, tokens: float, began: float) -> None:
        answer = None if asked.answered.cancelled() else asked.answered.result()
        if answer is None:
            self._correct_alone(key, tokens)
        else:
            self._store.watch.shared(self._clock() - began)
            self._bucket.told(key, answer[1:], asked.era)

    def _correct_alone(self, key: str, tokens: float) -> None:
        """What is charged is brought along when Redis is back; what is given back to it is lost, and drains."""
        self._store.watch.alone()
        self._bucket.correct(key, tokens)
        self._bucket.alone(key)
