"""Ids of answers keep their own part from dialect to dialect."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.llm_ids import to_completion_id, to_message_id, tool_id_of

anything = (
    st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()) | st.dictionaries(st.text(), st.text())
)


def test_an_answer_keeps_its_own_part() -> None:
    assert to_completion_id("msg_01XFDUDYJgAACzvnptvVoYEL") == "chatcmpl-01XFDUDYJgAACzvnptvVoYEL"
    assert to_message_id("chatcmpl-9vK2") == "msg_9vK2"


def test_there_and_back_it_is_the_same() -> None:
    assert to_message_id(to_completion_id("msg_01X")) == "msg_01X"
    assert to_completion_id(to_message_id("chatcmpl-01X")) == "chatcmpl-01X"


@pytest.mark.parametrize("foreign", ["cmpl-7", "0192f0c1-7d2e", "gen-17"])
def test_the_id_of_a_server_with_its_own_prefix_is_kept_whole(foreign: str) -> None:
    assert to_message_id(foreign) == f"msg_{foreign}"
    assert to_completion_id(foreign) == f"chatcmpl-{foreign}"


def test_an_id_that_already_has_the_due_prefix_gets_no_second_one() -> None:
    assert to_message_id("msg_01X") == "msg_01X"
    assert to_completion_id("chatcmpl-01X") == "chatcmpl-01X"


def test_a_tool_call_without_an_id_gets_one_by_its_answer_and_its_place() -> None:
    assert tool_id_of("chatcmpl-9vK2", 0) == "call_9vK2_0"
    assert tool_id_of("chatcmpl-9vK2", 1) == "call_9vK2_1"


@given(anything)
def test_anything_gives_an_id(answer_id: object) -> None:
    assert to_message_id(answer_id).startswith("msg_")
    assert to_completion_id(answer_id).startswith("chatcmpl-")
    assert tool_id_of(answer_id, 3).startswith("call_")
