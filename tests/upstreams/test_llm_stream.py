"""How streams of LLMs end, well and badly, and what their callers have got by then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from sidecar.call import Facts, Reply, What
from sidecar.dialects.openai_reader import OpenAIReader
from sidecar.dialects.translated import BadEvent
from sidecar.errors import UpstreamError
from sidecar.llm import Ask, Dialect, Kind, LlmOptions
from sidecar.upstreams.llm_stream import LONGEST_EVENT, LONGEST_WAIT, LlmStream
from tests.kit.gateway import OneAttempt
from tests.kit.llm_events import block, calls, chunk, start, unnamed
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
    streams,
    text,
    used,
    word,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.kit.providers import Piece
    from tests.kit.stage import Answer

pytestmark = pytest.mark.virtual_time

ANTHROPIC = Dialect.ANTHROPIC
PINGS: list[Piece] = [b": ping\n\n", 0.2] * 400
WELL = ROLE + text("Hel") + text("lo") + STOP + DONE
OVERLOADED = event({"error": {"message": "busy", "type": "server_error", "code": "server_is_overloaded"}})
ERRED = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'


@pytest.fixture
async def stage() -> AsyncIterator[LlmStage]:
    made = LlmStage()
    yield made
    made.everything_is_given_back()


async def alone(stage: LlmStage, *pieces: Piece, dialect: Dialect = Dialect.OPENAI, **told: Any) -> Answer:
    """What the caller gets of this stream, if there is no other target."""
    stage.llm(stage.model("a", streams(*pieces), dialect=dialect, tries=1))
    return await stage.ask(stream=True, **told)


def error_in(body: bytes) -> dict[str, Any]:
    """The error that the last event of a stream tells."""
    found: dict[str, Any] = orjson.loads(body.split(b"data: ")[-1])["error"]
    return found


async def test_a_stream_goes_on_byte_for_byte_comments_line_ends_and_all(stage: LlmStage) -> None:
    odd = b": hi\r\n\r\nevent: x\r\ndata:{}\r\n\r\n" + ROLE + text("Hi") + b'data: {"new": 1}\n\n' + STOP + DONE
    answer = await alone(stage, *[bytes([byte]) for byte in odd])
    assert (answer.status, answer.body) == (200, odd)


async def test_an_event_that_cannot_be_read_goes_on_too_and_is_counted(stage: LlmStage) -> None:
    answer = await alone(stage, ROLE, text("Hi"), b"data: {torn\n\n", STOP + DONE)
    assert answer.body == ROLE + text("Hi") + b"data: {torn\n\n" + STOP + DONE
    assert "0 a streamed {'quiet': 1, 'content': 2, 'unparseable': 1, 'end': 1}" in stage.lines


async def test_one_that_cannot_be_read_breaks_a_translation(stage: LlmStage) -> None:
    answer = await alone(stage, STARTS, word("Hi"), b"event: x\ndata: {torn\n\n", STOPS + ENDS, dialect=ANTHROPIC)
    assert answer.broke
    assert "cannot be read" in error_in(answer.body)["message"]
    assert b"[DONE]" not in answer.body


async def test_types_that_nobody_knows_and_comments_are_left_out_of_one(stage: LlmStage) -> None:
    odd = event({"type": "novelty"}, "novelty") + b": comment\n\n"
    answer = await alone(stage, STARTS, odd, word("Hi"), STOPS, ENDS, dialect=ANTHROPIC)
    assert [delta["choices"][0]["delta"].get("content") for delta in unnamed(answer.body)[1:2]] == ["Hi"]
    assert answer.body.endswith(DONE)
    assert not answer.broke
    assert "'unknown': 1" in stage.transcript.of("streamed")[0]


@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (CUT,),
        (ROLE, CUT),
        (ROLE,),
        (ROLE, b": ping\n\n"),
        (ROLE + text("Hi")[:-9], CUT),
        (ROLE, DONE),
        (DONE,),
        (b"<html>it works</html>",),
        (ROLE, None),
    ],
    ids=["nothing", "reset", "role", "end", "ping", "torn", "done", "done alone", "page", "silence"],
)
async def test_what_ends_before_its_first_token_is_no_answer(stage: LlmStage, pieces: tuple[Piece, ...]) -> None:
    stage.llm(stage.model("a", streams(*pieces), tries=1), stage.model("b", streams(WELL)))
    answer = await stage.ask(stream=True)
    assert (answer.status, answer.body, answer.call.upstream) == (200, WELL, "b")
    assert [line.split(" ", 1)[1] for line in stage.transcript.of("a:", "->")] == ["a: reset", "a -> b: reset"]


async def test_alone_it_is_our_error(stage: LlmStage) -> None:
    assert (await alone(stage, ROLE, CUT)).label == "upstream_reset"


@pytest.mark.parametrize("first", [ERRED, STARTS[: STARTS.index(b"event: content")] + ERRED])
async def test_an_error_before_all_content_is_one_with_its_status(stage: LlmStage, first: bytes) -> None:
    answer = await alone(stage, first, CUT, dialect=ANTHROPIC)
    assert (answer.status, answer.body.startswith(b'{"error":')) == (503, True)
    assert stage.transcript.of("a:") == ["0 a: overloaded"]
    stage.llm(stage.model("a", streams(first), tries=1, dialect=ANTHROPIC), stage.model("b", streams(WELL)))
    assert (await stage.ask(stream=True)).body == WELL


async def test_in_the_callers_own_dialect_such_an_error_keeps_its_words(stage: LlmStage) -> None:
    answer = await alone(stage, ROLE, OVERLOADED)
    assert (answer.status, orjson.loads(answer.body)["error"]["code"]) == (503, "server_is_overloaded")
    assert answer.call.status == 503


@pytest.mark.parametrize(
    ("pieces", "got", "why"),
    [
        ((ROLE + text("Hi"), CUT), ROLE + text("Hi"), "the connection was reset"),
        ((ROLE + text("Hi"),), ROLE + text("Hi"), "ended before the answer did"),
        ((ROLE + text("Hi") + text("lo")[:20], CUT), ROLE + text("Hi"), "the connection was reset"),
        ((ROLE + text("Hi"), DONE), ROLE + text("Hi"), "ended before the answer did"),
        ((ROLE + text("Hi") + text("lo").rstrip(), CUT), ROLE + text("Hi") + text("lo"), "the connection was reset"),
        ((ROLE + text("Hi"), None), ROLE + text("Hi"), "no byte of the reply"),
    ],
    ids=["between events", "end", "inside one", "done too early", "behind one without its blank line", "silence"],
)
async def test_one_that_breaks_never_looks_finished(
    stage: LlmStage, pieces: tuple[Piece, ...], got: bytes, why: str
) -> None:
    answer = await alone(stage, *pieces)
    assert (answer.broke, answer.body.startswith(got)) == (True, True)
    assert why in error_in(answer.body[len(got) :])["message"]
    assert b"[DONE]" not in answer.body
    assert stage.transcript.of("a:", "=")[-1].endswith("r = broke 200")


async def test_an_error_in_the_middle_is_passed_on_as_it_stands_and_ends_it(stage: LlmStage) -> None:
    answer = await alone(stage, ROLE + text("Hi") + OVERLOADED + text("never") + DONE)
    assert (answer.broke, answer.body) == (True, ROLE + text("Hi") + OVERLOADED)


async def test_an_error_in_the_middle_of_another_dialects_is_translated(stage: LlmStage) -> None:
    answer = await alone(stage, STARTS, word("Hi"), ERRED, dialect=ANTHROPIC)
    assert (answer.broke, error_in(answer.body)["message"]) == (True, "busy")


async def test_every_broken_stream_is_one_failure_for_the_breaker(stage: LlmStage) -> None:
    target = stage.model("a", streams(ROLE, text("Hi"), CUT), tries=1, breaker={"failure_threshold": 2})
    stage.llm(target)
    await stage.ask(stream=True)
    assert target.service.breaker is not None
    assert target.service.breaker.snapshot()["failure_count"] == 1


@pytest.mark.parametrize(
    ("behind", "seconds"),
    [
        ((), 0.0),
        ((CUT,), 0.0),
        ((None,), 1.0),
        ((b": ping\n\n", 0.4) * 9, 1.2),
        ((b'data: {"torn', CUT), 0.0),
    ],
    ids=["closed", "reset", "left open", "pings", "torn"],
)
async def test_an_answer_that_is_whole_but_for_its_end_gets_it(
    stage: LlmStage, behind: tuple[Piece, ...], seconds: float
) -> None:
    answer = await alone(stage, ROLE + text("Hi") + STOP, *behind)
    assert not answer.broke
    assert answer.body.startswith(ROLE + text("Hi") + STOP)
    assert answer.body.endswith(DONE)
    assert b"torn" not in answer.body
    assert stage.now == pytest.approx(seconds, abs=0.3)


async def test_usage_that_was_asked_for_has_more_time(stage: LlmStage) -> None:
    answer = await alone(stage, ROLE + text("Hi") + STOP, 4.0, used(), None, stream_options={"include_usage": True})
    assert answer.body == ROLE + text("Hi") + STOP + used() + DONE
    assert stage.now == pytest.approx(4.0, abs=0.3)
    assert "a spent 10+5" in stage.lines[-3]


async def test_a_last_event_that_lacks_its_blank_line_counts(stage: LlmStage) -> None:
    answer = await alone(stage, ROLE + text("Hi") + STOP + b"data: [DONE]\n")
    assert (answer.broke, answer.body) == (False, ROLE + text("Hi") + STOP + DONE)


async def test_a_translated_one_ends_with_anthropics_last_event_only(stage: LlmStage) -> None:
    answer = await alone(stage, STARTS, word("Hi"), STOPS, dialect=ANTHROPIC)
    assert answer.broke
    stage.llm(stage.model("a", streams(STARTS, word("Hi"), STOPS, ENDS), dialect=ANTHROPIC))
    assert (await stage.ask(stream=True)).body.endswith(DONE)


async def test_openais_finish_reason_is_enough_for_anthropics_caller(stage: LlmStage) -> None:
    stage.llm(stage.model("a", streams(ROLE + text("Hi") + STOP)))
    answer = await stage.ask(path=b"/v1/messages", stream=True, max_tokens=9)
    assert answer.body.rstrip().endswith(b'{"type":"message_stop"}')
    assert not answer.broke


async def test_one_translator_may_find_the_end_wanting(stage: LlmStage) -> None:
    """A tool call whose arguments are no object: known only when it is at its end."""
    called = event(calls(0, "{torn", id="c", name="look")) + event(chunk({}, "tool_calls"))
    stage.llm(stage.model("a", streams(called), tries=1))
    answer = await stage.ask(path=b"/v1/messages", stream=True, max_tokens=9)
    assert (answer.broke, answer.status) == (True, 200)
    assert b"message_stop" not in answer.body


class Wanting:
    """A translator that has something to say against the end."""

    def feed(self, document: dict[str, Any]) -> bytes:
        return event(document)

    def end(self) -> bytes:
        raise BadEvent("something is missing")


async def test_or_only_when_it_must_say_the_end_itself() -> None:
    reply = Reply(200, b"", [], Facts(What.REPLY, status=200), {}, whole=ROLE + text("Hi") + STOP)
    ask = Ask(Dialect.ANTHROPIC, Kind.MESSAGES, b"/messages", stream=True)
    stream = LlmStream(reply, ask, OneAttempt(), OpenAIReader(), Wanting(), OpenAIReader)
    await stream.begin()
    assert await anext(stream) == ROLE + text("Hi") + STOP
    assert b"event: error" in await anext(stream)
    with pytest.raises(UpstreamError) as caught:
        await anext(stream)
    assert caught.value.facts == Facts(What.BROKE, detail="something is missing")
    assert not reply.ended


async def test_a_tool_call_without_a_name_is_none(stage: LlmStage) -> None:
    nameless = event(calls(0, "{}", id="c")) + event(chunk({}, "tool_calls"))
    stage.llm(stage.model("a", streams(ROLE, text("Hi") + nameless), tries=1))
    answer = await stage.ask(path=b"/v1/messages", stream=True, max_tokens=9)
    assert answer.broke
    assert b"a call without a name" in answer.body
    assert b"message_stop" not in answer.body


async def test_of_several_choices_the_next_one_may_be_slow(stage: LlmStage) -> None:
    other = event(chunk(choices=[{"index": 1, "delta": {"content": "b"}, "finish_reason": "stop"}]))
    answer = await alone(stage, ROLE + text("a") + STOP, 20.0, other, DONE, n=2)
    assert answer.body == ROLE + text("a") + STOP + other + DONE
    one, two = ({"index": index, "text": "a", "finish_reason": "stop"} for index in (0, 1))
    first, second = event(chunk(choices=[one])), event(chunk(choices=[two]))
    stage.llm(stage.model("a", streams(first, 20.0, second, DONE)))
    document = {"model": "m", "prompt": ["x", "y"], "stream": True}
    assert (await stage.ask(document, path=b"/v1/completions")).body == first + second + DONE


async def test_of_several_choices_all_must_have_come(stage: LlmStage) -> None:
    """That the first one is whole says nothing of the others."""
    first = ROLE + text("a") + STOP
    other = event(chunk(choices=[{"index": 1, "delta": {"content": "b"}, "finish_reason": "stop"}]))
    cut = await alone(stage, first, CUT, n=2)
    assert (cut.broke, DONE in cut.body) == (True, False)
    before = stage.now
    whole = await alone(stage, first, other, None, n=2)  # they have: it ends as promptly as any
    assert (whole.broke, whole.body, stage.now - before) == (False, first + other + DONE, 1.0)
    known = await alone(stage, first, n=2)  # a server that knows no `n`
    assert (known.broke, known.body) == (False, first + DONE)


async def test_what_comes_behind_the_end_does_not_hold_the_caller(stage: LlmStage) -> None:
    answer = await alone(stage, WELL, *PINGS)
    assert (answer.body, stage.now) == (WELL, 0.25)
    stage.llm(stage.model("a", streams(WELL, CUT)))
    assert (await stage.ask(stream=True)).body == WELL
    before = stage.now
    stage.llm(stage.model("a", streams(WELL, 0.25, b": ping\n\n", 0.25, b"never read")))
    assert (await stage.ask(stream=True)).body == WELL
    assert stage.now == before + 0.25


async def test_pings_without_end_are_no_answer(stage: LlmStage) -> None:
    stage.llm(
        stage.model("a", streams(*PINGS), tries=1, first_token=60, first_token_set=True),
        stage.model("b", streams(WELL)),
    )
    assert ((await stage.ask(stream=True)).body, stage.now) == (WELL, 60.0)
    assert stage.transcript.of("a:") == ["60 a: timeout"]


async def test_nor_are_megabytes_of_them(stage: LlmStage) -> None:
    many = b": ping\n\n" * 8192
    answer = await alone(stage, *([many] * (LONGEST_WAIT // len(many) + 1)))
    assert answer.label == "upstream_protocol_error"


async def test_an_event_too_long_to_be_held_breaks_it(stage: LlmStage) -> None:
    answer = await alone(stage, ROLE + text("Hi"), b"data: " + b"x" * (LONGEST_EVENT + 1))
    assert answer.broke
    assert "longer than" in error_in(answer.body)["message"]


async def test_a_legacy_completion_and_a_response_have_their_own_ends(stage: LlmStage) -> None:
    said = event({"id": "c", "choices": [{"index": 0, "text": "Hi", "finish_reason": "stop"}]})
    stage.llm(stage.model("a", streams(said)))
    answer = await stage.ask({"model": "m", "prompt": "?", "stream": True}, path=b"/v1/completions")
    assert answer.body == said + DONE
    delta = event({"type": "response.output_text.delta", "delta": "Hi", "sequence_number": 1})
    whole = event({"type": "response.completed", "response": {"object": "response", "output": []}})
    asked = {"model": "m", "input": "?", "stream": True}
    stage.llm(stage.model("a", streams(delta + whole)))
    assert (await stage.ask(asked, path=b"/v1/responses")).body == delta + whole
    stage.llm(stage.model("a", streams(delta), tries=1))
    broken = await stage.ask(asked, path=b"/v1/responses")
    assert broken.broke
    assert orjson.loads(broken.body.split(b"data: ")[-1])["type"] == "error"


async def test_responses_of_another_dialect_number_their_error_too(stage: LlmStage) -> None:
    stage.llm(stage.model("a", streams(STARTS, word("Hi"), CUT), dialect=ANTHROPIC, tries=1))
    broken = await stage.ask({"model": "m", "input": "?", "stream": True}, path=b"/v1/responses")
    numbers = [orjson.loads(line[6:])["sequence_number"] for line in broken.body.splitlines() if line[:5] == b"data:"]
    assert numbers == list(range(len(numbers)))


async def test_a_refusal_is_told_or_routed_around(stage: LlmStage) -> None:
    refused = ROLE + event(chunk({}, "content_filter")) + DONE
    assert (await alone(stage, refused)).body == refused
    stage.llm(stage.model("a", streams(refused), refusal_next=True), stage.model("b", streams(WELL)))
    assert (await stage.ask(stream=True)).body == WELL


async def test_a_stream_that_came_with_its_head_is_one_too(stage: LlmStage) -> None:
    stage.llm(stage.model("a", answers(WELL, content_type="text/event-stream; charset=utf-8")))
    assert (await stage.ask(stream=True)).body == WELL
    stage.llm(stage.model("a", answers(b"", content_type="text/event-stream"), tries=1))
    assert (await stage.ask(stream=True)).label == "upstream_reset"


async def test_a_caller_that_leaves_gives_everything_back_at_any_moment(stage: LlmStage) -> None:
    pieces: list[Piece] = [1.0, ROLE, 1.0, text("Hel"), 1.0, text("lo")[:9], 1.0, text("lo")[9:], 1.0, STOP, 0.5, DONE]
    moments = [0.5 + number / 2 for number in range(11)]
    stage.llm(stage.model("a", streams(*pieces, None, None), concurrency=None))
    for moment in moments:
        before = stage.now
        asking = stage.asking(stream=True)
        await stage.until(before + moment)
        if not asking.done():
            await stage.leave(asking)
        stage.everything_is_given_back()


async def test_what_a_translation_cannot_say_before_its_evidence_goes_elsewhere(stage: LlmStage) -> None:
    """The first content is what cannot be translated, so the caller has got nothing."""
    odd = event(start(), "message_start") + event({**block(0), "index": "x"}, "content_block_start")
    stage.llm(stage.model("a", streams(odd), dialect=ANTHROPIC, tries=1), stage.model("b", streams(WELL)))
    assert (await stage.ask(stream=True)).body == WELL


async def test_a_whole_answer_is_given_to_whoever_asked_its_own_dialect_for_a_stream(stage: LlmStage) -> None:
    stage.llm(stage.model("a", answers(completion())))
    assert orjson.loads((await stage.ask(stream=True)).body)["choices"][0]["message"]["content"] == "Hello"


async def test_options_of_other_routes_do_not_matter(stage: LlmStage) -> None:
    stage.llm(stage.model("a", streams(WELL)), options=LlmOptions(on_break="continue"))
    assert (await stage.ask(stream=True)).body == WELL
