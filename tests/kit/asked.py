"""A command's work as its tests ask for it: in a thread, since it blocks, while the sidecar runs in the test's loop."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, NamedTuple

import orjson

from tests.kit.running import one, running

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    import pytest

    from tests.kit.running import Running

LISTEN = '[listen]\nhttp = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n'
NOWHERE = "http://127.0.0.1:9"
"""Where nobody listens: calls fail at once."""


class Asked(NamedTuple):
    """How it ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def document(self) -> dict[str, object]:
        document: dict[str, object] = orjson.loads(self.out)
        return document


async def asked(
    capsys: pytest.CaptureFixture[str], work: Callable[..., int], *arguments: object, **more: object
) -> Asked:
    """Run it against what it is told; whatever was printed before is not its own."""
    capsys.readouterr()
    code = await asyncio.to_thread(work, *arguments, **more)
    sys.stdout.flush()
    return Asked(code, *capsys.readouterr())


def governed(more: str = "", *, upstream: str = "", route: str = "") -> AbstractAsyncContextManager[Running]:
    """A sidecar with an admin listener: route `r`, upstream `a` where nobody listens, and what is added."""
    return running(one(NOWHERE, upstream=upstream, route=route, more=LISTEN + more))
