"""Messages of a chat as Anthropic's turns: who speaks when, and what a message may hold."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.dialects.chat_turns import turns
from sidecar.dialects.fields import Lost
from sidecar.dialects.translated import Untranslatable
from tests.kit.vendor_types import held_by_anthropic

Message = dict[str, Any]


def user(content: Any, **more: Any) -> Message:
    return {"role": "user", "content": content, **more}


def assistant(content: Any, **more: Any) -> Message:
    return {"role": "assistant", "content": content, **more}


def called(*ids: str) -> Message:
    function = {"name": "look", "arguments": '{"n":1}'}
    return assistant(None, tool_calls=[{"id": call, "type": "function", "function": function} for call in ids])


def use(id: str) -> Message:  # noqa: A002 - the field's name
    return {"type": "tool_use", "id": id, "name": "look", "input": {"n": 1}}


def tool(id: str, content: Any = "done", **more: Any) -> Message:  # noqa: A002 - the field's name
    return {"role": "tool", "tool_call_id": id, "content": content, **more}


def result(id: str, content: Any = "done") -> Message:  # noqa: A002 - the field's name
    return {"type": "tool_result", "tool_use_id": id, "content": content}


def text(value: str) -> Message:
    return {"type": "text", "text": value}


def said(*messages: Any, lost: tuple[str, ...] = ()) -> list[Message]:
    """The turns, held against Anthropic's types; `lost` is all that is lost."""
    losses = Lost()
    _, made = turns(list(messages), losses)
    held_by_anthropic({"messages": made})
    assert losses.names() == lost
    return made


def test_a_conversation() -> None:
    talk = [user("Hello"), assistant("Hi"), user("Bye")]
    assert said(*talk) == talk


def test_what_one_says_in_several_messages_is_one_turn() -> None:
    assert said(user("a"), user("b"), assistant("c"), assistant([text("d"), text("e")]), user("f")) == [
        user([text("a"), text("b")]),
        assistant([text("c"), text("d"), text("e")]),
        user("f"),
    ]


def test_the_system_stands_apart_and_its_texts_on_lines() -> None:
    messages = [
        {"role": "system", "content": "One."},
        {"role": "developer", "content": [text("Two."), text(" "), text("Three.")]},
        user("a"),
    ]
    lost = Lost()
    assert turns(messages, lost) == ("One.\nTwo.\nThree.", [user("a")])
    assert lost.names() == ()


def test_what_the_system_says_later_loses_its_place_and_that_is_told() -> None:
    lost = Lost()
    system, _ = turns([user("a"), assistant("b"), {"role": "system", "content": "Now."}, user("c")], lost)
    assert system == "Now."
    assert lost.names() == ("messages.position",)


def test_results_of_parallel_calls_are_one_turn_directly_behind_them() -> None:
    assert said(user("a"), called("c1", "c2"), tool("c1"), tool("c2", "also"), user("b")) == [
        user("a"),
        assistant([use("c1"), use("c2")]),
        user([result("c1"), result("c2", "also"), text("b")]),
    ]


def test_results_stand_first_in_their_turn_whatever_came_between() -> None:
    assert said(user("a"), called("c1", "c2"), tool("c1"), user("wait"), tool("c2"))[-1] == user(
        [result("c1"), result("c2"), text("wait")]
    )


def test_text_stands_before_the_calls() -> None:
    message = {**called("c1"), "content": "Let me look."}
    assert said(user("a"), message, tool("c1"))[1] == assistant([text("Let me look."), use("c1")])


@pytest.mark.parametrize("content", ["", " \n", [], [text("")]])
def test_a_result_of_nothing_is_one_without_content(content: Any) -> None:
    assert said(user("a"), called("c1"), tool("c1", content))[-1] == user(
        [{"type": "tool_result", "tool_use_id": "c1"}]
    )


def test_a_result_may_hold_texts_and_images() -> None:
    parts = [text("see"), {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]
    image = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    assert said(user("a"), called("c1"), tool("c1", parts))[-1] == user([result("c1", [text("see"), image])])


def test_blank_texts_say_nothing() -> None:
    """Anthropic answers 400 to a text that is empty or blank."""
    assert said(user("a"), assistant(""), user(" \t"), assistant([text("\n")]), user([text(""), text("b")])) == [
        user([text("a"), text("b")])
    ]


def test_a_refusal_is_a_text() -> None:
    expected = assistant([text("a"), text("No."), text("Sorry.")])
    parts = [text("a"), {"type": "refusal", "refusal": "No."}]
    assert said(user("x"), assistant(parts, refusal="Sorry."), user("y"))[1] == expected


def test_images_and_files_keep_their_places() -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
        text("or"),
        {"type": "file", "file": {"file_data": "JVBERi0x", "filename": "a.pdf"}},
    ]
    assert [block["type"] for block in said(user(parts))[0]["content"]] == ["image", "text", "document"]


