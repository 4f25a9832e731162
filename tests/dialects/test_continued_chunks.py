"""OpenAI's streams that go on in another: what the caller's client makes of both."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.continued import Continued
from sidecar.dialects.sse_writing import data_event
from sidecar.dialects.translated import BadEvent
from sidecar.llm import Kind, Usage
from tests.kit.llm_events import calls, chunk, damaged, documents, unnamed
from tests.kit.played import as_chunks, as_completion, as_texts

if TYPE_CHECKING:
    from sidecar.llm import Document


def first(delta: Document | None = None, finish_reason: str | None = None, **fields: object) -> Document:
    return chunk(delta, finish_reason, **{"id": "chatcmpl-first", "created": 1, "model": "first", **fields})


FIRST = [first({"role": "assistant", "content": ""}), first({"content": "One, "})]
SECOND = [chunk({"role": "assistant", "content": ""}), chunk({"content": " two"}), chunk({}, "stop")]


def going_on(*streams: list[Document], kind: Kind = Kind.CHAT) -> bytes:
    """All that the caller gets; each stream but the last breaks behind "One, "."""
    continued = Continued(kind)
    out, read = b"", ""
    for number, stream in enumerate(streams):
        if number:
            read += "One, "
            continued.prefix(read)
        for event in stream:
            if number:
                out += continued.feed(event)
            else:
                continued.first(event)
                out += data_event(event)
    return out + continued.end()


def test_byte_for_byte() -> None:
    continued = Continued(Kind.CHAT)
    for event in FIRST:
        continued.first(event)
    assert continued.prefix("One, ") == "One,"
    role, text, finish = SECOND
    assert continued.feed(role) == b""
    assert continued.feed(text) == (
        b'data: {"id":"chatcmpl-first","object":"chat.completion.chunk","created":1,"model":"first",'
        b'"choices":[{"index":0,"delta":{"content":"two"},"finish_reason":null}]}\n\n'
    )
    assert continued.feed(finish) == (
        b'data: {"id":"chatcmpl-first","object":"chat.completion.chunk","created":1,"model":"first",'
        b'"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    )
    assert continued.end() == b"data: [DONE]\n\n"


async def test_the_caller_sees_one_answer_of_one_model() -> None:
    chunks = await as_chunks(going_on(FIRST, SECOND))
    assert {(chunk.id, chunk.model, chunk.created) for chunk in chunks} == {("chatcmpl-first", "first", 1)}
    assert [chunk.choices[0].delta.role for chunk in chunks] == ["assistant", None, None, None]
    completion = await as_completion(going_on(FIRST, SECOND))
    assert completion.choices[0].message.content == "One, two"
    assert completion.choices[0].finish_reason == "stop"


def test_who_answers_is_read_where_there_is_a_choice() -> None:
    azure = {"id": "", "model": "", "created": 0, "choices": [], "prompt_filter_results": []}
    assert unnamed(going_on([azure, *FIRST], SECOND))[-2]["id"] == "chatcmpl-first"


def test_a_tool_call_behind_the_text_is_passed_on() -> None:
    *_, call, finish, done = unnamed(going_on(FIRST, [calls(0, "{}", id="c", name="n"), chunk({}, "tool_calls")]))
    assert call["choices"][0]["delta"]["tool_calls"][0]["id"] == "c"
    assert finish["choices"][0]["finish_reason"] == "tool_calls"
    assert done == "[DONE]"


def usage(prompt: int, output: int, **more: Any) -> Document:
    return {"usage": {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output, **more}}


def last_usage(*streams: list[Document]) -> Document:
    told = unnamed(going_on(*streams))[-2]
    assert told["choices"] == []
    usage_: Document = told["usage"]
    return usage_


def test_usage_that_only_the_provider_of_the_first_stream_had_told() -> None:
    continued = Continued(Kind.CHAT)
    for event in FIRST:
        continued.first(event)
    continued.prefix("One, ", Usage(input=10, output=2, cached=4))
    told = continued.feed(chunk(**usage(12, 3)))
    told_usage = orjson.loads(told.removeprefix(b"data: "))["usage"]
    assert (told_usage["prompt_tokens"], told_usage["completion_tokens"], told_usage["total_tokens"]) == (22, 5, 27)
    assert told_usage["prompt_tokens_details"]["cached_tokens"] == 4


def test_usage_is_that_of_both() -> None:
    before = [*FIRST[:1], first({"content": "One, "}, **usage(100, 2))]
    cached = usage(
        103, 5, prompt_tokens_details={"cached_tokens": 64}, completion_tokens_details={"reasoning_tokens": 3}
    )
    assert last_usage(before, [*SECOND, chunk(**cached)]) == {
        "prompt_tokens": 203,
        "completion_tokens": 7,
        "total_tokens": 210,
        "prompt_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }


def test_and_of_all_three() -> None:
    before = [*FIRST[:1], first({"content": "One, "}, **usage(100, 2))]
    between = [chunk({"content": "One, "}, **usage(103, 3))]
    after = [*SECOND, chunk(**usage(106, 4))]
    assert last_usage(before, between, after)["total_tokens"] == 100 + 2 + 103 + 3 + 106 + 4


def test_usage_that_the_first_never_told_is_that_of_the_second() -> None:
    assert last_usage(FIRST, [*SECOND, chunk(**usage(103, 5))])["total_tokens"] == 108


def test_usage_with_each_chunk_goes_on_from_that_of_the_first() -> None:
    before = [first({"role": "assistant", "content": "One, "}, **usage(100, 2))]
    after = [
        chunk({"role": "assistant", "content": ""}, **usage(103, 0)),
        chunk({"content": "two"}, **usage(103, 1)),
        chunk({}, "stop", **usage(103, 1)),
    ]
    assert [told["usage"]["completion_tokens"] for told in unnamed(going_on(before, after))[1:-1]] == [3, 3]


def test_usage_that_is_null_stays_so() -> None:
    assert unnamed(going_on(FIRST, [chunk({"content": "two"}, usage=None)]))[-2]["usage"] is None


async def test_a_legacy_completion() -> None:
    def text(said: str, finish_reason: str | None = None, *, model: str) -> Document:
        choice = {"index": 0, "text": said, "logprobs": None, "finish_reason": finish_reason}
        return {"id": f"cmpl-{model}", "object": "text_completion", "created": 1, "model": model, "choices": [choice]}

    streams = [text("One, ", model="a")], [text(" ", model="b"), text("two", model="b"), text("", "stop", model="b")]
    chunks = await as_texts(going_on(*streams, kind=Kind.COMPLETIONS))
    assert [(chunk.id, chunk.choices[0].text, chunk.choices[0].finish_reason) for chunk in chunks] == [
        ("cmpl-a", "One, ", None),
        ("cmpl-a", "two", None),
        ("cmpl-a", "", "stop"),
    ]


@pytest.mark.parametrize("choices", [7, {"a": 1}, [7], [{"delta": 7}]])
def test_what_has_no_place_in_a_stream(choices: Any) -> None:
    continued = Continued(Kind.CHAT)
    continued.prefix("")
    with pytest.raises(BadEvent):
        continued.feed({"choices": choices})


STREAM = [*FIRST, calls(0, "{}", id="c", name="n"), chunk({}, "stop", **usage(103, 5)), chunk(**usage(103, 5))]


@given(
    st.sampled_from([Kind.CHAT, Kind.COMPLETIONS]),
    st.lists(documents, max_size=3) | damaged(STREAM),
    st.lists(documents, max_size=3) | damaged(STREAM),
)
def test_anything_goes_on_or_is_refused(kind: Kind, before: list[Document], behind: list[Document]) -> None:
    continued = Continued(kind)
    for event in before:
        continued.first(event)
    continued.prefix("One, ")
    with contextlib.suppress(BadEvent):
        unnamed(b"".join(map(continued.feed, behind)))
