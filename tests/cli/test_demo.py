"""`sidecar demo`, from its start to its end: the first command that a newcomer types."""

from __future__ import annotations

import asyncio
import signal
import subprocess

import aiohttp
import pytest

from tests.kit.commands import SIDECAR, process

ANYWHERE = {f"SIDECAR_LISTEN_{name}": "127.0.0.1:0" for name in ("HTTP", "GRPC", "ADMIN")}


@pytest.mark.timeout(90)
async def test_the_demo_tells_its_whole_story_and_then_waits_for_ctrl_c() -> None:
    async with process(SIDECAR, "demo", env=ANYWHERE) as demo, asyncio.timeout(60):
        assert demo.stdout is not None
        story = ""
        async for line in demo.stdout:
            story += line.decode()
            if b"/v1/messages -H" in line:  # the last of what to type now
                break
        demo.send_signal(signal.SIGINT)
        out, _ = await demo.communicate()
    story += out.decode()
    assert demo.returncode == 0, story
    for sign in (
        "200 by steady",
        "flaky 500 → waits ",
        "gone connect_failed (3 times) → steady 200",
        "slow timeout after 4",
        "breaker slow: closed → open",
        "slow skipped: circuit_open → steady 200",
        "breaker gone: closed → open",
        "200 by static",
        "rate_limited, again in 2 s",
        "breaker moody: closed → open",
        "503 by sidecar",
        "breaker moody: open → half_open",
        "breaker moody: half_open → closed",
        "c-gateway connect_failed (3 times) → router OK",
        "router UNAVAILABLE (3 times) → c-gateway 200",
        "openai/gpt-4o 503 → anthropic/claude-haiku-4-5 200",
        "its caller reads: You said: How will this end?",
        "small/tiny skipped: rate_limited → anthropic/claude-haiku-4-5 200",
        "Now you.",
        "/api/v1/routes/decide -H 'X-Tenant-ID: me'",
        "examples/beamline/decide_grpc.py",
        "/v1/chat/completions -H 'Content-Type: application/json' -d",
        "/v1/messages -H 'Content-Type: application/json' -H 'anthropic-version: 2023-06-01' -d",
        "answered well",
    ):
        assert sign in story, story


async def test_it_ends_by_itself_after_the_seconds_it_was_given() -> None:
    async with process(SIDECAR, "demo", "--seconds", "0.5", env=ANYWHERE) as demo, asyncio.timeout(60):
        out, _ = await demo.communicate()
    assert demo.returncode == 0, out.decode()
    assert " answered well" in out.decode()


@pytest.mark.parametrize("seconds", ["-1", "nan", "soon"])
def test_what_is_no_length_of_time(seconds: str) -> None:
    done = subprocess.run([SIDECAR, "demo", "--seconds", seconds], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"'--seconds'" in done.stderr


async def test_its_policy_file_may_be_read_again_while_it_runs() -> None:
    async with process(SIDECAR, "demo", env=ANYWHERE) as demo, asyncio.timeout(60):
        assert demo.stdout is not None
        admin = (await demo.stdout.readline()).decode().rpartition("at ")[2].strip().removesuffix(".")
        async with aiohttp.ClientSession() as caller, caller.post(f"{admin}/reload") as answer:
            assert (answer.status, (await answer.json())["generation"]) == (200, 2)
        demo.send_signal(signal.SIGINT)
        await demo.communicate()


async def test_ctrl_c_ends_it_in_order_in_the_middle_of_a_call() -> None:
    async with process(SIDECAR, "demo", env=ANYWHERE) as demo, asyncio.timeout(60):
        assert demo.stdout is not None
        async for line in demo.stdout:
            if b"GET /slow/" in line:  # the next call is under way
                break
        demo.send_signal(signal.SIGINT)
        out, _ = await demo.communicate()
    assert demo.returncode == 0, out.decode()
    assert " answered well" in out.decode()
