"""What went wrong in other gateways when they translated requests: each a story with its end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.dialects.chat_to_messages import chat_to_messages
from sidecar.dialects.messages_to_chat import messages_to_chat
from sidecar.dialects.translated import Untranslatable
from tests.kit.vendor_types import held_by_anthropic, held_by_openai

Message = dict[str, Any]
ASK: Message = {"role": "user", "content": "Read it."}


def for_anthropic(*messages: Message, **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    made = chat_to_messages({"model": "m", "messages": list(messages), **fields})
    held_by_anthropic(made.document)
    return made.document, made.dropped


def for_chat(*messages: Message, compatible: bool = False, **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    made = messages_to_chat({"model": "m", "messages": list(messages), **fields}, compatible=compatible)
    held_by_openai(made.document)
    return made.document, made.dropped


def call(id: str, arguments: str = "{}") -> Message:  # noqa: A002 - the field's name
    return {"id": id, "type": "function", "function": {"name": "Read", "arguments": arguments}}


def test_kimis_tool_ids_reach_anthropic_valid_and_come_home_unchanged() -> None:
    """A gateway made `functions_Read_0` of `functions.Read:0` and never back; the model then failed at calling."""
    there, _ = for_anthropic(
        ASK,
        {"role": "assistant", "content": None, "tool_calls": [call("functions.Read:0")]},
        {"role": "tool", "tool_call_id": "functions.Read:0", "content": "ok"},
    )
    [use], [result] = there["messages"][1]["content"], there["messages"][2]["content"]
    assert use["id"] == result["tool_use_id"] == "sidecar_b64_ZnVuY3Rpb25zLlJlYWQ6MA"
    back, _ = for_chat(*there["messages"])
    assert back["messages"][1]["tool_calls"][0]["id"] == back["messages"][2]["tool_call_id"] == "functions.Read:0"


def test_a_tool_without_arguments_is_called_with_an_empty_object() -> None:
    there, _ = for_anthropic(ASK, {"role": "assistant", "tool_calls": [call("c1", "")]})
    assert there["messages"][1]["content"][0]["input"] == {}
    back, _ = for_chat(*there["messages"], {"role": "user", "content": "go on"})
    assert back["messages"][1]["tool_calls"][0]["function"]["arguments"] == "{}"


def test_arguments_with_a_pair_of_surrogates_are_one_character() -> None:
    there, _ = for_anthropic(ASK, {"role": "assistant", "tool_calls": [call("c1", '{"a":"\\uD83D\\uDE00"}')]})
    assert there["messages"][1]["content"][0]["input"] == {"a": "😀"}


def test_thinking_never_reaches_openai_in_part_or_as_text() -> None:
    """Signatures hold over the very bytes: a block goes whole to Anthropic's own, or not at all."""
    thinking = {"type": "thinking", "thinking": "SECRET-THOUGHT", "signature": "SIGNATURE"}
    redacted = {"type": "redacted_thinking", "data": "SEALED"}
    answer = {"role": "assistant", "content": [thinking, redacted, {"type": "text", "text": "Hi"}]}
    made, dropped = for_chat(ASK, answer, ASK)
    assert dropped == ("messages.thinking", "messages.redacted_thinking")
    for word in ("SECRET-THOUGHT", "SIGNATURE", "SEALED"):
        assert word not in json.dumps(made)


def test_templates_that_know_one_system_message_get_one_and_it_is_first() -> None:
    """Qwen's template in vLLM answers 400 to a second one, and to one that is not the first."""
    made, dropped = for_chat(
        ASK,
        {"role": "system", "content": "Late."},
        {"role": "user", "content": "And?"},
        system=[{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}],
        compatible=True,
    )
    assert [message["role"] for message in made["messages"]] == ["system", "user"]
    assert made["messages"][0]["content"] == "One.\nTwo.\nLate."
    assert dropped == ("messages.position",)


