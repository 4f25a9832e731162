from __future__ import annotations

import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import AsyncOpenAI
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from sidecar.dialects.response_events import ResponseEvents
from sidecar.dialects.response_reply import to_response
from sidecar.dialects.responses_reader import ResponsesReader
from sidecar.dialects.sse import Splitter
from sidecar.dialects.stream_reader import Meaning
from sidecar.dialects.translated import BadEvent
from tests.kit.messages import anything, bent, message, messages, streamed, text, thinking, tool_use
from tests.kit.scripted import reply, scripted
from tests.kit.server_sent import told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Json = dict[str, Any]

REQUEST: Json = {"model": "gpt-x", "input": "hi"}


def spoken(events: list[Json], request: Json = REQUEST) -> bytes:
    translator = ResponseEvents(request, created=7)
    return b"".join([translator.feed(event) for event in events] + [translator.end()])


def types(stream: bytes) -> list[str]:
    return [event["type"].removeprefix("response.") for event in told(stream)]


def event(stream: bytes, name: str) -> Json:
    [found] = [event for event in told(stream) if event["type"] == f"response.{name}"]
    return found


def test_a_text_is_streamed_as_openai_streams_one() -> None:
    stream = spoken(streamed(message(text("Hello you")), size=5))
    assert types(stream) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert event(stream, "created")["response"]["status"] == "in_progress"
    assert event(stream, "output_text.done") == {
        "type": "response.output_text.done",
        "sequence_number": 6,
        "item_id": "msg_01X_0",
        "output_index": 0,
        "content_index": 0,
        "text": "Hello you",
        "logprobs": [],
    }
    assert event(stream, "completed")["response"]["output"] == [event(stream, "output_item.done")["item"]]


def test_text_and_then_two_tools() -> None:
    whole = message(text("Look:"), tool_use("look", {"at": 1}), tool_use("read", {}, "toolu_2"), stop="tool_use")
    stream = spoken(streamed(whole, size=4))
    assert types(stream)[2:] == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    calls = [event["item"] for event in told(stream) if event["type"] == "response.output_item.done"][1:]
    assert [(call["call_id"], call["name"], call["arguments"]) for call in calls] == [
        ("toolu_1", "look", '{"at":1}'),
        ("toolu_2", "read", "{}"),
    ]


def test_every_event_has_its_name_and_its_number() -> None:
    stream = spoken(streamed(message(thinking("hm"), text("a"), tool_use("look", {}))))
    names = [line[7:] for line in stream.decode().splitlines() if line.startswith("event: ")]
    assert names == [event["type"] for event in told(stream)]
    assert [event["sequence_number"] for event in told(stream)] == list(range(len(names)))


def test_the_next_number_is_known_for_an_error_that_breaks_the_stream() -> None:
    translator = ResponseEvents(REQUEST, created=7)
    assert translator.sequence == 0
    translator.feed(streamed(message())[0])
    assert translator.sequence == 2


def test_a_text_begins_with_what_its_block_starts_with() -> None:
    events = streamed(message(text("b")))
    events[2]["content_block"]["text"] = "a"
    assert event(spoken(events), "output_text.done")["text"] == "ab"


def test_arguments_may_come_whole_when_the_block_starts() -> None:
    events = streamed(message(tool_use("look", {})))
    events[2]["content_block"]["input"] = {"at": 1}
    assert event(spoken(events), "function_call_arguments.done")["arguments"] == '{"at":1}'


def test_a_refusal_is_said_behind_the_text_and_leaves_the_answer_incomplete() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "I must not."}
    stream = spoken(streamed(message(text("Well"), stop="refusal", stop_details=details)))
    assert types(stream)[-5:] == [
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
        "incomplete",
    ]
    assert event(stream, "refusal.delta")["content_index"] == 1
    assert event(stream, "incomplete")["response"]["incomplete_details"] == {"reason": "content_filter"}


def test_what_was_cut_short_is_incomplete() -> None:
    stream = spoken(streamed(message(tool_use("look", {"at": 1}), stop="max_tokens")))
    assert event(stream, "output_item.done")["item"]["status"] == "incomplete"
    assert event(stream, "incomplete")["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_a_later_message_delta_without_a_reason_takes_none_back() -> None:
    events = streamed(message(text("a"), stop="max_tokens"))
    events.insert(-1, {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 9}})
    stopped = event(spoken(events), "incomplete")["response"]
    assert (stopped["incomplete_details"], stopped["usage"]["output_tokens"]) == ({"reason": "max_output_tokens"}, 9)


