"""Requests that nobody thought of: any JSON is translated or refused with a reason."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.chat_to_messages import chat_to_messages
from sidecar.dialects.messages_to_chat import messages_to_chat
from sidecar.dialects.translated import Translated, Untranslatable

Message = dict[str, Any]

KEYS = """model messages role content text type image_url url detail file file_data filename source data media_type
tool_calls id function name arguments tool_call_id tool_use_id input is_error tools tool_choice parameters input_schema
strict description allowed_tools mode response_format json_schema schema output_config format effort reasoning_effort
thinking budget_tokens temperature top_p stop stop_sequences stream stream_options max_tokens max_completion_tokens n
metadata user_id user service_tier system refusal audio function_call parallel_tool_calls disable_parallel_tool_use
continue_final_message add_generation_prompt caller properties required additionalProperties anyOf citations""".split()  # noqa: SIM905 - as a list it has one line for each word
WORDS = """user assistant system developer tool text image_url file function tool_use tool_result image document auto
any none required json_schema json_object object base64 url enabled adaptive disabled low c1 look {} {"a":1} [1] custom
https://example.org/a.png data:image/png;base64,iVBO JVBERi0x image/png application/pdf thinking refusal""".split()  # noqa: SIM905 - as above

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4)
    | st.sampled_from(WORDS)
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner),
    max_leaves=12,
)
near = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "tool"]), "content": anything},
    optional={"tool_calls": anything, "tool_call_id": anything, "refusal": anything},
)
requests = st.fixed_dictionaries(
    {"messages": st.lists(near | anything, min_size=1, max_size=3) | anything},
    optional={name: anything for name in KEYS if name != "messages"},
)


def tried(document: Message, *, compatible: bool) -> list[Translated | Untranslatable]:
    made: list[Translated | Untranslatable] = []
    for translate in (chat_to_messages, partial(messages_to_chat, compatible=compatible)):
        try:
            made.append(translate(document))
        except Untranslatable as reason:
            made.append(reason)
    return made


@given(requests, st.booleans())
def test_any_json_is_translated_or_refused_with_a_reason(document: Message, compatible: bool) -> None:
    before = copy.deepcopy(document)
    for made in tried(document, compatible=compatible):
        if isinstance(made, Untranslatable):
            assert str(made)
        else:
            assert orjson.dumps(made.document)
            assert all(name.isascii() and name.isprintable() for name in made.dropped)
            assert len(set(made.dropped)) == len(made.dropped)
    assert document == before


ASK = {"role": "user", "content": "a"}


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("shape", ['{"a":', "[", '{"type":', '{"content":['])
def test_what_is_nested_deeper_than_python_can_follow_is_translated_or_refused(name: str, shape: str) -> None:
    """As deep as the parser goes (1,024 levels); a message that shows such a value must not follow it either."""
    levels = 1000 // (shape.count("{") + shape.count("["))
    close = "".join({"{": "}", "[": "]"}[sign] for sign in reversed(shape) if sign in "{[")
    deep = orjson.loads(shape * levels + "1" + close * levels)
    places = [
        {"messages": [ASK], name: deep},
        {"messages": [{**ASK, name: deep}]},
        {"messages": [{**ASK, "content": [{"type": "text", "text": "a", name: deep}]}]},
        {
            "messages": [
                ASK,
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "n", name: deep}]},
            ]
        },
        {"messages": [ASK], "tools": [{"name": "n", "input_schema": {"type": "object"}, name: deep}]},
        {"messages": [ASK], "tools": [{"type": "function", "function": {"name": "n", name: deep}}]},
    ]
    for place in places:
        assert len(tried(place, compatible=True)) == 2
