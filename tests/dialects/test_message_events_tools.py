"""Tool calls of chat chunks as blocks: as they come, and as no one should send them but some do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.dialects.kept import LONGEST
from sidecar.dialects.message_events import MessageEvents
from sidecar.dialects.translated import BadEvent
from tests.kit.llm_events import calls, chunk, said
from tests.kit.played import as_message

if TYPE_CHECKING:
    from sidecar.llm import Document

ROLE = chunk({"role": "assistant", "content": ""})
END = chunk({}, "tool_calls")


def told(*chunks: Document) -> bytes:
    """The whole stream."""
    translator = MessageEvents()
    return b"".join(map(translator.feed, chunks)) + translator.end()


def fed(translator: MessageEvents, *chunks: Document) -> list[str]:
    return said(b"".join(map(translator.feed, chunks)))


def test_a_tool_call_is_passed_on_as_it_comes() -> None:
    translator = MessageEvents()
    assert fed(translator, ROLE, calls(0, "", id="call_1", name="weather", type="function")) == [
        "0 tool_use call_1 weather"
    ]
    assert fed(translator, calls(0, '{"city":')) == ['0 + {"city":']
    assert fed(translator, calls(0, '"Oslo"}')) == ['0 + "Oslo"}']
    assert fed(translator, END) == ["0 stops"]
    assert said(translator.end()) == ["tool_use"]


async def test_the_sdk_reads_text_then_tools_then_text() -> None:
    message = await as_message(
        told(
            ROLE,
            chunk({"content": "I look."}),
            calls(0, '{"city":"\\ud83d', id="call_1", name="weather"),
            calls(0, '\\ude00"}'),
            calls(1, "{}", id="call_2", name="now"),
            chunk({"content": "Wait."}),
            END,
        )
    )
    assert [block.to_dict() for block in message.content] == [
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "\N{GRINNING FACE}"}},
        {"type": "tool_use", "id": "call_2", "name": "now", "input": {}},
        {"type": "text", "text": "Wait."},
    ]
    assert message.stop_reason == "tool_use"


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "function_call"])
def test_servers_differ_in_how_they_say_that_tools_are_called(reason: str) -> None:
    assert said(told(ROLE, calls(0, "{}", id="c", name="n"), chunk({}, reason)))[-1] == "tool_use"


def test_a_call_that_was_cut_short_says_so() -> None:
    assert said(told(ROLE, calls(0, '{"a', id="c", name="n"), chunk({}, "length")))[-1] == "max_tokens"


def test_calls_one_after_the_other_are_passed_on_as_they_come() -> None:
    translator = MessageEvents()
    fed(translator, ROLE, calls(0, "", id="a", name="n"), calls(0, '{"x":{}'), calls(0, "}"))
    assert fed(translator, calls(1, "", id="b", name="m")) == ["0 stops", "1 tool_use b m"]
    assert fed(translator, calls(1, '{"y"')) == ['1 + {"y"']


def test_calls_between_one_another_wait_until_the_open_one_stops() -> None:
    translator = MessageEvents()
    assert fed(translator, ROLE, calls(0, "", id="a", name="n")) == ["0 tool_use a n"]
    assert fed(translator, calls(1, "", id="b", name="m"), calls(1, '{"y":')) == []
    assert fed(translator, calls(0, '{"x":')) == ['0 + {"x":']
    assert fed(translator, calls(1, "2}")) == []
    assert fed(translator, calls(0, "1}")) == ["0 + 1}"]
    assert fed(translator, END) == ["0 stops", "1 tool_use b m", '1 + {"y":2}', "1 stops"]


def test_many_in_one_chunk() -> None:
    two = {
        "tool_calls": [
            {"index": 0, "id": "a", "type": "function", "function": {"name": "n", "arguments": '{"x":1}'}},
            {"index": 1, "id": "b", "type": "function", "function": {"name": "m", "arguments": "{}"}},
        ]
    }
    assert said(told(ROLE, chunk(two), END)) == [
        "0 tool_use a n",
        '0 + {"x":1}',
        "0 stops",
        "1 tool_use b m",
        "1 + {}",
        "1 stops",
        "tool_use",
    ]


def test_text_within_a_call_waits_behind_it() -> None:
    assert said(
        told(
            ROLE,
            calls(0, "{", id="a", name="n"),
            chunk({"content": "We"}),
            calls(0, "}"),
            chunk({"content": "ll"}),
            END,
        )
    ) == ["0 tool_use a n", "0 + {", "0 + }", "0 stops", "1 text", "1 + Well", "1 stops", "tool_use"]


def test_what_waited_is_opened_and_goes_on_as_it_comes() -> None:
    translator = MessageEvents()
    fed(translator, ROLE, calls(0, "{", id="a", name="n"), chunk({"content": "We"}), calls(0, "}"))
    assert fed(translator, calls(1, "", id="b", name="m")) == [
        "0 stops",
        "1 text",
        "1 + We",
        "1 stops",
        "2 tool_use b m",
    ]
    assert fed(translator, calls(1, "{}")) == ["2 + {}"]


def test_a_call_without_arguments() -> None:
    nothing = ["0 tool_use c now", "0 stops", "tool_use"]
    assert said(told(ROLE, calls(0, id="c", name="now"), END)) == nothing
    assert said(told(ROLE, calls(0, "", id="c", name="now"), END)) == nothing
    null: Document = {"index": 0, "id": "c", "function": {"name": "now", "arguments": None}}
    assert said(told(ROLE, chunk({"tool_calls": [null]}), END)) == nothing


@pytest.mark.parametrize("pieces", [["null"], ["", "nu", "ll"], [" "], ["\n", "  "], ["null", "\n"]])
async def test_what_some_models_say_for_no_arguments(pieces: list[str]) -> None:
    stream = told(ROLE, calls(0, id="c", name="now"), *(calls(0, piece) for piece in pieces), END)
    assert said(stream) == ["0 tool_use c now", "0 stops", "tool_use"]
    assert [block.to_dict() for block in (await as_message(stream)).content] == [
        {"type": "tool_use", "id": "c", "name": "now", "input": {}}
    ]


def test_blanks_before_the_arguments_are_said_with_them() -> None:
    assert said(told(ROLE, calls(0, "\n", id="c", name="n"), calls(0, " {"), calls(0, "}\n"), END))[1:3] == [
        "0 + \n {",
        "0 + }\n",
    ]


def test_arguments_that_are_the_object_itself() -> None:
    call: Document = {"index": 0, "id": "c", "function": {"name": "n", "arguments": {"a": [1]}}}
    assert said(told(ROLE, chunk({"tool_calls": [call]}), END))[1] == '0 + {"a":[1]}'


@pytest.mark.parametrize("arguments", ['{"a', '{"a":1', "[]", "7", "nul", '"{}"', "{}{}"])
def test_arguments_that_are_no_object_break_the_stream(arguments: str) -> None:
    with pytest.raises(BadEvent, match="arguments"):
        told(ROLE, calls(0, arguments, id="c", name="n"), END)


def test_calls_that_are_null_are_none() -> None:
    assert said(told(ROLE, chunk({"content": "a", "tool_calls": None, "function_call": None}), chunk({}, "stop"))) == [
        "0 text",
        "0 + a",
        "0 stops",
        "end_turn",
    ]


def test_name_and_id_with_every_chunk() -> None:
    again: Document = {"id": "c", "name": "n", "type": "function"}
    assert said(told(ROLE, calls(0, "{", **again), calls(0, '"a":1', **again), calls(0, "}", **again), END)) == [
        "0 tool_use c n",
        "0 + {",
        '0 + "a":1',
        "0 + }",
        "0 stops",
        "tool_use",
    ]


def test_name_and_id_that_come_late() -> None:
    translator = MessageEvents()
    assert fed(translator, ROLE, calls(0, "{")) == []
    assert fed(translator, calls(0, '"a"', name="n")) == []
    assert fed(translator, calls(0, ":1", id="c")) == ["0 tool_use c n", '0 + {"a":1']
    assert fed(translator, calls(0, "}"), END) == ["0 + }", "0 stops"]


def test_an_id_that_never_comes_is_made_of_the_answers() -> None:
    assert said(told(ROLE, calls(0, "{}", name="n"), calls(1, "{}", id="", name="m"), END)) == [
        "0 tool_use call_1_0 n",
        "0 + {}",
        "0 stops",
        "1 tool_use call_1_1 m",
        "1 + {}",
        "1 stops",
        "tool_use",
    ]


def test_an_id_that_anthropic_would_refuse_is_spelled_so_that_it_can_come_back() -> None:
    assert said(told(ROLE, calls(0, "{}", id="functions.Read:0", name="Read"), END))[0] == (
        "0 tool_use sidecar_b64_ZnVuY3Rpb25zLlJlYWQ6MA Read"
    )


def test_another_id_at_the_same_index_is_another_call() -> None:
    assert said(told(ROLE, calls(0, "{}", id="a", name="n"), calls(0, '{"x":1}', id="b", name="n"), END)) == [
        "0 tool_use a n",
        "0 + {}",
        "0 stops",
        "1 tool_use b n",
        '1 + {"x":1}',
        "1 stops",
        "tool_use",
    ]


def test_a_server_that_numbers_nothing() -> None:
    first: Document = {"id": "a", "function": {"name": "n", "arguments": "{}"}}
    second: Document = {"id": "b", "function": {"name": "m", "arguments": "{}"}}
    assert said(told(ROLE, chunk({"tool_calls": [first]}), chunk({"tool_calls": [second]}), END))[3:] == [
        "1 tool_use b m",
        "1 + {}",
        "1 stops",
        "tool_use",
    ]


async def test_a_legacy_function_call() -> None:
    message = await as_message(
        told(
            ROLE,
            chunk({"function_call": {"name": "weather", "arguments": ""}}),
            chunk({"function_call": {"arguments": '{"city":"Oslo"}'}}),
            chunk({}, "function_call"),
        )
    )
    assert [block.to_dict() for block in message.content] == [
        {"type": "tool_use", "id": "call_1_0", "name": "weather", "input": {"city": "Oslo"}}
    ]
    assert message.stop_reason == "tool_use"


def test_blanks_behind_a_call_that_was_whole_are_nothing_and_more_is_too_much() -> None:
    translator = MessageEvents()
    fed(translator, ROLE, calls(0, "{}", id="a", name="n"), calls(1, "", id="b", name="m"))
    assert fed(translator, calls(0, "\n")) == []
    with pytest.raises(BadEvent, match="whole"):
        translator.feed(calls(0, "{}"))


def test_what_waits_has_a_limit() -> None:
    translator = MessageEvents()
    fed(translator, ROLE, calls(0, "{", id="a", name="n"), calls(1, "", id="b", name="m"))
    piece = calls(1, "\N{SNOWMAN}" * 100_000)
    for _ in range(LONGEST // 300_000):
        assert translator.feed(piece) == b""
    with pytest.raises(BadEvent, match="8388608 bytes"):
        translator.feed(piece)


def test_a_text_has_none() -> None:
    translator = MessageEvents()
    piece = chunk({"content": "a" * 1_000_000})
    for _ in range(10):
        assert translator.feed(piece)


def test_calls_that_never_end_have_one_too() -> None:
    translator = MessageEvents()
    endless = (calls(index, "{}", name="n") for index in range(LONGEST))
    with pytest.raises(BadEvent, match="bytes"):
        b"".join(map(translator.feed, endless))
