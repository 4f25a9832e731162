"""A reply's body that a fault disturbs: held back, interrupted, spoiled or cut, as a bad upstream's would be.

The body is taken apart where it can be disturbed. A stream of events and one of gRPC
messages has marks behind each event that has data, or message; any other body has one
mark, in its middle. The body stalls and is spoiled at the first mark, and is cut at the one
that the fault names.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from sidecar.call import Facts, What, Wire
from sidecar.dialects.sse import Splitter
from sidecar.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sidecar.call import Reply
    from sidecar.upstreams.faults import Fault

_EVENTS = b"text/event-stream"

TORN_DATA = b'data: {"torn\n\n'
"""Data of an event that is no JSON."""

TORN_MESSAGE = b"\xff\xff"
"""What no protobuf message begins with: a field number that never ends."""


class _Cut:
    """The place where the body ends before its end."""


_Step = bytes | float | _Cut
"""What comes next: some of the body, a silence of so many seconds, or the cut."""


class FaultyBody:
    """The chunks of a disturbed reply. `idle` is the longest silence (seconds) that the upstream is allowed, 0 for any:
    a body that is silent for longer breaks, whoever it is that is silent.
    """

    def __init__(self, reply: Reply, fault: Fault, idle: float, wire: Wire) -> None:
        self._fault = fault
        self._idle = idle
        self._hasten = reply.hasten
        self._chunks = _one(reply.whole or b"") if reply.chunks is None else reply.chunks
        self._steps: deque[_Step] = deque()
        self._marks = 0
        self._ended = False
        self._messages = wire is Wire.GRPC
        self._events = Splitter() if not self._messages and _is_events(reply) else None
        self._cut = fault.cut
        self._middle = 0
        self._passed = 0
        self._spoil = False
        if self._events is None and not self._messages:
            self._middle = ((reply.length or 0) + 1) // 2
            self._cut = None if fault.cut is None else 1
        if fault.first_token:
            self._steps.append(fault.first_token)
        if self._cut == 0:
            self._steps.append(_Cut())

    def hasten(self, idle: float) -> None:
        """From now on the body may be silent for so long (seconds) at most."""
        self._idle = idle
        if self._hasten is not None:
            self._hasten(idle)

    def __aiter__(self) -> FaultyBody:
        return self

    async def __anext__(self) -> bytes:
        while True:
            while not self._steps:
                if self._ended:
                    raise StopAsyncIteration
                await self._read()
            step = self._steps.popleft()
            if isinstance(step, bytes):
                return step
            if isinstance(step, _Cut):
                raise self._broke("cut")
            await self._silence(step)

    async def _read(self) -> None:
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            self._ended = True
            if self._events is not None and self._events.rest:
                self._steps.append(self._events.rest)
            return
        if self._messages:
            self._steps.append(chunk)
            self._mark(TORN_MESSAGE)
        elif self._events is not None:
            for event in self._events.feed(chunk):
                self._steps.append(event.raw)
                if event.data:
                    # Under its name: Anthropic's SDK passes over what has none.
                    self._mark(b"event: %b\n%b" % (event.name, TORN_DATA) if event.name else TORN_DATA)
        elif chunk:
            self._halve(chunk)

    def _halve(self, chunk: bytes) -> None:
        """Of a body whose length nobody told the middle is that of its first chunk."""
        if not self._middle:
            self._middle = (len(chunk) + 1) // 2
        left = self._middle - self._passed
        self._passed += len(chunk)
        if not 0 < left <= len(chunk):
            self._pass(chunk)
            return
        self._pass(chunk[:left])
        self._mark(b"")
        self._pass(chunk[left:])

    def _pass(self, piece: bytes) -> None:
        if not piece:
            return
        if self._spoil:  # as many bytes, since their number may have been told
            piece, self._spoil = b"\xff" * len(piece), False
        self._steps.append(piece)

    def _mark(self, spoiled: bytes) -> None:
        """`spoiled` goes between the events of a stream; where there are none, what comes next is spoiled."""
        self._marks += 1
        if self._marks == 1:
            if self._fault.malformed and spoiled:
                self._steps.append(spoiled)
            elif self._fault.malformed:
                self._spoil = True
            if self._fault.stall:
                self._steps.append(self._fault.stall)
        if self._marks == self._cut:
            self._steps.append(_Cut())

    async def _silence(self, seconds: float) -> None:
        if self._idle and seconds > self._idle:
            await asyncio.sleep(self._idle)
            raise self._broke(f"no byte of the reply came for {self._idle:g} s")
        await asyncio.sleep(seconds)

    def _broke(self, detail: str) -> UpstreamError:
        return UpstreamError(Facts(What.BROKE, detail=f"fault {self._fault.name}: {detail}"))


def disturb(reply: Reply, fault: Fault, idle: float, wire: Wire) -> None:
    """Let the fault disturb the reply's body. What has none (to HEAD, 204, a tunnel) stays as it is."""
    if reply.chunks is None and not reply.whole:
        return
    if reply.whole and reply.length is None:
        reply.length = len(reply.whole)
    body = FaultyBody(reply, fault, idle, wire)
    if fault.malformed and _is_events(reply):  # one event more than were announced
        reply.length = None
    reply.whole, reply.chunks, reply.hasten = None, body, body.hasten


async def _one(whole: bytes) -> AsyncIterator[bytes]:
    yield whole


def _is_events(reply: Reply) -> bool:
    plain = reply.fields.get(b"content-encoding", b"identity") == b"identity"
    return plain and reply.fields.get(b"content-type", b"").lower().startswith(_EVENTS)
