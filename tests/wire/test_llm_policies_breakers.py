"""Breakers and rests of LLM targets: one per upstream and model, and per credential where it is the caller's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest

from sidecar.standins.llm_faults import Fault, Kind
from tests.kit.llm_raw import breakers, chats, code_of, error_of, health, route_of, streamed, text_of
from tests.kit.llm_stage import ANTHROPIC, CLAUDE_FIRST, GPT_FIRST, GPT_ONLY, OPENAI, SAID, Stage, stage

if TYPE_CHECKING:
    from tests.kit.running import Running

TWICE = "circuit_breaker = { failure_threshold = 2, recovery_first = '60s' }"
ONCE = "tries = 1"
MINI = '[models.mini]\nchain = ["openai/gpt-4o-mini"]'
ADMIN = '[listen]\nhttp = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n'
BAD_GPT = Fault(Kind.STATUS, status=500, model="gpt-4o")


async def opened(s: Stage) -> None:
    """Let `openai/gpt-4o` fail until its breaker opens."""
    await s.openai.switch(BAD_GPT)
    assert [(await chats(s.sidecar, GPT_ONLY)).status for _ in range(2)] == [500, 500]


async def switch(sidecar: Running, path: str) -> int:
    """POST to the admin listener."""
    async with aiohttp.ClientSession() as session, session.post(sidecar.admin + path) as answer:
        return answer.status


async def test_a_model_that_fails_takes_no_other_model_along() -> None:
    async with stage(openai_keys=TWICE, retry=ONCE, more=MINI) as s:
        await opened(s)
        assert await breakers(s.sidecar) == {
            "openai/*": "closed",
            "openai/gpt-4o": "open",
            "openai/gpt-4o-mini": "closed",
            "anthropic/*": "closed",
            "anthropic/claude-sonnet-4-6": "closed",
        }
        refused = await chats(s.sidecar, GPT_ONLY)
        assert code_of(refused) == (503, "circuit_open")
        assert "openai/gpt-4o" in error_of(refused)["message"]
        by_name = await chats(s.sidecar, "gpt-4o")  # of the route's own chain, and the same model
        assert code_of(by_name) == (503, "circuit_open")
        assert s.openai.count == 2
        assert text_of(await chats(s.sidecar, "mini")) == SAID
        assert text_of(await chats(s.sidecar, "gpt-4.1")) == SAID
        assert (await health(s.sidecar))["status"] == "degraded"


async def test_models_that_the_file_does_not_name_share_one_breaker() -> None:
    async with stage(openai_keys=TWICE, retry=ONCE) as s:
        await s.openai.switch(Fault(Kind.STATUS, status=500))
        assert [(await chats(s.sidecar, model)).status for model in ("gpt-4.1", "o3")] == [500, 500]
        await s.openai.switch(Fault())
        assert code_of(await chats(s.sidecar, "gpt-4.1-mini")) == (503, "circuit_open")
        assert (await chats(s.sidecar, "gpt-4o")).status == 200
        assert (await breakers(s.sidecar))["openai/*"] == "open"


async def test_an_open_model_is_passed_over_in_a_chain() -> None:
    async with stage(openai_keys=TWICE, retry=ONCE) as s:
        await opened(s)
        answer = await chats(s.sidecar, GPT_FIRST)
        assert (route_of(answer), s.counts) == (("anthropic", "1"), (2, 1))


async def test_a_person_resets_and_opens_it_by_its_name() -> None:
    async with stage(openai_keys=TWICE, retry=ONCE, policies=ADMIN) as s:
        await opened(s)
        await s.openai.switch(Fault())
        assert await switch(s.sidecar, "/circuit-breakers/openai%2Fgpt-4o/reset") == 200
        assert (await chats(s.sidecar, GPT_ONLY)).status == 200
        assert await switch(s.sidecar, "/circuit-breakers/openai%2F%2A/open") == 200
        assert code_of(await chats(s.sidecar, "o3")) == (503, "circuit_open")
        assert await switch(s.sidecar, "/circuit-breakers/openai%2Fnone/reset") == 404


async def test_a_rest_that_a_callers_own_key_brought_about_is_of_that_key() -> None:
    async with stage(openai_keys='api_key = ""', retry=ONCE) as s:
        await s.openai.switch(Fault(Kind.STATUS, status=429, retry_after="600"))
        first = await chats(s.sidecar, GPT_ONLY, "Authorization: Bearer one")
        await s.openai.switch(Fault())
        assert first.status == 429
        assert code_of(await chats(s.sidecar, GPT_ONLY, "Authorization: Bearer one")) == (429, "rate_limited")
        assert (await chats(s.sidecar, GPT_ONLY, "Authorization: Bearer two")).status == 200
        assert (await chats(s.sidecar, GPT_FIRST, "Authorization: Bearer one")).fields["x-sidecar-model"] != "gpt-4o"
        assert s.openai.count == 2


async def test_a_rest_of_ours_is_everybodys_and_of_that_model_alone() -> None:
    async with stage(retry=ONCE, more=MINI) as s:
        await s.openai.switch(Fault(Kind.STATUS, status=429, retry_after="600", model="gpt-4o"))
        assert (await chats(s.sidecar, GPT_ONLY, "Authorization: Bearer one")).status == 429
        assert code_of(await chats(s.sidecar, GPT_ONLY, "Authorization: Bearer two")) == (429, "rate_limited")
        assert (await chats(s.sidecar, "mini")).status == 200
        assert (await health(s.sidecar))["checks"]["target openai/gpt-4o"].endswith(": throttled")


@pytest.mark.parametrize("failing", [OPENAI, ANTHROPIC])
async def test_a_breaker_hears_what_stands_in_a_200(failing: str) -> None:
    keys = {f"{failing}_keys": TWICE}
    model, name = (GPT_FIRST, "openai/gpt-4o") if failing == OPENAI else (CLAUDE_FIRST, "anthropic/claude-sonnet-4-6")
    async with stage(retry=ONCE, **keys) as s:
        await s.provider(failing).switch(Fault(Kind.ERROR_FIRST, status=529))
        for stream in (False, True, False):
            assert (await chats(s.sidecar, model, stream=stream)).status == 200
        assert (await breakers(s.sidecar))[name] == "open"
        assert s.provider(failing).count == 2


async def test_a_stream_that_breaks_counts_though_it_had_begun_well() -> None:
    async with stage(retry=ONCE, anthropic_keys=TWICE) as s:
        await s.anthropic.switch(Fault(Kind.CUT, tokens=2))
        for _ in range(2):
            assert b"upstream_reset" in await streamed(s.sidecar, "claude-only")
        assert (await breakers(s.sidecar))["anthropic/claude-sonnet-4-6"] == "open"


async def test_a_reload_keeps_what_did_not_change() -> None:
    limit = "rate_limit = { tokens_per_minute = 2000 }"
    async with stage(openai_keys=TWICE, retry=ONCE, route=limit) as s:
        await opened(s)
        await s.anthropic.switch(Fault(Kind.STATUS, status=429, retry_after="600"))
        assert (await chats(s.sidecar, "claude-only")).status == 429
        left = (await chats(s.sidecar, "o3")).fields["ratelimit"]
        s.sidecar.file.write_text(s.sidecar.file.read_text() + '[models.new]\nchain = ["openai/gpt-4o-mini"]\n')
        await s.sidecar.daemon.reload()
        assert s.sidecar.runtime.engine.generation == 2
        assert code_of(await chats(s.sidecar, GPT_ONLY)) == (503, "circuit_open")
        assert code_of(await chats(s.sidecar, "claude-only")) == (429, "rate_limited")
        again = (await chats(s.sidecar, "o3")).fields["ratelimit"]
        assert remaining(again) <= remaining(left)
        assert (await chats(s.sidecar, "new")).status == 200


def remaining(field: str) -> int:
    """What a `RateLimit` field says is left."""
    return int(field.partition("r=")[2].partition(";")[0])
