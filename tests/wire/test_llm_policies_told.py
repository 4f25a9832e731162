"""What is told of LLM calls: metrics, the line in the log, the timeline; and how a stream outlives a drain."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp

from sidecar.standins.llm_answers import Answer
from sidecar.standins.llm_faults import Fault, Kind
from tests.kit.caller import PATIENCE
from tests.kit.llm_raw import chat_body, chats, messages, metrics, streamed
from tests.kit.llm_stage import ANTHROPIC, CLAUDE_FIRST, CLAUDE_ONLY, GPT_FIRST, GPT_ONLY, Stage, stage
from tests.kit.running import request

ADMIN = '[listen]\nhttp = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n'
USAGE = {"include_usage": True}


async def timeline(s: Stage, request_id: str) -> dict[str, Any]:
    """As a person asks for it at the admin listener."""
    async with aiohttp.ClientSession() as session, session.get(f"{s.sidecar.admin}/requests/{request_id}") as answer:
        told: dict[str, Any] = await answer.json()
        return told


async def test_the_line_of_a_call_has_its_model_and_tokens() -> None:
    async with stage() as s:
        await chats(s.sidecar, GPT_ONLY, "X-Request-ID: i-1")
        await chats(s.sidecar, CLAUDE_ONLY, "X-Request-ID: i-2", stream=True, stream_options=USAGE)
        for request_id, upstream, model in (("i-1", "openai", "gpt-4o"), ("i-2", "anthropic", "claude-sonnet-4-6")):
            line = await s.sidecar.log.call(request_id)
            assert (line["upstream"], line["model"], line["route"]) == (upstream, model, "llm")
            assert line["tokens"] == {"input": 5, "output": 4, "cached": 0}
            assert (line["path"], line["outcome"]) == ("/v1/chat/completions", "ok")
            assert "hi there" not in json.dumps(line)


async def test_a_fallback_is_told_by_each_metric_of_it() -> None:
    async with stage(retry="tries = 2") as s:
        await s.openai.switch(Fault(Kind.STATUS, status=503))
        await chats(s.sidecar, GPT_FIRST)
        assert await moved(s, "sidecar_attempts_total") == {
            'route="llm",upstream="openai",outcome="server_error"': 2,
            'route="llm",upstream="anthropic",outcome="ok"': 1,
        }
        assert await moved(s, "sidecar_retries_total") == {'route="llm",upstream="openai",reason="server_error"': 1}
        [[labels, count]] = (await moved(s, "sidecar_fallbacks_total")).items()
        assert ('reason="server_error"' in labels, count) == (True, 1)


async def moved(s: Stage, name: str) -> dict[str, float]:
    return {labels: value for labels, value in (await metrics(s.sidecar, name)).items() if value}


async def test_events_of_streams_are_counted_by_what_they_are() -> None:
    async with stage() as s:
        await s.anthropic.switch(Fault(Kind.COMMENTS))
        await messages(s.sidecar, CLAUDE_ONLY, stream=True)
        counted = await moved(s, "sidecar_stream_events_total")
        assert counted['upstream="anthropic",kind="content"'] >= 5
        assert counted['upstream="anthropic",kind="quiet"'] >= 2
        assert counted['upstream="anthropic",kind="end"'] == 1
        first = await metrics(s.sidecar, "sidecar_time_to_first_byte_seconds_count")
        assert first['route="anthropic",upstream="anthropic"'] == 1


async def test_nothing_that_a_caller_says_becomes_a_label() -> None:
    async with stage() as s:
        s.openai.models = ()
        for model in ("tenant-secret", "x" * 5000, 'q"u\\o\nte'):
            assert (await chats(s.sidecar, model)).status == 200
        text = (await s.sidecar.ask("/metrics")).body
        assert b"tenant-secret" not in text
        assert b"xxxx" not in text
        assert b'model="other"' in text


async def test_the_timeline_says_why_each_target_was_passed_over() -> None:
    keyless = 'api_key = ""'
    more = """[models.three]
