"""An HTTP/2 server that plays a script, one act for each call: well-behaved ones, and each way to fail.

async with playing(resets(7), answers) as upstream:   # first call, every later one
    ...
    assert upstream.calls == [0, 0]   # both came by the first connection
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.kit.h2_peer import H2Listening, h2_listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.kit.h2_peer import Field, H2Peer, H2Stream

    Act = Callable[[H2Peer, H2Stream], None]
    """Played when the call's first message is there, or its end."""

HEAD_ONLY: tuple[Field, ...] = ((":status", "200"), ("content-type", "application/grpc"))


def answers(_: H2Peer, stream: H2Stream) -> None:
    """One message, and OK."""
    stream.headers()
    stream.say(b"well")
    stream.trailers("OK")


def resets(code: int, after: bytes | None = None) -> Act:
    """RST_STREAM with this code: at once, or behind a head and these bytes."""

    def act(_: H2Peer, stream: H2Stream) -> None:
        if after is not None:
            stream.headers()
            stream.raw(after)
        stream.reset(code)

    return act


def cuts(after: bytes | None = None, *, reset: bool = False) -> Act:
    """The connection ends: at once, or behind a head and these bytes."""

    def act(peer: H2Peer, stream: H2Stream) -> None:
        if after is not None:
            stream.headers()
            if after:
                stream.raw(after)
        (peer.cut if reset else peer.end)()

    return act


def replies(*fields: Field, body: bytes = b"", trailers: tuple[Field, ...] | None = None) -> Act:
    """A reply of this head, these bytes, and an end of the stream with these trailers or without any."""

    def act(peer: H2Peer, stream: H2Stream) -> None:
        stream.headers(*fields, end=not body and trailers is None)
        if body:
            stream.raw(body, end=trailers is None)
        if trailers is not None:
            peer.h2.send_headers(stream.number, trailers, end_stream=True)
            peer.flush()

    return act


class Playing:
    """A running play."""

    def __init__(self, listening: H2Listening, acts: tuple[Act, ...]) -> None:
        self.listening = listening
        self.calls: list[int] = []
        """For each call the number of its connection."""
        self.streams: list[H2Stream] = []
        self._acts = acts

    @property
    def url(self) -> str:
        return self.listening.url

    async def run(self) -> None:
        async with asyncio.TaskGroup() as serving:
            while True:
                serving.create_task(self._serve(await self.listening.accept(patience=None)))

    async def _serve(self, peer: H2Peer) -> None:
        while True:
            stream = await peer.request(patience=None)
            act = self._acts[min(len(self.calls), len(self._acts) - 1)]
            self.calls.append(self.listening.peers.index(peer))
            self.streams.append(stream)
            await stream.message()
            act(peer, stream)


@asynccontextmanager
async def playing(*acts: Act) -> AsyncIterator[Playing]:
    """The n-th call meets the n-th act, every further one the last."""
    async with h2_listening() as listening:
        play = Playing(listening, acts)
        running = asyncio.create_task(play.run(), name="play")
        try:
            yield play
        finally:
            running.cancel()
            await asyncio.wait([running])
            if not running.cancelled():
                await running
