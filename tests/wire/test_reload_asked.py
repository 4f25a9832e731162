"""Reloads that somebody asks for, a hundred in a row under traffic of every kind: nothing is lost or left."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from sidecar.daemon import handle_signals
from tests.kit.reload_stage import reload_stage
from tests.kit.reloading import by_post, nothing_left

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kit.reload_stage import Policy, Stage


async def by_signal(stage: Stage, policy: Policy) -> int:
    stage.sidecar.file.write_text(policy.text)
    os.kill(os.getpid(), signal.SIGHUP)
    return await stage.live(policy)


@contextmanager
def heard_by(stage: Stage) -> Iterator[None]:
    """The stage's daemon hears the signals of this process."""
    handle_signals(stage.sidecar.daemon)
    try:
        yield
    finally:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)


@pytest.mark.both_loops
async def test_fifty_by_post() -> None:
    async with reload_stage() as stage:
        await nothing_left(stage, by_post, 50)


async def test_a_hundred_by_signal() -> None:
    async with reload_stage() as stage:
        with heard_by(stage):
            await nothing_left(stage, by_signal, 100)
