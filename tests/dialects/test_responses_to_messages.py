from __future__ import annotations

import copy
import inspect
import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from hypothesis import given
from hypothesis import strategies as st
from openai import AsyncOpenAI
from openai.types.responses.response_create_params import ResponseCreateParamsBase
from pydantic import TypeAdapter

from sidecar.dialects.response_reply import to_response
from sidecar.dialects.responses_to_messages import responses_to_messages
from sidecar.dialects.translated import Untranslatable
from tests.kit.messages import anything, bent, message, messages, text
from tests.kit.scripted import reply, scripted

Json = dict[str, Any]

TOOL: Json = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}, "strict": True}
ASKED: Json = {
    "model": "gpt-x",
    "instructions": "Be brief.",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Look."}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "function_call", "call_id": "functions.look:0", "name": "look", "arguments": '{"at":1}'},
        {"type": "function_call_output", "call_id": "functions.look:0", "output": "a cat"},
        {"role": "developer", "content": "No dogs."},
        {"type": "message", "role": "user", "content": "And?"},
    ],
    "tools": [TOOL],
    "tool_choice": {"type": "function", "name": "look"},
    "parallel_tool_calls": False,
    "max_output_tokens": 9,
    "temperature": 1.5,
    "top_p": 0.5,
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}, "verbosity": "low"},
    "store": True,
    "metadata": {"k": "v"},
    "include": ["reasoning.encrypted_content"],
    "truncation": "auto",
    "user": "u",
    "stream": True,
}


def said(**more: Any) -> Json:
    return responses_to_messages({"model": "gpt-x", "input": "hi", **more}).document


def dropped(**more: Any) -> tuple[str, ...]:
    return responses_to_messages({"model": "gpt-x", "input": "hi", **more}).dropped


def test_a_whole_request() -> None:
    made = responses_to_messages(ASKED)
    call = made.document["messages"][1]["content"][0]["id"]
    assert made.document == {
        "system": "Be brief.\nNo dogs.",
        "messages": [
            {"role": "user", "content": "Look."},
            {"role": "assistant", "content": [{"type": "tool_use", "id": call, "name": "look", "input": {"at": 1}}]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": call, "content": "a cat"},
                    {"type": "text", "text": "And?"},
                ],
            },
        ],
        "tools": [{"name": "look", "input_schema": TOOL["parameters"], "strict": True}],
        "tool_choice": {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
        "max_tokens": 9,
        "temperature": 1,
        "top_p": 0.5,
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
        "metadata": {"user_id": "u"},
        "stream": True,
    }
    assert set(made.dropped) == {
        "input.reasoning",
        "input.position",
        "include",
        "truncation",
        "temperature",
        "reasoning.summary",
        "text.verbosity",
        "store",
        "metadata",
    }


def test_a_text_is_all_that_is_needed() -> None:
    made = responses_to_messages({"model": "gpt-x", "input": "hi"})
    assert (made.document, made.dropped) == ({"messages": [{"role": "user", "content": "hi"}]}, ())


def test_an_image_is_handed_on() -> None:
    part = {"type": "input_image", "image_url": "data:image/png;base64,aWNvbg==", "detail": "high"}
    made = responses_to_messages({"input": [{"role": "user", "content": [part]}]})
    source = {"type": "base64", "media_type": "image/png", "data": "aWNvbg=="}
    assert made.document["messages"][0]["content"] == [{"type": "image", "source": source}]
    assert made.dropped == ("input.detail",)


@pytest.mark.parametrize(
    ("choice", "made"),
    [
        ("none", {"type": "none"}),
        ("auto", {"type": "auto"}),
        ("required", {"type": "any"}),
        ({"type": "function", "name": "look"}, {"type": "tool", "name": "look"}),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look"}]},
            {"type": "any"},
        ),
    ],
)
def test_a_choice_of_tools(choice: Any, made: Json) -> None:
    assert said(tools=[TOOL], tool_choice=choice)["tool_choice"] == made


def test_reasoning_may_be_asked_for_or_forbidden() -> None:
    assert said(reasoning={"effort": "xhigh"})["output_config"] == {"effort": "xhigh"}
    assert said(reasoning={"effort": "none"})["thinking"] == {"type": "disabled"}
    assert dropped(reasoning={"effort": "minimal"}) == ("reasoning.effort",)


def test_what_says_what_holds_anyway_is_not_lost() -> None:
    assert dropped(store=False, metadata={}, include=[], truncation="disabled", background=False, user=None) == ()
    assert dropped(text={"format": {"type": "text"}, "verbosity": "medium"}, top_logprobs=0) == ()


