"""Anthropic's client for Node, whole and streamed: it cannot tell which provider answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sidecar.llm import Usage
from sidecar.standins.llm_answers import Answer, Thinking
from tests.kit.llm_caller import CLAUDE, GPT
from tests.kit.llm_stage import CLAUDE_ONLY, GPT_ONLY, SAID, stage
from tests.kit.node_clients import MESSAGE, MESSAGE_HELPER, message

if TYPE_CHECKING:
    from tests.kit.node_clients import NodeClients

EACH = pytest.mark.parametrize(("model", "answers"), [(GPT_ONLY, GPT), (CLAUDE_ONLY, CLAUDE)])
EACH_MODEL = pytest.mark.parametrize("model", [GPT_ONLY, CLAUDE_ONLY])

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"name": name, "input_schema": CITY} for name in ("get_weather", "get_time")]


@EACH
async def test_a_whole_answer(clients: NodeClients, model: str, answers: str) -> None:
    async with stage() as s:
        got = await clients.ask(s, MESSAGE, message(model))
    [block] = got.value["content"]
    assert (block["type"], block["text"], got.value["stop_reason"]) == ("text", SAID, "end_turn")
    assert (got.value["model"], got.value["role"], got.value["type"]) == (answers, "assistant", "message")
    assert (got.value["usage"]["input_tokens"], got.value["usage"]["output_tokens"]) == (5, 4)
    assert got.request == got.headers["request-id"] != ""
    assert (got.attempts, got.told("model"), got.fetches) == (1, answers, 1)


@EACH
async def test_a_stream(clients: NodeClients, model: str, answers: str) -> None:
    async with stage() as s:
        got = await clients.ask(s, MESSAGE, message(model, stream=True))
    assert (got.text, got.stop, got.usage, got.model, got.error) == (SAID, "end_turn", [5, 4], answers, None)
    assert [event for event in got.events if event != "ping"] == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * 4,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


@EACH_MODEL
async def test_the_clients_own_helper_puts_a_stream_together(clients: NodeClients, model: str) -> None:
    async with stage() as s:
        got = await clients.ask(s, MESSAGE_HELPER, message(model))
    assert (got.value["content"][0]["text"], got.value["stop_reason"], got.error) == (SAID, "end_turn", None)


@EACH_MODEL
@pytest.mark.parametrize("method", [MESSAGE, MESSAGE_HELPER])
async def test_tools_in_parallel_and_what_they_said(clients: NodeClients, model: str, method: str) -> None:
    asked = message(model, "get_weather and get_time in Oslo", tools=TOOLS)
    async with stage() as s:
        first = await clients.ask(s, method, asked)
        calls = [block for block in first.value["content"] if block["type"] == "tool_use"]
        assert first.value["stop_reason"] == "tool_use"
        assert [call["name"] for call in calls] == ["get_weather", "get_time"]
        assert all(isinstance(call["input"]["city"], str) for call in calls)
        results: list[dict[str, Any]] = [
            {"type": "tool_result", "tool_use_id": call["id"], "content": f"{at}"} for at, call in enumerate(calls)
        ]
        results[1]["is_error"] = True
        turns = [{"role": "assistant", "content": first.value["content"]}, {"role": "user", "content": results}]
        asked["messages"] += turns
        second = await clients.ask(s, MESSAGE, asked)
    assert second.value["content"][0]["text"].startswith("The tool said: 0")


@EACH_MODEL
async def test_structured_output_through_the_parse_helper(clients: NodeClients, model: str) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    form = {"format": {"type": "json_schema", "schema": {**schema, "additionalProperties": False}}}
    async with stage() as s:
        got = await clients.ask(s, "messages.parse", message(model, output_config=form))
    assert '"age"' in got.value["content"][0]["text"]


async def test_what_was_thought_and_its_signature_go_through_as_they_are(clients: NodeClients) -> None:
    asked = message(CLAUDE_ONLY, thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=2000)
    async with stage() as s:
        s.anthropic.script(Answer(Thinking("Hm, hm."), "Yes."))
        first = await clients.ask(s, MESSAGE_HELPER, asked)
        thought = first.value["content"][0]
        assert (thought["thinking"], thought["signature"]) == ("Hm, hm.", Thinking("Hm, hm.").signed)
        turns = [{"role": "assistant", "content": first.value["content"]}, {"role": "user", "content": "Sure?"}]
        asked["messages"] += turns
        second = await clients.ask(s, MESSAGE, asked)
        assert s.anthropic.requests[-1].document["messages"][1]["content"] == first.value["content"]
    assert second.error is None


async def test_tokens_are_counted_by_anthropic(clients: NodeClients) -> None:
    asked = {"model": CLAUDE, "messages": [{"role": "user", "content": "one two three"}]}
    async with stage() as s:
        got = await clients.ask(s, "messages.countTokens", asked)
        assert (s.counts, s.anthropic.requests[0].path) == ((0, 1), "/v1/messages/count_tokens")
    assert got.value["input_tokens"] == 6


async def test_cached_tokens_are_no_part_of_the_input(clients: NodeClients) -> None:
    async with stage() as s:
        s.openai.script(Answer("Yes.", usage=Usage(input=100, output=1, cached=80)))
        got = await clients.ask(s, MESSAGE, message(GPT_ONLY))
    assert (got.value["usage"]["input_tokens"], got.value["usage"]["cache_read_input_tokens"]) == (20, 80)
