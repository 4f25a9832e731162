"""There and back: what two translations leave of a request, an answer and a stream; and that a stream, put together,
is the answer that would have come whole.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.chat_events import ChatEvents
from sidecar.dialects.chat_reply import to_completion
from sidecar.dialects.chat_to_messages import chat_to_messages
from sidecar.dialects.message_events import MessageEvents
from sidecar.dialects.message_reply import to_message
from sidecar.dialects.messages_to_chat import messages_to_chat
from sidecar.dialects.response_events import ResponseEvents
from sidecar.dialects.response_reply import to_response
from tests.kit.assembled import as_completion, as_message, as_response, chunks_of
from tests.kit.llm_events import named, unnamed
from tests.kit.messages import message, messages, streamed, text, tool_use
from tests.kit.played import as_completion as as_openai_reads_it
from tests.kit.played import as_message as as_anthropic_reads_it

if TYPE_CHECKING:
    from sidecar.llm import Document

WORDS = st.text(min_size=1, max_size=12)
INPUTS = st.dictionaries(
    WORDS,
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | WORDS | st.lists(WORDS, max_size=3),
    max_size=3,
)
NAMES = st.sampled_from(["look", "read"])
TOKENS = st.integers(0, 10**6)
CALL_IDS = WORDS | st.sampled_from(["toolu_1", "call_1", "functions.Read:0", "sidecar_b64_Zg", "sidecar_b64_YTow"])
CREATED = 1_700_000_000


@st.composite
def answers(draw: st.DrawFn) -> Document:
    """Anthropic's answers with nothing in them that a completion has no place for."""
    said = draw(st.lists(WORDS.map(text), max_size=1))
    ids = draw(st.lists(st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True), max_size=3, unique=True))
    used = [tool_use(draw(NAMES), draw(INPUTS), call_id) for call_id in ids]
    stop = draw(st.sampled_from(["max_tokens", "tool_use"] if used else ["end_turn", "max_tokens", "refusal"]))
    explanation = draw(st.none() | WORDS) if stop == "refusal" else None
    usage: Document = {
        "input_tokens": draw(TOKENS),
        "cache_creation_input_tokens": draw(TOKENS),
        "cache_read_input_tokens": draw(TOKENS),
        "output_tokens": 1 + draw(TOKENS),  # a stream has one at its start
    }
    if draw(st.booleans()):
        usage["output_tokens_details"] = {"thinking_tokens": draw(TOKENS)}
    details = {"type": "refusal", "category": None, "explanation": explanation} if explanation else None
    told = message(*said, *used, stop=stop, stop_details=details, usage=usage)
    return {**told, "id": f"msg_{draw(st.from_regex(r'[a-zA-Z0-9]{1,8}', fullmatch=True))}", "model": draw(WORDS)}


@st.composite
def completions(draw: st.DrawFn) -> Document:
    """OpenAI's answers with nothing in them that a message has no place for."""
    ids = draw(st.lists(CALL_IDS, max_size=3, unique=True))
    calls = [
        {"id": one, "type": "function", "function": {"name": draw(NAMES), "arguments": compact(draw(INPUTS))}}
        for one in ids
    ]
    refusal = None if calls else draw(st.none() | WORDS)
    said: Document = {"role": "assistant", "content": draw(WORDS | st.none()), "refusal": refusal}
    if calls:
        said["tool_calls"] = calls
    elif said["content"] is None and refusal is None:
        said["content"] = ""
    reason = "content_filter" if refusal else draw(st.sampled_from(["tool_calls"] if calls else ["stop", "length"]))
    read, written, fresh, output = (draw(TOKENS) for _ in range(4))
    prompt = read + written + fresh
    return {
        "id": f"chatcmpl-{draw(st.from_regex(r'[a-zA-Z0-9]{1,8}', fullmatch=True))}",
        "object": "chat.completion",
        "created": CREATED,
        "model": draw(WORDS),
        "choices": [{"index": 0, "message": said, "logprobs": None, "finish_reason": reason}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
        },
    }


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def chat_stream(events: list[Document]) -> bytes:
    translator = ChatEvents(created=CREATED, usage_asked=True)
    return b"".join(map(translator.feed, events)) + translator.end()


def message_stream(chunks: list[Document]) -> bytes:
    translator = MessageEvents()
    return b"".join(map(translator.feed, chunks)) + translator.end()


# Answers.


@given(answers())
def test_a_message_outlives_its_way_through_a_completion(answer: Document) -> None:
    before = copy.deepcopy(answer)
    assert to_message(to_completion(answer, created=CREATED)) == before
    assert answer == before


@given(completions())
def test_a_completion_outlives_its_way_through_a_message(answer: Document) -> None:
    before = copy.deepcopy(answer)
    assert to_completion(to_message(answer), created=CREATED) == before
    assert answer == before


@given(messages())
def test_what_a_completion_leaves_of_any_message_is_left_for_good(answer: Document) -> None:
    completion = to_completion(answer, created=CREATED)
    assert to_completion(to_message(completion), created=CREATED) == completion


# Streams.


