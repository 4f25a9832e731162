"""`sidecar demo`, from its start to its end: the first command that a newcomer types."""

from __future__ import annotations

import asyncio

import pytest

from tests.kit.commands import SIDECAR, free_port, process


@pytest.mark.timeout(90)
async def test_the_demo_tells_its_whole_story_and_ends_by_itself() -> None:
    env = {"SIDECAR_LISTEN_HTTP": f"127.0.0.1:{free_port()}", "SIDECAR_LISTEN_ADMIN": f"127.0.0.1:{free_port()}"}
    async with process(SIDECAR, "demo", "--seconds", "12", env=env) as demo, asyncio.timeout(60):
        out, _ = await demo.communicate()
    story = out.decode()
    assert demo.returncode == 0, story
    for sign in (
        "200 by steady",
        "flaky 500 → waits ",
        "gone connect_failed (3 times) → steady 200",
        "slow timeout after 4",
        "breaker slow: closed → open",
        "slow skipped: circuit_open → steady 200",
        "breaker gone: closed → open",
        "200 by static/sorry",
        "rate_limited, again in 2 s",
        "breaker moody: closed → open",
        "503 by sidecar",
        "breaker moody: open → half_open",
        "breaker moody: half_open → closed",
        "Now you.",
        "answered well",
    ):
        assert sign in story, story
