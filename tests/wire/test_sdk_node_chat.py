"""OpenAI's client for Node, whole and streamed: it cannot tell which provider answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.standins.llm_answers import Answer
from tests.kit.llm_caller import CLAUDE, GPT
from tests.kit.llm_stage import CLAUDE_FIRST, CLAUDE_ONLY, GPT_ONLY, SAID, stage
from tests.kit.node_clients import CHAT, CHAT_HELPER, chat

if TYPE_CHECKING:
    from tests.kit.node_clients import NodeClients

EACH = pytest.mark.parametrize(("model", "answers"), [(GPT_ONLY, GPT), (CLAUDE_ONLY, CLAUDE)])
EACH_MODEL = pytest.mark.parametrize("model", [GPT_ONLY, CLAUDE_ONLY])


def tool(name: str) -> dict[str, Any]:
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "parameters": city}}


TOOLS = [tool("get_weather"), tool("get_time")]


@EACH
async def test_a_whole_answer(clients: NodeClients, model: str, answers: str) -> None:
    async with stage() as s:
        got = await clients.ask(s, CHAT, chat(model))
    [choice] = got.value["choices"]
    assert (choice["message"]["content"], choice["finish_reason"], got.value["model"]) == (SAID, "stop", answers)
    assert got.value["usage"]["total_tokens"] == 9
    assert got.request == got.headers["x-request-id"] != ""
    assert (got.attempts, got.told("model"), got.fetches) == (1, answers, 1)


@EACH
async def test_a_stream(clients: NodeClients, model: str, answers: str) -> None:
    async with stage() as s:
        got = await clients.ask(s, CHAT, chat(model, stream=True))
    assert (got.text, got.stop, got.usage, got.model, got.error) == (SAID, "stop", [5, 4], answers, None)


@EACH_MODEL
async def test_the_clients_own_helper_puts_a_stream_together(clients: NodeClients, model: str) -> None:
    async with stage() as s:
        got = await clients.ask(s, CHAT_HELPER, chat(model))
    assert (got.value["choices"][0]["message"]["content"], got.error) == (SAID, None)


@EACH_MODEL
@pytest.mark.parametrize("method", [CHAT, CHAT_HELPER])
async def test_tools_in_parallel_and_what_they_said(clients: NodeClients, model: str, method: str) -> None:
    asked = chat(model, "get_weather and get_time in Oslo", tools=TOOLS)
    async with stage() as s:
        first = await clients.ask(s, method, asked)
        [choice] = first.value["choices"]
        calls = choice["message"]["tool_calls"]
        assert choice["finish_reason"] == "tool_calls"
        assert [call["function"]["name"] for call in calls] == ["get_weather", "get_time"]
        assert all("city" in json.loads(call["function"]["arguments"]) for call in calls)
        results = [{"role": "tool", "tool_call_id": call["id"], "content": f"{at}"} for at, call in enumerate(calls)]
        asked["messages"] += [{"role": "assistant", "content": None, "tool_calls": calls}, *results]
        second = await clients.ask(s, CHAT, asked)
    assert second.value["choices"][0]["message"]["content"] == "The tool said: 0 1"


@EACH_MODEL
async def test_tools_in_a_stream(clients: NodeClients, model: str) -> None:
    async with stage() as s:
        got = await clients.ask(s, CHAT, chat(model, "get_weather and get_time", tools=TOOLS, stream=True))
    assert ([name for name, _ in got.tools], got.stop) == (["get_weather", "get_time"], "tool_calls")
    assert all("city" in json.loads(arguments) for _, arguments in got.tools)


@EACH_MODEL
async def test_structured_output_through_the_parse_helper(clients: NodeClients, model: str) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    strict = {"name": "person", "strict": True, "schema": {**schema, "additionalProperties": False}}
    async with stage() as s:
        got = await clients.ask(
            s, "chat.completions.parse", chat(model, response_format={"type": "json_schema", "json_schema": strict})
        )
    assert isinstance(json.loads(got.value["choices"][0]["message"]["content"])["age"], int)


@EACH_MODEL
async def test_responses_whole_streamed_and_by_the_helper(clients: NodeClients, model: str) -> None:
    asked = {"model": model, "input": "hi there", "instructions": "Be brief."}
    async with stage() as s:
        whole = await clients.ask(s, "responses.create", asked)
        streamed = await clients.ask(s, "responses.create", {**asked, "stream": True})
        helped = await clients.ask(s, "responses.stream", asked)
    assert (whole.value["output_text"], whole.value["status"]) == (SAID, "completed")
    assert (streamed.text, streamed.stop, streamed.error) == (SAID, "completed", None)
    assert (streamed.events[0], streamed.events[-1]) == ("response.created", "response.completed")
    assert helped.value["output_text"] == SAID


@EACH_MODEL
async def test_a_function_of_responses_and_what_it_said(clients: NodeClients, model: str) -> None:
    function = {"type": "function", "name": "get_weather", "parameters": TOOLS[0]["function"]["parameters"]}
    asked: dict[str, Any] = {"model": model, "input": [{"role": "user", "content": "Oslo?"}], "tools": [function]}
    async with stage() as s:
        first = await clients.ask(s, "responses.create", asked)
        [call] = [item for item in first.value["output"] if item["type"] == "function_call"]
        assert call["name"] == "get_weather"
        said = {"type": "function_call_output", "call_id": call["call_id"], "output": "wet"}
        second = await clients.ask(s, "responses.create", {**asked, "input": [*asked["input"], call, said]})
    assert second.value["output_text"] == "The tool said: wet"


async def test_embeddings_and_the_list_of_models(clients: NodeClients) -> None:
    async with stage() as s:
        vectors = await clients.ask(s, "embeddings.create", {"model": "text-embedding-3-small", "input": ["a", "b"]})
        models = await clients.ask(s, "models.list", None)
        names = [model["id"] for model in models.value["data"]]
    assert [entry["index"] for entry in vectors.value["data"]] == [0, 1]
    assert all(isinstance(number, float) for number in vectors.value["data"][0]["embedding"])
    assert {GPT_ONLY, CLAUDE_FIRST, GPT} <= set(names)


async def test_a_refusal_of_claudes_is_no_error(clients: NodeClients) -> None:
    async with stage() as s:
        s.anthropic.script(Answer("No.", stop="refusal"))
        got = await clients.ask(s, CHAT, chat(CLAUDE_FIRST, stream=True))
    assert (got.text, got.stop, got.error) == ("No.", "content_filter", None)
    assert s.counts == (0, 1)


async def test_a_caller_that_leaves_a_stream_takes_the_provider_along(clients: NodeClients) -> None:
    async with stage() as s:
        s.anthropic.script(Answer("word " * 500))
        s.anthropic.pace = 0.002
        got = await clients.ask(s, CHAT, chat(CLAUDE_ONLY, stream=True), leave=3)
        await s.anthropic.left.wait()
    assert (len(got.events), got.error, s.anthropic.abandoned) == (3, None, 1)