def test_turns_alternate_for_anthropic_however_the_chat_was_cut_up() -> None:
    made, _ = for_anthropic(ASK, ASK, {"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}, ASK)
    assert [turn["role"] for turn in made["messages"]] == ["user", "assistant", "user"]


def test_results_of_parallel_calls_are_one_turn_for_else_anthropic_misses_some() -> None:
    made, _ = for_anthropic(
        ASK,
        {"role": "assistant", "content": None, "tool_calls": [call("c1"), call("c2")]},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": "2"},
        ASK,
    )
    assert [block["type"] for block in made["messages"][-1]["content"]] == ["tool_result", "tool_result", "text"]


def test_a_conversation_that_the_assistant_begins_is_not_given_an_invented_question() -> None:
    with pytest.raises(Untranslatable, match="the first but the system's must be the user's"):
        for_anthropic({"role": "assistant", "content": "How can I help?"}, ASK)


def test_max_tokens_is_left_to_whoever_knows_the_model() -> None:
    assert "max_tokens" not in for_anthropic(ASK)[0]
    assert for_anthropic(ASK, max_tokens=10**9)[0]["max_tokens"] == 10**9


def test_a_blank_stop_and_a_temperature_above_one_are_no_400_but_told() -> None:
    made, dropped = for_anthropic(ASK, stop=["", "\n\n", "END"], temperature=2)
    assert (made["stop_sequences"], made["temperature"], dropped) == (["END"], 1, ("stop", "temperature"))


@pytest.mark.parametrize(
    ("fields", "named"),
    [({"response_format": {"type": "json_object"}}, "response_format"), ({"n": 3}, "n")],
)
def test_json_mode_and_several_answers_are_not_silently_lost(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(Untranslatable, match=f"^{named}: "):
        for_anthropic(ASK, **fields)


def test_logprobs_and_seed_are_lost_but_not_silently() -> None:
    made, dropped = for_anthropic(ASK, logprobs=True, top_logprobs=2, seed=1)
    assert made == {"messages": [ASK]}
    assert dropped == ("logprobs", "top_logprobs", "seed")


def test_fields_that_nobody_knows_are_told_and_blocks_that_nobody_knows_refused() -> None:
    """Passed through untouched where nothing is translated; here they would mean something else, or nothing."""
    _, dropped = for_chat(ASK, brand_new_field={"a": 1})
    assert dropped == ("brand_new_field",)
    with pytest.raises(Untranslatable, match="'brand_new_block'"):
        for_chat({"role": "user", "content": [{"type": "brand_new_block"}]})
    with pytest.raises(Untranslatable, match="'brand_new_part'"):
        for_anthropic({"role": "user", "content": [{"type": "brand_new_part"}]})


def test_what_only_counts_or_batches_is_no_request_to_translate() -> None:
    """Bodies of the endpoints for batches and files have no messages of their own."""
    for body in ({"requests": [{"custom_id": "a", "params": {}}]}, {"input_file_id": "file-1"}):
        with pytest.raises(Untranslatable, match=r"^messages: there are none$"):
            chat_to_messages(body)
        with pytest.raises(Untranslatable, match=r"^messages: there are none$"):
            messages_to_chat(body, compatible=True)


def test_an_image_that_a_tool_gave_back_still_reaches_the_model() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}
    use = {"type": "tool_use", "id": "t1", "name": "Shoot", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [image]}
    made, dropped = for_chat(ASK, {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]})
    assert made["messages"][-1]["content"][0]["image_url"]["url"] == "data:image/png;base64,iVBO"
    assert dropped == ()


def test_a_tools_failure_is_not_taken_for_its_result() -> None:
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "no such file", "is_error": True}
    made, _ = for_chat({"role": "user", "content": [result]})
    assert made["messages"][0]["content"] == "Error: no such file"


def test_display_of_thinking_is_never_set_by_us() -> None:
    made, _ = for_anthropic(ASK, reasoning_effort="high")
    assert made == {"messages": [ASK], "output_config": {"effort": "high"}}


def test_the_model_that_was_asked_for_is_not_asked_of_another_provider() -> None:
    assert "model" not in for_anthropic(ASK)[0]
    assert "model" not in for_chat(ASK)[0]