@pytest.mark.parametrize(
    "name",
    ["access_programs", "context_management", "image", "max_tool_calls", "moderation", "prompt_cache_key", "n", "stop"],
)
def test_bookkeeping_is_lost_and_told_as_is_what_nobody_knows(name: str) -> None:
    assert dropped(**{name: "x"}) == (name,)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"background": True}, "background: an answer in the background"),
        ({"conversation": "conv_1"}, "conversation: only"),
        ({"previous_response_id": "resp_1"}, "previous_response_id: only"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt: only"),
        ({"text": {"format": {"type": "json_object"}}}, "^text.format: 'json_object'"),
        ({"text": {"format": {"type": "json_schema"}}}, "^text.format.schema"),
        ({"text": "json"}, "^text: is no object"),
        ({"reasoning": "low"}, "^reasoning: is no object"),
        ({"tools": [{"type": "web_search"}]}, "^tools: a tool of type 'web_search'"),
        ({"tools": [{"type": "custom", "name": "n"}]}, "^tools: a tool of type 'custom'"),
        ({"tools": [{"type": "function", "name": "a b"}]}, "^tools.name: 'a b'"),
        ({"tools": [TOOL], "tool_choice": {"type": "mcp", "server_label": "s"}}, "^tool_choice: .*'mcp'"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "mode": "x", "tools": []}}, "^tool_choice.mode"),
        ({"max_output_tokens": "9"}, "^max_output_tokens"),
        ({"temperature": "hot"}, "^temperature"),
        ({"input": " "}, "^input: none but the system"),
        ({"input": [{"role": "assistant", "content": "a"}]}, "^input: the first"),
        (
            {
                "instructions": "i",
                "input": [
                    {"role": "user", "content": "a"},
                    {"type": "function_call", "call_id": "c", "name": "n", "arguments": "{"},
                ],
            },
            r"^input\[1\].arguments: ",
        ),
        ({"input": [{"type": "function_call", "name": "n", "arguments": ""}]}, r"^input\[0\].call_id: "),
        ({"input": [{"type": "function_call_output", "output": "a"}]}, r"^input\[0\].call_id: "),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "ftp://x"}]}]},
            r"^input\[0\].image_url: ",
        ),
    ],
)
def test_what_cannot_be_carried_is_refused_in_the_callers_words(more: Json, problem: str) -> None:
    with pytest.raises(Untranslatable, match=problem):
        said(**more)


def test_every_field_of_openais_type_has_been_thought_of() -> None:
    """A new field of the SDK shows up here: is the answer another one without it, or is it about cost and records?"""
    known = set(ASKED) | {"background", "conversation", "previous_response_id", "prompt", "safety_identifier"}
    known |= {"service_tier", "stream_options", "top_logprobs"}
    lost = {"access_programs", "background_options", "context_management", "image", "max_tool_calls", "moderation"}
    lost |= {"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"}
    fields = set(inspect.get_annotations(ResponseCreateParamsBase))
    assert fields - known == lost


async def test_openais_client_asks_and_gets_an_answer_and_anthropics_types_take_what_is_asked() -> None:
    asked = {**ASKED, "stream": False}
    body = orjson.dumps(to_response(message(text("A cat.")), asked, created=7))
    answer = reply("200 OK", "Content-Type: application/json", body=body)
    async with scripted(answer) as server, AsyncOpenAI(base_url=f"{server.url}/v1", api_key="k") as client:
        response = await client.responses.create(**asked)
    assert (response.output_text, response.tools[0].type) == ("A cat.", "function")
    made = responses_to_messages(orjson.loads(server.bodies[0])).document
    assert made == responses_to_messages(asked).document
    beyond = ("temperature", "top_p", "stream")  # the SDK's types left them out, or have them elsewhere
    known = {name: value for name, value in made.items() if name not in beyond}
    TypeAdapter(MessageCreateParamsNonStreaming).validate_python({**known, "model": "claude-x"})


@given(messages())
def test_an_answer_may_be_sent_back_as_the_past(whole: Json) -> None:
    """Texts, calls, ids and arguments of a translated answer come back to Anthropic as they were said."""
    output = to_response(whole, ASKED, created=7)["output"]
    made = responses_to_messages(
        {"input": [{"role": "user", "content": "a"}, *output, {"role": "user", "content": "b"}]}
    )
    blocks: list[Json] = []
    for turn in made.document["messages"]:
        if turn["role"] == "assistant":
            content = turn["content"]
            blocks += [{"type": "text", "text": content}] if isinstance(content, str) else content
    explanation = (whole["stop_details"] or {}).get("explanation")
    told = [*whole["content"], *([{"type": "text", "text": explanation}] if explanation else [])]
    kept = [block for block in told if block["type"] == "tool_use" or block.get("text", "").strip()]
    assert [json.dumps(block, sort_keys=True) for block in blocks] == [
        json.dumps(block, sort_keys=True) for block in kept
    ]


@given(st.just(ASKED) | bent(ASKED))
def test_any_request_is_translated_or_refused_and_stays_as_it_was(asked: Json) -> None:
    before = copy.deepcopy(asked)
    with suppress(Untranslatable):
        made = responses_to_messages(asked)
        json.dumps(made.document)
        to_response(message(), asked, created=7)
    assert asked == before


@given(st.dictionaries(st.sampled_from(sorted({*ASKED, "background", "prompt", "stream_options"})), anything))
def test_any_json_is_translated_or_refused(asked: Json) -> None:
    with suppress(Untranslatable):
        responses_to_messages(asked)
