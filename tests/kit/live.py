"""Listening to `GET /live` of a running sidecar, frame by frame."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.kit.caller import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.kit.running import Running

LISTEN = '[listen]\nhttp = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n'
"""What a policy needs so that somebody can listen."""


class Hearing:
    """One open stream."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def next(self, *kinds: str) -> tuple[str, dict[str, Any]]:
        """The next event, of one of these kinds if any is named. `EOFError` at the end of the stream."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    frame = await self._answer.content.readuntil(b"\n\n")
                except ValueError:  # longer than aiohttp's own buffer
                    raise AssertionError("a frame that is too long to be read") from None
                if not frame.endswith(b"\n\n"):
                    raise EOFError
                if frame.startswith(b":"):
                    continue
                kind, data = frame.decode().strip().split("\n")
                if not kinds or kind.removeprefix("event: ") in kinds:
                    return kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))

    async def state(self) -> dict[str, Any]:
        return (await self.next("state"))[1]

    async def pulse(self, holds: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The next pulse that is such."""
        while True:
            _, told = await self.next("pulse")
            if holds(told):
                return told

    async def end(self) -> None:
        """Until the stream has ended."""
        try:
            while True:
                await self.next()
        except EOFError:
            return


@asynccontextmanager
async def hearing(sidecar: Running, **headers: str) -> AsyncIterator[Hearing]:
    """A listener of `GET /live`."""
    async with (
        aiohttp.ClientSession(sidecar.admin, read_bufsize=1 << 22) as session,
        session.get("/live", headers=headers) as answer,
    ):
        assert answer.status == 200, await answer.text()
        yield Hearing(answer)
