"""Asks a gRPC upstream for its methods, beside the calls: which are one message each way is worth knowing.

An upstream is asked in the background when its client is made, over the channels
that its calls take. The first address that can be reached decides. While none can,
it is tried again with growing pauses; any answer is the last word, also the one
that it has no reflection. Nothing that goes wrong here touches a call or a breaker:
a method that nobody told of takes the way that serves every kind.

The interface is one stream of questions and answers. Here each question has a call
of its own, which looks the same to a server: one message, then the end. So a status
is never hidden by a write that failed.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import chain, repeat
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from sidecar.upstreams.reflection_answers import (
    MOST_METHODS,
    V1,
    V1_ALPHA,
    UnreadableError,
    describe,
    list_services,
    methods,
    services,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from sidecar.call import Header
    from sidecar.upstreams.grpc import Channel

log = logging.getLogger("sidecar")

PATIENCE = 5.0
"""Seconds for all that is asked of one address."""

_LONGEST_PAUSE = 60.0
"""Seconds."""

_NOT_REACHED = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})


def _pauses() -> Iterator[float]:
    """Seconds between two tries."""
    return chain((1.0, 2.0, 4.0, 8.0, 16.0, 32.0), repeat(_LONGEST_PAUSE))


class Reflection:
    """What one upstream tells of its methods. `metadata` goes with the questions: its credentials may be there."""

    def __init__(
        self,
        name: str,
        channels: Sequence[Channel],
        metadata: tuple[Header, ...],
        *,
        patience: float = PATIENCE,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._name = name
        self._channels = tuple(channels)
        self._metadata = metadata
        self._patience = patience
        self._sleep = sleep
        self._learn: Callable[[Mapping[bytes, bool]], None] = _nobody
        self._found: dict[bytes, bool] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self, learn: Callable[[Mapping[bytes, bool]], None]) -> None:
        """`learn` hears of methods, by path, whether they are unary: of those known already now.

        Started again, only who learns changes: what has been answered is not asked again.
        """
        self._learn = learn
        if self._found:
            learn(self._found)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"reflection of {self._name}")

    async def aclose(self) -> None:
        """No question is under way, and none keeps its connection: a task that was cut holds the call it was in."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def _run(self) -> None:
        for pause in _pauses():
            for channel in self._channels:
                if await self._answered(channel):
                    return
            await self._sleep(pause)

    async def _answered(self, channel: Channel) -> bool:
        """Whether it was reached. What it told is kept, also if it broke off then."""
        found: dict[bytes, bool] = {}
        reached, why = True, ""
        channel.begin()  # it is neither made anew nor closed between two questions
        try:
            await self._ask(channel, found)
        except grpc.aio.AioRpcError as error:
            reached, why = error.code() not in _NOT_REACHED, f"{error.code().name}: {error.details()}"
        except UnreadableError as error:
            why = f"unreadable: {error}"
        except grpc.aio.BaseError as error:  # of C-core, for a call that ends while it is read
            why = str(error)
        finally:
            channel.end()
        fields = {"upstream": self._name, "methods": len(found), "reason": why}
        log.debug("asked by reflection" if reached else "not reached by reflection", extra={"fields": fields})
        if found:
            self._found.update(found)
            self._learn(found)
        return reached

    async def _ask(self, channel: Channel, found: dict[bytes, bool]) -> None:
        """By the interface's first version if the server has it, else by the draft that older ones have."""
        clock = asyncio.get_running_loop().time
        ends = clock() + self._patience

        def by(version: bytes) -> Callable[[bytes], Awaitable[bytes]]:
            rpc = channel.unary(version)

            async def ask(question: bytes) -> bytes:
                answer = await rpc(question, metadata=self._metadata, timeout=max(0.0, ends - clock()))
                if answer is None:  # so grpcio shows a call that ends well without a message
                    raise UnreadableError("no answer")
                return bytes(answer)

            return ask

        try:
            await _ask_all(by(V1), found)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise
            await _ask_all(by(V1_ALPHA), found)


async def _ask_all(ask: Callable[[bytes], Awaitable[bytes]], found: dict[bytes, bool]) -> None:
    names = services(await ask(list_services()))
    wanted, described = frozenset(names), set[str]()
    for name in names:
        if name in described:  # in a file that came for another one
            continue
        for service, method, unary in methods(await ask(describe(name)), wanted):
            path = f"/{service}/{method}".encode()
            # Two files that do not agree: a stream takes every kind of call.
            found[path] = unary and found.get(path, True)
            described.add(service)
            if len(found) >= MOST_METHODS:
                return


def _nobody(_found: Mapping[bytes, bool]) -> None:
    """Nobody has asked yet."""