@given(messages(), st.integers(1, 5))
def test_the_chunks_of_a_message_are_its_completion(answer: Document, size: int) -> None:
    told = as_completion(unnamed(chat_stream(streamed(answer, size=size))))
    assert told == to_completion(answer, created=CREATED)


@given(completions(), st.integers(1, 5))
def test_the_events_of_a_completion_are_its_message(answer: Document, size: int) -> None:
    told = as_message(named(message_stream(chunks_of(answer, size=size))))
    assert told == to_message(answer)


@given(messages(), st.integers(1, 5))
def test_the_events_of_a_response_are_the_response(answer: Document, size: int) -> None:
    request = {"model": "smart", "input": "?"}
    translator = ResponseEvents(request, created=CREATED)
    told = b"".join(map(translator.feed, streamed(answer, size=size))) + translator.end()
    assert as_response(named(told)) == to_response(answer, request, created=CREATED)


@given(answers(), st.integers(1, 5))
def test_a_stream_outlives_both_translators(answer: Document, size: int) -> None:
    *chunks, done = unnamed(chat_stream(streamed(answer, size=size)))
    assert done == "[DONE]"
    assert as_message(named(message_stream(chunks))) == answer


@given(completions(), st.integers(1, 5))
def test_a_stream_of_chunks_outlives_both_translators(answer: Document, size: int) -> None:
    events = [event for _, event in named(message_stream(chunks_of(answer, size=size)))]
    assert as_completion(unnamed(chat_stream(events))) == answer


EXAMPLE = message(
    text("Reading both: 😀."),
    tool_use("read", {"path": "ä"}, "toolu_1"),
    tool_use("look", {}, "toolu_2"),
    stop="tool_use",
    usage={"input_tokens": 10, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 3, "output_tokens": 5},
)


async def test_openais_sdk_puts_the_same_completion_together() -> None:
    read = await as_openai_reads_it(chat_stream(streamed(EXAMPLE, size=3)))
    whole = to_completion(EXAMPLE, created=CREATED)
    assert read.usage is not None
    assert read.usage.model_dump(exclude_none=True) == whole["usage"]
    assert read.choices[0].finish_reason == whole["choices"][0]["finish_reason"]
    told = read.choices[0].message.model_dump(include={"content", "refusal", "tool_calls"})
    for call in told["tool_calls"]:
        call["function"].pop("parsed_arguments", None)
        call.pop("index", None)
    assert told == {name: whole["choices"][0]["message"][name] for name in told}


async def test_anthropics_sdk_puts_the_same_message_together() -> None:
    completion = to_completion(EXAMPLE, created=CREATED)
    read = await as_anthropic_reads_it(message_stream(chunks_of(completion, size=3)))
    whole = to_message(completion)
    assert read.model_dump(include={"id", "model", "stop_reason"}) == {
        name: whole[name] for name in ("id", "model", "stop_reason")
    }
    assert [
        block.model_dump(include=set(said)) for block, said in zip(read.content, whole["content"], strict=True)
    ] == (whole["content"])
    assert read.usage.model_dump(include=set(whole["usage"])) == whole["usage"]


# Requests.


@st.composite
def conversations(draw: st.DrawFn) -> Document:
    """Requests for messages with nothing in them that a chat has no place for."""
    turns: list[Document] = [{"role": "user", "content": draw(WORDS.filter(str.strip))}]
    for number in range(draw(st.integers(0, 2))):
        known = f"toolu_{number}"
        said = [text(draw(WORDS.filter(str.strip))), tool_use(draw(NAMES), draw(INPUTS), known)]
        result = {"type": "tool_result", "tool_use_id": known, "content": draw(WORDS.filter(str.strip))}
        turns += [{"role": "assistant", "content": said}, {"role": "user", "content": [result]}]
    tools = [
        {"name": name, "description": draw(WORDS), "input_schema": {"type": "object", "properties": {"a": {}}}}
        for name in ("look", "read")
    ]
    choice: Document = draw(
        st.sampled_from([{"type": "auto"}, {"type": "any"}, {"type": "none"}, {"type": "tool", "name": "read"}])
    )
    if choice["type"] != "none" and draw(st.booleans()):
        choice = {**choice, "disable_parallel_tool_use": True}
    asked: Document = {
        "messages": turns,
        "max_tokens": draw(st.integers(1, 9000)),
        "tools": tools,
        "tool_choice": choice,
    }
    optional: dict[str, st.SearchStrategy[Any]] = {
        "system": WORDS.filter(str.strip),
        "temperature": st.floats(0, 1),
        "top_p": st.floats(0, 1),
        "stop_sequences": st.lists(WORDS.filter(str.strip), min_size=1, max_size=4),
        "metadata": st.fixed_dictionaries({"user_id": WORDS}),
        "stream": st.booleans(),
    }
    return {**asked, **draw(st.fixed_dictionaries({}, optional=optional))}


@given(conversations(), st.booleans())
def test_a_request_for_messages_outlives_its_way_through_a_chat(asked: Document, compatible: bool) -> None:
    before = copy.deepcopy(asked)
    chat = messages_to_chat(asked, compatible=compatible)
    again = chat_to_messages(chat.document)
    assert (chat.dropped, again.dropped) == ((), ())
    assert again.document == before
    assert asked == before
