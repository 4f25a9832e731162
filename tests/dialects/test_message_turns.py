"""Anthropic's turns as messages of a chat."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.dialects.fields import Lost
from sidecar.dialects.message_turns import messages
from sidecar.dialects.translated import Untranslatable
from tests.kit.vendor_types import held_by_openai

Message = dict[str, Any]
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}
IMAGE_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}
CACHED = {"cache_control": {"type": "ephemeral"}}


def user(content: Any) -> Message:
    return {"role": "user", "content": content}


def assistant(content: Any, **more: Any) -> Message:
    return {"role": "assistant", "content": content, **more}


def text(value: str) -> Message:
    return {"type": "text", "text": value}


def use(id: str) -> Message:  # noqa: A002 - the field's name
    return {"type": "tool_use", "id": id, "name": "look", "input": {"n": 1}}


def call(id: str) -> Message:  # noqa: A002 - the field's name
    return {"id": id, "type": "function", "function": {"name": "look", "arguments": '{"n":1}'}}


def result(id: str, content: Any = "done", **more: Any) -> Message:  # noqa: A002 - the field's name
    return {"type": "tool_result", "tool_use_id": id, "content": content, **more}


def tool(id: str, content: str = "done") -> Message:  # noqa: A002 - the field's name
    return {"role": "tool", "tool_call_id": id, "content": content}


def said(*given: Any, system: Any = None, lost: tuple[str, ...] = ()) -> list[Message]:
    """The messages, held against OpenAI's types; `lost` is all that is lost."""
    losses = Lost()
    made = messages(system, list(given), losses)
    held_by_openai({"messages": made})
    assert losses.names() == lost
    return made


def test_a_conversation() -> None:
    talk = [user("Hello"), assistant("Hi"), user([text("a"), text("b")])]
    assert said(*talk) == talk


@pytest.mark.parametrize("system", ["One.\nTwo.", [text("One."), text("Two."), text("")]])
def test_the_system_is_one_message_before_all(system: Any) -> None:
    assert said(user("a"), system=system) == [{"role": "system", "content": "One.\nTwo."}, user("a")]


@pytest.mark.parametrize("system", ["", [], [text("")]])
def test_a_system_that_says_nothing_is_no_message(system: Any) -> None:
    assert said(user("a"), system=system) == [user("a")]


def test_what_the_system_says_later_loses_its_place_and_that_is_told() -> None:
    later = {"role": "system", "content": "Now."}
    assert said(user("a"), later, user("b"), system="First.", lost=("messages.position",)) == [
        {"role": "system", "content": "First.\nNow."},
        user([text("a"), text("b")]),
    ]
    assert said({"role": "system", "content": "Now."}, user("b"))[0] == {"role": "system", "content": "Now."}


def test_what_one_says_in_several_messages_is_one_turn() -> None:
    assert said(user("a"), user([text("b"), IMAGE]), assistant([text("c"), text("d")]), assistant("e")) == [
        user([text("a"), text("b"), IMAGE_PART]),
        assistant("cd\ne"),
    ]


def test_calls_stand_beside_the_text() -> None:
    assert said(user("a"), assistant([text("Let me look."), use("t1"), use("t2")]))[1] == assistant(
        "Let me look.", tool_calls=[call("t1"), call("t2")]
    )
    assert said(user("a"), assistant([use("t1")]))[1] == assistant(None, tool_calls=[call("t1")])


def test_text_behind_a_call_loses_its_place_and_that_is_told() -> None:
    made = said(user("a"), assistant([text("b"), use("t1"), text("c")]), lost=("messages.position",))
    assert made[1] == assistant("bc", tool_calls=[call("t1")])


def test_results_are_messages_directly_behind_the_calls() -> None:
    turn = user([text("and?"), result("t1"), result("t2", [text("x"), text("y")])])
    assert said(user("a"), assistant([use("t1"), use("t2")]), turn)[2:] == [
        tool("t1"),
        tool("t2", "x\ny"),
        user("and?"),
    ]


@pytest.mark.parametrize("content", [None, "", [], [text("")]])
def test_a_result_of_nothing_is_an_empty_one(content: Any) -> None:
    assert said(user([result("t1", content)])) == [tool("t1", "")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("No such city.", "Error: No such city."),
        ([text("a"), text("b")], "Error: a\nb"),
        (None, "Error"),
        ("", "Error"),
    ],
)
def test_a_failure_of_a_tool_is_told_in_its_text_for_a_chat_has_no_field(content: Any, expected: str) -> None:
    assert said(user([result("t1", content, is_error=True)])) == [tool("t1", expected)]
    assert said(user([result("t1", "fine", is_error=False)])) == [tool("t1", "fine")]