def test_an_end_that_the_model_is_to_go_on_with_has_no_blanks_behind_it() -> None:
    """Anthropic: "final assistant content cannot end with trailing whitespace"."""
    assert said(user("a"), assistant("The answer is \n"))[-1] == assistant("The answer is")
    assert said(user("a"), assistant([text("The "), text("answer ")]))[-1] == assistant([text("The "), text("answer")])
    assert said(user("a"), assistant("kept "), user("b"))[1] == assistant("kept ")


def test_calls_at_the_end_stay() -> None:
    assert said(user("a"), called("c1"))[-1] == assistant([use("c1")])


def test_what_a_message_says_beside_is_lost() -> None:
    said(user("a", name="Ada"), lost=("messages.name",))
    said(
        user([{**text("a"), "prompt_cache_breakpoint": {"mode": "explicit"}}]),
        lost=("messages.prompt_cache_breakpoint",),
    )
    said(
        user("a"),
        assistant("b", reasoning_content="hm", annotations=[]),
        user("c"),
        lost=("messages.reasoning_content",),
    )
    said(user("a"), called("c1"), tool("c1", name="look"), lost=("messages.name",))


def test_an_answer_put_back_as_it_came_loses_nothing() -> None:
    answer = assistant("b", refusal=None, annotations=[], audio=None, function_call=None, tool_calls=None)
    assert said(user("a"), answer, user("c"))[1] == assistant("b")


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ({}, "messages: is no list"),
        ([], "messages: none but the system says anything"),
        ([{"role": "system", "content": "a"}], "messages: none but the system says anything"),
        ([user(" ")], "messages: none but the system says anything"),
        ([assistant("a"), user("b")], "messages: the first but the system's must be the user's"),
        (["a"], "messages[0].message: is no object"),
        ([{}], "messages[0].role: None cannot be said"),
        ([{"role": "critic", "content": "a"}], "messages[0].role: 'critic' cannot be said"),
        ([{"role": ["user"], "content": "a"}], "messages[0].role: […] cannot be said"),
        ([user("a"), {"role": "function", "name": "f", "content": "a"}], "messages[1].role: 'function' cannot be said"),
        ([user(None)], "messages[0].content: is neither a string nor a list"),
        ([{"role": "user"}], "messages[0].content: is neither a string nor a list"),
        ([user(["a"])], "messages[0].content: is no object"),
        ([user([{"type": "text"}])], "messages[0].content.text: is no string"),
        ([user([{"text": "a"}])], "messages[0].content: a part of type None cannot be said here"),
        ([user([{"type": []}])], "messages[0].content: a part of type […] cannot be said here"),
        (
            [user([{"type": "input_audio", "input_audio": {}}])],
            "messages[0].content: a part of type 'input_audio' cannot be said here",
        ),
        (
            [user([{"type": "video_url"}])],
            "messages[0].content: a part of type 'video_url' cannot be said here",
        ),
        ([user([{"type": "image_url"}])], "messages[0].image_url: is no object"),
        ([user([{"type": "file", "file": {"file_id": "f"}}])], "messages[0].file.file_id: only the provider"),
        (
            [user("a"), assistant([{"type": "image_url", "image_url": {"url": "x"}}])],
            "messages[1].content: a part of type 'image_url' cannot be said here",
        ),
        ([{"role": "system", "content": [{"type": "file"}]}], "messages[0].content: a part of type 'file'"),
        ([user("a"), assistant(None, audio={"id": "audio_1"})], "messages[1].audio: cannot be said"),
        ([user("a"), assistant(None, function_call={"name": "f"})], "messages[1].function_call: cannot be said"),
        ([user("a"), assistant(1)], "messages[1].content: is neither a string nor a list"),
        ([user("a"), assistant("b", refusal=1)], "messages[1].refusal: is no string"),
        ([user("a"), assistant("b", tool_calls="c")], "messages[1].tool_calls: is no list"),
        ([user("a"), {"role": "tool", "content": "x"}], "messages[1].tool_call_id: is no string"),
        ([user("a"), tool("", "x")], "messages[1].tool_call_id: is empty"),
        ([user("a"), tool("c1", None)], "messages[1].content: is neither a string nor a list"),
    ],
)
def test_what_is_no_conversation(messages: Any, reason: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        turns(messages, Lost())
    assert str(caught.value).startswith(reason)
