"""Equal whole calls at the same time share one upstream call.

Who comes first leads: it makes the call and must `land` what came of it, whatever
that is. Who comes meanwhile with the same key and body joins, and gets the same
answer. When the leader had none to share (its caller left, the reply is a stream,
it crashed) those who joined ask anew, and the first of them leads.

An entry exists only while its call is in flight: nothing is remembered afterwards.
There is no task and no lock; each who joined has a future, and taking it away
harms nobody else.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sidecar.call import Reply
from sidecar.errors import IdempotencyMismatch, Refused

if TYPE_CHECKING:
    from collections.abc import Hashable

    from sidecar.call import Call

    Landing = Reply | Refused | None
    """What came of a call, as those who joined get it: None when there is nothing to share."""


class _Entry:
    """A call in flight: the digest of its body, and who else waits for it."""

    __slots__ = ("body_digest", "leader", "waiting")

    def __init__(self, body_digest: bytes, leader: Call) -> None:
        self.body_digest = body_digest
        self.leader = leader
        self.waiting: dict[asyncio.Future[Landing], None] = {}


class Flight:
    """A call in flight that this one has joined."""

    __slots__ = ("_entry", "_landed")

    def __init__(self, entry: _Entry) -> None:
        self._entry = entry
        self._landed: asyncio.Future[Landing] = asyncio.get_running_loop().create_future()
        entry.waiting[self._landed] = None

    @property
    def leader(self) -> Call:
        """The call that is made for all."""
        return self._entry.leader

    async def reply(self) -> Reply | None:
        """The leader's reply, as one of our own; None when it had none to share: join again.

        Raises the leader's `Refused`, also as one of our own.
        """
        try:
            landed = await self._landed
        finally:
            self._entry.waiting.pop(self._landed, None)
        if isinstance(landed, Refused):
            raise _refused_too(landed)
        return None if landed is None else _replied_too(landed)


class Flights:
    """The calls in flight that others may join, by a key that says whose they are and what they are for."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def join(self, key: Hashable, body_digest: bytes, call: Call) -> Flight | None:
        """The flight of an equal call, to be awaited at once. None: we lead now, and must call `land` in the end.

        Raises `IdempotencyMismatch` when the call in flight has another body.
        """
        entry = self._entries.get(key)
        if entry is None:
            self._entries[key] = _Entry(body_digest, call)
            return None
        if entry.body_digest != body_digest:
            raise IdempotencyMismatch("a call with the same Idempotency-Key and another body is under way")
        return Flight(entry)

    def land(self, key: Hashable, landing: Landing) -> None:
        """The leader's call is over: those who joined get its reply or its refusal. None, or a reply whose body is
        still to come, cannot be shared.
        """
        if isinstance(landing, Reply) and (landing.chunks is not None or landing.tunnel is not None):
            landing = None
        for future in self._entries.pop(key).waiting:
            if not future.done():  # whose task was cancelled and has not run since
                future.set_result(landing)


def _replied_too(reply: Reply) -> Reply:
    """The same answer for another caller. It holds no connection, and its tokens are the leader's."""
    again = Reply(reply.status, reply.reason, reply.headers, reply.facts, reply.fields, reply.whole, reply.length)
    again.trailers = reply.trailers
    again.code = reply.code
    again.message = reply.message
    again.ended = reply.ended
    again.model = reply.model
    again.dropped = reply.dropped
    return again


def _refused_too(refusal: Refused) -> Refused:
    """The same refusal, to be raised in another task: an exception keeps the traceback of each raise. Its cause, if it
    has one, is the leader's to log.
    """
    again = type(refusal).__new__(type(refusal), *refusal.args)
    again.__dict__.update(refusal.__dict__)
    return again
