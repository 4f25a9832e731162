"""`on_break = "continue"`: a later target goes on inside the text, and the caller sees one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.llm import Dialect, LlmOptions
from tests.kit.llm_events import block, calls, said, unnamed
from tests.kit.providers import (
    CUT,
    DONE,
    ENDS,
    ROLE,
    STARTS,
    STOP,
    STOPS,
    LlmStage,
    answers,
    completion,
    event,
    fails,
    streams,
    text,
    used,
    word,
)
from tests.kit.stage import slots
from tests.kit.virtual_loop import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.kit.stage import Answer

pytestmark = pytest.mark.virtual_time

ANTHROPIC = Dialect.ANTHROPIC
GO_ON = LlmOptions(on_break="continue")
OVERLOADED = event({"error": {"message": "busy", "type": "server_error", "code": "server_is_overloaded"}})
USAGE: dict[str, Any] = {"stream_options": {"include_usage": True}}


@pytest.fixture
async def stage() -> AsyncIterator[LlmStage]:
    made = LlmStage()
    yield made
    made.everything_is_given_back()


def content(answer: Answer) -> str:
    """The text that an OpenAI client has in the end."""
    told = unnamed(answer.body)
    assert told[-1] == "[DONE]", answer.body
    same = [(chunk["id"], chunk["model"], chunk["created"]) for chunk in told[:-1]]
    assert len(set(same)) == 1
    choices = [chunk["choices"][0] for chunk in told[:-1] if chunk["choices"]]
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["stop"]
    assert [choice["delta"].get("role") for choice in choices].count("assistant") == 1
    return "".join(choice["delta"].get("content") or "" for choice in choices)


async def test_another_target_goes_on_behind_what_the_caller_has_got(stage: LlmStage) -> None:
    a = stage.model("a", streams(ROLE, text("Hel"), CUT), model="big", breaker={"failure_threshold": 2})
    b = stage.model("b", streams(ROLE, text("lo"), STOP, DONE), model="small", prefill=True)
    stage.llm(a, b, options=GO_ON)
    answer = await stage.ask(stream=True)
    assert (content(answer), answer.broke) == ("Hello", False)
    (document,) = stage.providers["b"].documents
    assert document["messages"][-1] == {"role": "assistant", "content": "Hel"}
    assert (document["model"], document["continue_final_message"]) == ("small", True)
    assert (
        stage.lines
        == [
            "0 > a",
            "0 a streamed {'quiet': 1, 'content': 1}",
            "0 a wasted 0+1",
            "0 a: broke",
            "0 a -> b: broke",
            "0 > b",
            "0 b streamed {'quiet': 1, 'content': 2, 'end': 1}",
            "0 b spent 0+2",
            "0 b: ok",
            "0 r = ok 200",
        ]
        or stage.lines[-1] == "0 r = ok 200"
    )
    assert a.service.breaker is not None
    assert a.service.breaker.snapshot()["failure_count"] == 1


@pytest.mark.parametrize("how", [CUT, OVERLOADED, b"", None, DONE], ids=["reset", "error", "end", "silence", "done"])
async def test_however_it_broke(stage: LlmStage, how: Any) -> None:
    go_on = streams(ROLE, text("lo"), STOP, DONE)
    stage.llm(stage.model("a", streams(ROLE, text("Hel"), how)), stage.model("b", go_on, prefill=True), options=GO_ON)
    assert content(await stage.ask(stream=True)) == "Hello"


async def test_several_breaks_and_usage_of_all(stage: LlmStage) -> None:
    stage.llm(
        stage.model("a", streams(ROLE, text("One"), CUT)),
        stage.model("b", streams(ROLE, text(" two"), used(4, 1), CUT), prefill=True),
        stage.model("c", streams(ROLE, text(" three"), STOP, used(5, 2), DONE), prefill=True),
        options=GO_ON,
    )
    answer = await stage.ask(stream=True, **USAGE)
    assert content(answer) == "One two three"
    usage = [chunk["usage"] for chunk in unnamed(answer.body)[:-1] if chunk.get("usage")][-1]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (9, 3)
    assert [document["messages"][-1]["content"] for name in "bc" for document in stage.providers[name].documents] == [
        "One",
        "One two",
    ]
    assert answer.call.llm is not None
    assert answer.call.llm.usage is not None
    assert (answer.call.llm.usage.input, answer.call.llm.usage.output) == (9, 3)
    assert [line[2:] for line in stage.transcript.of("wasted", "spent")] == [
        "a wasted 0+1",
        "b wasted 4+1",
        "c spent 5+2",
    ]


async def test_a_target_of_the_other_dialect_goes_on_too(stage: LlmStage) -> None:
    stage.llm(
        stage.model("a", streams(STARTS, word("Hel"), CUT), dialect=ANTHROPIC),
        stage.model("b", streams(ROLE, text("lo "), CUT), prefill=True),
        stage.model("c", streams(STARTS, word("you"), STOPS, ENDS), dialect=ANTHROPIC, prefill=True),
        options=GO_ON,
    )
    assert content(await stage.ask(stream=True)) == "Hello you"
    (document,) = stage.providers["c"].documents
    assert document["messages"][-1] == {"role": "assistant", "content": "Hello"}
    assert "continue_final_message" not in document


async def test_anthropics_caller_sees_one_message(stage: LlmStage) -> None:
    stage.llm(
        stage.model("a", streams(STARTS, word("Hel"), CUT), dialect=ANTHROPIC),
        stage.model("b", streams(ROLE, text("lo"), STOP, DONE), prefill=True),
        options=GO_ON,
    )
    answer = await stage.ask(path=b"/v1/messages", stream=True, max_tokens=9)
    assert said(answer.body) == ["0 text", "0 + Hel", "0 + lo", "0 stops", "end_turn"]
    assert stage.providers["b"].documents[0]["continue_final_message"] is True


async def test_a_caller_s_own_prefill_is_the_beginning_of_it(stage: LlmStage) -> None:
    go_on = streams(STARTS, word("c"), STOPS, ENDS)
    for content_, sent in (
        ("a", "ab"),
        ([{"type": "text", "text": "a"}], [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
    ):
        stage.llm(
            stage.model("a", streams(STARTS, word("b"), CUT), dialect=ANTHROPIC),
            stage.model("b", go_on, dialect=ANTHROPIC, prefill=True),
            options=GO_ON,
        )
        prefilled = [{"role": "user", "content": "?"}, {"role": "assistant", "content": content_}]
        document = {"model": "m", "max_tokens": 9, "stream": True, "messages": prefilled}
        answer = await stage.ask(document, path=b"/v1/messages")
        assert said(answer.body)[1:3] == ["0 + b", "0 + c"]
        assert stage.providers["b"].documents[0]["messages"][-1] == {"role": "assistant", "content": sent}


async def test_a_text_that_has_just_begun_is_begun_anew(stage: LlmStage) -> None:
    """There is nothing to go on behind: the next target gets the question as it stood."""
    stage.llm(
        stage.model("a", streams(STARTS, CUT), dialect=ANTHROPIC),
        stage.model("b", streams(STARTS, word("Hello"), CUT), dialect=ANTHROPIC, prefill=True),
        stage.model("c", streams(STARTS, word(" you"), STOPS, ENDS), dialect=ANTHROPIC, prefill=True),
        options=GO_ON,
    )
    answer = await stage.ask(path=b"/v1/messages", stream=True, max_tokens=9)
    assert said(answer.body) == ["0 text", "0 + Hello", "0 +  you", "0 stops", "end_turn"]
    assert [len(stage.providers[name].documents[0]["messages"]) for name in "bc"] == [1, 2]


async def test_an_event_that_came_whole_but_for_its_blank_line_is_not_lost(stage: LlmStage) -> None:
    stage.llm(
        stage.model("a", streams(ROLE, text("Hel") + text("lo").rstrip(), CUT)),
        stage.model("b", streams(ROLE, text(" you"), STOP, DONE), prefill=True),
        options=GO_ON,
    )
    assert content(await stage.ask(stream=True)) == "Hello you"
    assert stage.providers["b"].documents[0]["messages"][-1]["content"] == "Hello"


@pytest.mark.parametrize(
    "begun",
    [
        text("Hm") + event(calls(0, '{"a"', id="c1", name="look")),
        event({"choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]}) + text("so"),
        text("a") + event({"choices": [{"index": 1, "delta": {"content": "b"}}]}),
    ],
    ids=["tool call", "thinking", "two choices"],
)
async def test_only_a_text_is_gone_on_with(stage: LlmStage, begun: bytes) -> None:
    stage.llm(stage.model("a", streams(ROLE, begun, CUT)), stage.model("b", prefill=True), options=GO_ON)
    answer = await stage.ask(stream=True)
    assert (answer.broke, stage.providers["b"].calls) == (True, [])
    assert b"[DONE]" not in answer.body


async def test_a_block_of_anthropics_that_has_stopped_is_no_text_to_go_on_with(stage: LlmStage) -> None:
    tool = event(block(1, "tool_use", id="t", name="look", input={}), "content_block_start")
    for begun in (STOPS[: STOPS.index(b"event: message_delta")], tool):
        stage.llm(
            stage.model("a", streams(STARTS, word("Hi"), begun, CUT), dialect=ANTHROPIC),
            stage.model("b", prefill=True),
            options=GO_ON,
        )
        answer = await stage.ask(path=b"/v1/messages", stream=True, max_tokens=9)
        assert (answer.broke, stage.providers["b"].calls) == (True, [])


async def test_without_a_target_that_can_it_is_an_error_as_ever(stage: LlmStage) -> None:
    stage.llm(stage.model("a", streams(ROLE, text("Hel"), CUT)), stage.model("b"), stage.static(), options=GO_ON)
    answer = await stage.ask(stream=True)
    assert (answer.broke, answer.call.upstream, stage.providers["b"].calls) == (True, "a", [])
    assert b"the connection was reset" in answer.body
    assert stage.transcript.of("a:", "=") == ["0 a: broke", "0 r = broke 200"]


@pytest.mark.parametrize("caller", [{"fallback": False}, {}])
async def test_nor_where_the_caller_or_the_route_does_not_want_it(stage: LlmStage, caller: dict[str, bool]) -> None:
    b = stage.model("b", prefill=True, max_attempts=1)
    stage.llm(stage.model("a", streams(ROLE, text("Hel"), CUT), max_attempts=1), b, options=GO_ON)
    assert (await stage.ask(stream=True, **caller)).broke
    assert stage.providers["b"].calls == []
    stage.llm(stage.model("a", streams(ROLE, text("Hel"), CUT)), stage.model("b", prefill=True))
    assert (await stage.ask(stream=True)).broke
    assert stage.providers["b"].calls == []


async def test_if_all_later_targets_fail_the_first_cause_is_told(stage: LlmStage) -> None:
    room = slots(1)
    stage.llm(
        stage.model("a", streams(ROLE, text("Hel"), OVERLOADED), concurrency=room),
        stage.model("b", fails(), tries=1, prefill=True, concurrency=room),
        stage.model("c", answers({"error": {"message": "no"}}, 400), prefill=True, concurrency=room),
        stage.model("d", streams(ROLE, OVERLOADED), tries=1, prefill=True, concurrency=room),
        stage.model("e", answers(completion("whole")), prefill=True, tries=1, concurrency=room),
        options=GO_ON,
    )
    answer = await stage.ask(stream=True)
    assert answer.broke
    assert answer.body.startswith(ROLE + text("Hel"))
    assert answer.body.endswith(OVERLOADED)
    assert (answer.call.upstream, stage.summary.outcome) == ("a", "broke")
    assert stage.transcript.of("->") == [
        "0 a -> b: broke",
        "0 b -> c: reset",
        "0 c -> d: client_error",
        "0 d -> e: server_error",
    ]


async def test_of_several_causes_the_first_is_told(stage: LlmStage) -> None:
    stage.llm(
        stage.model("a", streams(ROLE, text("Hel"), CUT)),
        stage.model("b", streams(ROLE, text("lo"), OVERLOADED), prefill=True),
        options=GO_ON,
    )
    answer = await stage.ask(stream=True)
    assert (answer.broke, b"Hel" in answer.body, b"lo" in answer.body) == (True, True, True)
    assert b"the connection was reset" in answer.body
    assert OVERLOADED not in answer.body


async def test_a_continuation_that_rests_or_waits_is_skipped_or_waited_for(stage: LlmStage) -> None:
    b = stage.model("b", prefill=True)
    b.rest.rest(stage.clock() + 99, "throttled")
    limited = answers({"error": {"message": "slow down"}}, 429, wait=2.0)
    c = stage.model("c", limited, streams(ROLE, text("lo"), STOP, DONE), prefill=True)
    stage.llm(stage.model("a", streams(ROLE, text("Hel"), CUT)), b, c, options=GO_ON)
    answer = await stage.ask(stream=True)
    assert (content(answer), stage.now, stage.summary.ttfb) == ("Hello", 2.0, 0.0)
    assert stage.providers["b"].calls == []


async def test_whoever_does_not_answer_in_time_is_no_continuation(stage: LlmStage) -> None:
    stage.llm(
        stage.model("a", streams(ROLE, text("Hel"), CUT)),
        stage.model("b", streams(ROLE, None), prefill=True, tries=1, first_token=60),
        stage.model("c", streams(ROLE, text("lo"), STOP, DONE), prefill=True),
        options=GO_ON,
        deadline=600,
    )
    answer = await stage.ask(stream=True)
    assert (content(answer), stage.now) == ("Hello", 60.0)


async def test_a_caller_that_leaves_while_the_next_one_is_asked(stage: LlmStage) -> None:
    rooms = slots(1), slots(1)
    for hanging in (streams(None), fails(after=50), streams(ROLE, text("lo"), None)):
        stage.llm(
            stage.model("a", streams(ROLE, text("Hel"), CUT), concurrency=rooms[0]),
            stage.model("b", hanging, prefill=True, concurrency=rooms[1]),
            options=GO_ON,
        )
        asking = stage.asking(stream=True)
        await stage.until(stage.now + 5)
        assert [room.inflight for room in rooms] == [0, 1]
        await stage.leave(asking)
        stage.everything_is_given_back()
        assert stage.summary.outcome == "caller_left"


@given(
    st.lists(st.sampled_from(["The", "quick", "brown\n\nfox", "—", "dog.", " ", "\n", "  "]), min_size=1, max_size=12),
    st.lists(st.tuples(st.sampled_from(Dialect), st.integers(0, 2500)), max_size=3),
    st.sampled_from(Dialect),
)
def test_wherever_it_breaks_nothing_is_lost_or_repeated(
    pieces: list[str], cuts: list[tuple[Dialect, int]], last: Dialect
) -> None:
    """The providers are honest: each says what comes behind the text that it was sent, blanks included."""
    whole = "".join(pieces)

    async def play() -> Answer:
        stage = LlmStage()
        links = [*cuts, (last, None)]
        targets = [
            stage.model(f"t{number}", dialect=dialect, prefill=True, tries=1, max_attempts=9)
            for number, (dialect, _) in enumerate(links)
        ]
        for target, (dialect, cut) in zip(targets, links, strict=True):
            _honest(stage, target.name, dialect, whole, cut)
        stage.llm(*targets, options=GO_ON)
        answer = await stage.ask(stream=True)
        stage.everything_is_given_back()
        return answer

    answer = run(play())
    if not answer.broke:
        assert content(answer) == whole
        return
    told = [chunk["choices"][0]["delta"].get("content") or "" for chunk in unnamed(answer.body)[:-1]]
    assert "".join(told) == whole, "only behind the end of the text nobody could go on"


def _honest(stage: LlmStage, name: str, dialect: Dialect, whole: str, cut: int | None) -> None:
    provider = stage.providers[name]
    plain = provider.send

    async def send(call: Any, attempt: Any) -> Any:
        messages = orjson.loads(call.body.whole)["messages"]
        before = messages[-1]["content"] if messages[-1]["role"] == "assistant" else ""
        assert whole.startswith(before)
        left = [whole[at : at + 3] for at in range(len(before), len(whole), 3)]
        if dialect is ANTHROPIC:
            body = STARTS + b"".join(map(word, left)) + STOPS + ENDS
        else:
            body = ROLE + b"".join(map(text, left)) + STOP + DONE
        provider.script[:] = [streams(body)] if cut is None else [streams(body[:cut], CUT)]
        return await plain(call, attempt)

    provider.send = send  # type: ignore[method-assign]  # the answer depends on the question