chain = ["anthropic/claude-sonnet-4-6", "openai/gpt-4o", "openai/gpt-4o-mini"]
"""
    async with stage(anthropic_keys=keyless, policies=ADMIN, retry="tries = 1", more=more) as s:
        await s.openai.switch(Fault(Kind.STATUS, status=400, code="context_length_exceeded", model="gpt-4o"))
        await chats(s.sidecar, "three", "X-Request-ID: i-1")
        told = await timeline(s, "i-1")
        steps = [(step["kind"], step["target"], step["outcome"]) for step in told["steps"]]
        assert steps == [
            ("skip", "anthropic/claude-sonnet-4-6", "no_credential"),
            ("attempt", "openai/gpt-4o", "context_length"),
            ("attempt", "openai/gpt-4o-mini", "ok"),
        ]
        assert (told["attempts"], told["upstream"], told["status_code"]) == (2, "openai/gpt-4o-mini", 200)


async def test_what_cannot_be_said_is_told_by_its_reason() -> None:
    async with stage(policies=ADMIN) as s:
        await chats(s.sidecar, CLAUDE_FIRST, "X-Request-ID: i-1", n=2)
        [skip, attempt] = (await timeline(s, "i-1"))["steps"]
        assert (skip["outcome"], "n" in skip["why"], attempt["outcome"]) == ("not_translatable", True, "ok")


async def test_a_break_is_told_by_its_cause() -> None:
    async with stage(policies=ADMIN) as s:
        await s.anthropic.switch(Fault(Kind.ERROR_INSIDE, tokens=2, status=529))
        assert b"Overloaded" in await streamed(s.sidecar, CLAUDE_ONLY, "X-Request-ID: i-1")
        line = await s.sidecar.log.call("i-1")
        assert (line["outcome"], line["tokens"]["input"]) == ("broke", 5)
        [step] = (await timeline(s, "i-1"))["steps"]
        assert (step["outcome"], "Overloaded" in step["why"]) == ("broke", True)


async def test_the_admin_listener_shows_who_carries_which_model() -> None:
    async with (
        stage(policies=ADMIN) as s,
        aiohttp.ClientSession() as session,
        session.get(f"{s.sidecar.admin}/models") as answer,
    ):
        told = json.dumps(await answer.json())
        assert all(name in told for name in (GPT_FIRST, CLAUDE_FIRST, "claude-sonnet-4-6"))
        assert "sk-ours" not in told


async def test_an_answer_tells_whose_it_is() -> None:
    async with stage() as s:
        answer = await messages(s.sidecar, GPT_ONLY)
        assert answer.fields["x-sidecar-model"] == "gpt-4o"
        assert answer.fields["x-sidecar-upstream"] == "openai"
        assert json.loads(answer.body)["model"] == "gpt-4o"
        by_name = await messages(s.sidecar, "claude-sonnet-4-6")
        assert "x-sidecar-model" not in by_name.fields
        assert by_name.fields["request-id"].startswith("req_")


async def test_a_stream_that_is_open_ends_well_while_the_sidecar_drains() -> None:
    async with stage() as s:
        s.anthropic.script(Answer("one two three four five six seven eight"))
        s.provider(ANTHROPIC).pace = 0.01
        caller = await s.sidecar.caller()
        body = chat_body(CLAUDE_ONLY, stream=True)
        caller.send(request("/v1/chat/completions", "X-Request-ID: i-1", method="POST", body=body))
        assert (await caller.head()).status == 200
        await caller.reader.readuntil(b'"one"')
        s.sidecar.daemon.stop()
        ending = asyncio.create_task(s.sidecar.daemon.run())
        told = await caller.ended()
        assert b'" eight"' in told
        assert told.endswith(b"0\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            await ending
        assert (await s.sidecar.log.call("i-1"))["outcome"] == "ok"