def test_images_in_results_follow_in_a_message_of_the_users_as_results_are_texts() -> None:
    turn = user([result("t1", [text("see"), IMAGE]), result("t2", [IMAGE]), text("Which?")])
    assert said(user("a"), assistant([use("t1"), use("t2")]), turn)[2:] == [
        tool("t1", "see"),
        tool("t2", ""),
        user([IMAGE_PART, IMAGE_PART, text("Which?")]),
    ]


def test_documents_in_results_are_text_or_follow_too() -> None:
    plain = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "It was."}}
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"}
    made = said(user([result("t1", [plain, {"type": "document", "source": source}])]))
    assert made[0] == tool("t1", "It was.")
    assert [part["type"] for part in made[1]["content"]] == ["file"]


def test_thinking_is_lost_whole_and_told() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    redacted = {"type": "redacted_thinking", "data": "x"}
    lost = ("messages.thinking", "messages.redacted_thinking")
    assert said(user("a"), assistant([thinking, redacted, text("b"), use("t1")]), lost=lost)[1] == assistant(
        "b", tool_calls=[call("t1")]
    )


def test_users_whom_only_thinking_parted_speak_one_turn() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    assert said(user("a"), assistant([thinking]), user("b"), lost=("messages.thinking",)) == [
        user([text("a"), text("b")])
    ]


def test_a_last_turn_of_thinking_alone_is_no_message() -> None:
    sealed = {"type": "redacted_thinking", "data": "x"}
    assert said(user("a"), assistant([sealed]), lost=("messages.redacted_thinking",)) == [user("a")]


def test_what_a_block_says_beside_is_lost_each_once() -> None:
    said(
        user([{**text("a"), **CACHED}, {**IMAGE, **CACHED}]),
        assistant([{**text("b"), "citations": [{"type": "char_location"}]}, {**use("t1"), **CACHED}]),
        user([result("t1", toolset_name="x", **CACHED)]),
        system=[{**text("s"), **CACHED}],
        lost=("system.cache_control", "messages.cache_control", "messages.citations", "messages.toolset_name"),
    )
    said({**user("a"), "id": "msg_1"}, lost=("messages.id",))


def test_an_answer_put_back_as_it_came_loses_nothing() -> None:
    assert said(user("a"), assistant([{**text("b"), "citations": None}]), user("c"))[1] == assistant("b")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (None, "messages: is no list"),
        ("a", "messages: is no list"),
        ([1], "messages: is no object"),
        ([], "messages: none but the system says anything"),
        ([user("")], "messages: none but the system says anything"),
        ([{"role": "system", "content": "a"}], "messages: none but the system says anything"),
        ([{"content": "a"}], "messages[0].role: None is unknown"),
        ([{"role": "tool", "content": "a"}], "messages[0].role: 'tool' is unknown"),
        ([{"role": {}, "content": "a"}], "messages[0].role: {…} is unknown"),
        ([{"role": "user"}], "messages[0].content: is no list"),
        ([user([1])], "messages[0].content: is no object"),
        ([user([{}])], "messages[0].content: a block of type None cannot be said"),
        ([user([{"type": "text"}])], "messages[0].content.text: is no string"),
        ([user("a"), user([{"type": "search_result"}])], "messages[1].content: a block of type 'search_result'"),
        ([user([{"type": "container_upload"}])], "messages[0].content: a block of type 'container_upload'"),
        ([user([use("t1")])], "messages[0].content: a block of type 'tool_use'"),
        ([user([{"type": "image"}])], "messages[0].image.source: is no object"),
        ([user([{"type": "image", "source": {"type": "file"}}])], "messages[0].image.source: a source of type 'file'"),
        ([user([{"type": "tool_result"}])], "messages[0].tool_result.tool_use_id: is no string"),
        ([user([result("")])], "messages[0].tool_result.tool_use_id: is empty"),
        ([user([result("t1", is_error="yes")])], "messages[0].tool_result.is_error: is neither true nor false"),
        ([user([result("t1", [{"type": "tool_reference"}])])], "messages[0].content: a block of type 'tool_reference'"),
        ([user([result("t1", 1)])], "messages[0].content: is no list"),
        (
            [user("a"), assistant([{"type": "server_tool_use"}])],
            "messages[1].content: a block of type 'server_tool_use'",
        ),
        ([user("a"), assistant([IMAGE])], "messages[1].content: a block of type 'image' of the assistant"),
        ([user("a"), assistant([{**use("t1"), "input": []}])], "messages[1].tool_use.input: is no object"),
        ([{"role": "system", "content": [IMAGE]}], "messages[0].system: a block of type 'image'"),
    ],
)
def test_what_is_no_conversation_or_cannot_be_said(given: Any, reason: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        messages(None, given, Lost())
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize("system", [1, {}, [1], [IMAGE], [{"type": "text"}]])
def test_a_system_that_is_no_text(system: Any) -> None:
    with pytest.raises(Untranslatable, match=r"^system"):
        messages(system, [user("a")], Lost())
