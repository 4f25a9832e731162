from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given

from sidecar.dialects.fields import Lost
from sidecar.dialects.responses_items import chat_messages
from sidecar.dialects.translated import Untranslatable
from tests.kit.messages import anything

Json = dict[str, Any]


def put(*items: Any) -> tuple[list[Json], tuple[str, ...]]:
    """The messages for an input of these items, and what is lost."""
    lost = Lost()
    return [message for _, message in chat_messages({"input": list(items)}, lost)], lost.names()


def test_a_text_is_the_users_message() -> None:
    assert chat_messages({"input": "hi"}, Lost()) == [("input", {"role": "user", "content": "hi"})]


def test_instructions_stand_first() -> None:
    asked = {"input": [{"role": "developer", "content": "b"}], "instructions": "a"}
    assert chat_messages(asked, Lost()) == [
        ("instructions", {"role": "system", "content": "a"}),
        ("input[0]", {"role": "developer", "content": "b"}),
    ]


def test_messages_may_have_parts() -> None:
    parts = [
        {"type": "input_text", "text": "a"},
        {"type": "input_image", "image_url": "https://x/i.png", "detail": "low"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,x", "filename": "f.pdf"},
    ]
    assert put({"type": "message", "role": "user", "content": parts}) == (
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "image_url", "image_url": {"url": "https://x/i.png", "detail": "low"}},
                    {"type": "file", "file": {"file_data": "data:application/pdf;base64,x", "filename": "f.pdf"}},
                ],
            }
        ],
        (),
    )


def test_an_answer_of_the_past_is_the_assistants_message() -> None:
    parts = [
        {"type": "output_text", "text": "a", "annotations": [], "logprobs": []},
        {"type": "refusal", "refusal": "b"},
    ]
    answer = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": parts}
    said = [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "b"}]
    assert put(answer) == ([{"role": "assistant", "content": said}], ())


def test_calls_and_their_outputs() -> None:
    call = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "look", "arguments": "{}", "status": "done"}
    output = {"type": "function_call_output", "call_id": "c", "output": "seen"}
    function = {"name": "look", "arguments": "{}"}
    assert put(call, output) == (
        [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c", "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "seen"},
        ],
        (),
    )


def test_an_output_may_have_parts() -> None:
    output = {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "seen"}]}
    [message], _ = put(output)
    assert message["content"] == [{"type": "text", "text": "seen"}]


def test_reasoning_is_left_out_and_told() -> None:
    reasoning: Json = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": None}
    assert put(reasoning, {"role": "user", "content": "a"}) == (
        [{"role": "user", "content": "a"}],
        ("input.reasoning",),
    )


def test_what_an_item_says_beside_is_lost_and_told() -> None:
    part = {"type": "output_text", "text": "a", "annotations": [{"type": "file_path"}]}
    _, lost = put({"role": "assistant", "phase": "commentary", "content": [part]})
    assert lost == ("input.phase", "input.annotations")


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ("hi", r"input\[0\].item: is no object"),
        ({"type": "item_reference", "id": "msg_1"}, r"input\[0\].id: only the provider"),
        ({"id": "msg_1"}, r"input\[0\].id: only the provider"),
        ({}, r"input\[0\].id"),
        ({"type": "message"}, "role: None"),
        ({"role": "tool", "content": "a"}, "role: 'tool'"),
        ({"role": ["user"], "content": "a"}, "role"),
        ({"role": "user"}, "content: is no string"),
        ({"type": "reasoning", "encrypted_content": "x"}, "sealed"),
        ({"type": "web_search_call", "id": "ws_1"}, "'web_search_call'"),
        ({"type": ["message"]}, "type"),
        ({"type": "function_call_output", "call_id": "c"}, "output: is no string"),
        ({"role": "user", "content": [{"type": "input_image", "file_id": "file_1"}]}, "file_id"),
        ({"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]}, "file_id"),
        ({"role": "user", "content": [{"type": "input_file", "file_url": "https://x/f.pdf"}]}, "file_url"),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}, "'input_audio'"),
        ({"role": "user", "content": ["a"]}, "content: is no object"),
    ],
)
def test_what_cannot_be_said_is_refused_by_its_place(item: Any, problem: str) -> None:
    with pytest.raises(Untranslatable, match=problem):
        put(item)


@pytest.mark.parametrize("asked", [{}, {"input": None}, {"input": 1}, {"input": "a", "instructions": ["b"]}])
def test_a_request_without_input_is_none(asked: Json) -> None:
    with pytest.raises(Untranslatable):
        chat_messages(asked, Lost())


@given(anything)
def test_any_json_is_put_or_refused(value: Any) -> None:
    with suppress(Untranslatable):
        chat_messages({"input": value}, Lost())
    with suppress(Untranslatable):
        put(value)