def test_pings_and_unknown_events_and_deltas_say_nothing() -> None:
    events = streamed(message(text("a")))
    citation = {"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta", "citation": {}}}
    assert spoken([*events[:3], {"type": "new"}, citation, *events[3:]]) == spoken(events)


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        ([{"type": "error", "error": {"type": "overloaded_error", "message": "m"}}], "error"),
        (streamed(message())[:1] * 2, "second message_start"),
        (streamed(message(text("a")))[2:], "does not begin"),
        (streamed(message(text("a")))[:-1], "without message_stop"),
        ([*streamed(message()), {"type": "ping"}], "behind message_stop"),
        ([*streamed(message())[:1], {"type": "content_block_delta", "index": 0}], "not open"),
        (
            [
                *streamed(message(text("a")))[:3],
                {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta"}},
            ],
            "does not belong",
        ),
        (
            [
                streamed(message())[0],
                {"type": "content_block_start", "index": 0, "content_block": {"type": "server_tool_use"}},
            ],
            "server_tool_use",
        ),
        ([{"type": "message_start", "message": []}], "message"),
        ([streamed(message())[0], {"type": "content_block_start", "content_block": {"type": "text"}}], "index"),
    ],
)
def test_what_is_no_such_stream_is_told(events: list[Json], problem: str) -> None:
    with pytest.raises(BadEvent, match=problem):
        spoken(events)


# The streams as OpenAI's own client reads them.


@asynccontextmanager
async def client_of(stream: bytes) -> AsyncIterator[AsyncOpenAI]:
    """OpenAI's client before a server that answers with this stream."""
    answer = reply("200 OK", "Content-Type: text/event-stream", body=stream)
    async with scripted(answer) as server, AsyncOpenAI(base_url=f"{server.url}/v1", api_key="k") as client:
        yield client


async def test_openais_client_reads_the_events() -> None:
    stream = spoken(streamed(message(text("Hello"), tool_use("look", {"at": 1}), stop="tool_use")))
    async with client_of(stream) as client:
        events = [event async for event in await client.responses.create(model="gpt-x", input="hi", stream=True)]
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "Hello"
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == "Hello"


async def test_openais_client_puts_the_answer_together() -> None:
    whole = message(text("Hel"), text("lo"), tool_use("look", {"at": 1}), text("!"), stop="tool_use")
    stream = spoken(streamed(whole))
    async with client_of(stream) as client, client.responses.stream(model="gpt-x", input="hi") as events:
        kinds = [event.type async for event in events]
        response = await events.get_final_response()
    assert kinds[-1] == "response.completed"
    assert response.output_text == "Hello!"
    assert [item.type for item in response.output] == ["message", "function_call", "message"]
    assert response.usage is not None
    assert response.usage.total_tokens == 15


async def test_openais_client_reads_an_answer_cut_short() -> None:
    stream = spoken(streamed(message(text("Hel"), stop="max_tokens")))
    async with client_of(stream) as client, client.responses.stream(model="gpt-x", input="hi") as events:
        kinds = [event.type async for event in events]
    assert kinds[-1] == "response.incomplete"


# Any stream.

EVENTS = TypeAdapter[Any](ResponseStreamEvent)


@given(messages(), st.integers(1, 9))
def test_a_stream_ends_with_the_whole_answer(whole: Json, size: int) -> None:
    stream = spoken(streamed(whole, size=size))
    last = told(stream)[-1]["response"]
    due = to_response(whole, REQUEST, created=7)
    for response in (last, due):
        for item in response["output"]:
            if item["type"] == "function_call":
                item["arguments"] = json.loads(item["arguments"])
    assert last == due


@given(messages(), st.integers(1, 9))
def test_the_pieces_make_up_what_is_done(whole: Json, size: int) -> None:
    """Items and parts are begun once and done once, the deltas between are their text, and OpenAI knows each event."""
    pieces: dict[tuple[int, int], str] = {}
    items: list[Json] = []
    for told_event in told(spoken(streamed(whole, size=size))):
        EVENTS.validate_python(told_event)
        kind = told_event["type"]
        place = (told_event.get("output_index", 0), told_event.get("content_index", 0))
        if kind == "response.output_item.added":
            assert place[0] == len(items)
        elif kind.endswith(".delta"):
            pieces[place] = pieces.get(place, "") + told_event["delta"]
        elif kind in ("response.output_text.done", "response.refusal.done", "response.function_call_arguments.done"):
            done = told_event.get("text", told_event.get("refusal", told_event.get("arguments")))
            assert pieces.get(place, "") == done
        elif kind == "response.output_item.done":
            items.append(told_event["item"])
        elif kind in ("response.completed", "response.incomplete"):
            assert told_event["response"]["output"] == items


@given(messages())
def test_our_own_reader_finds_the_stream_whole(whole: Json) -> None:
    reader = ResponsesReader()
    meanings = [reader.read(event) for event in Splitter().feed(spoken(streamed(whole)))]
    assert meanings[-1] is Meaning.END
    assert Meaning.UNKNOWN not in meanings
    assert (reader.finished, reader.done, reader.model) == (True, True, "claude-x")


STREAM = streamed(message(text("a"), tool_use("look", {"at": 1}), thinking("b"), stop="refusal"))


@given(st.lists(bent(*STREAM), max_size=4), st.integers(0, len(STREAM)))
def test_any_event_is_translated_or_refused(events: list[Json], behind: int) -> None:
    with suppress(BadEvent):
        spoken([*STREAM[:behind], *events, *STREAM[behind:]])


@given(st.lists(st.dictionaries(st.sampled_from(["type", "index", "delta", "message"]), anything)))
def test_any_json_is_translated_or_refused(events: list[Json]) -> None:
    with suppress(BadEvent):
        spoken(events)
