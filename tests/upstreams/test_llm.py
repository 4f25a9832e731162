"""One model of a provider: what it makes of whole answers, errors, headers, and answers that lie about themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from sidecar.llm import Dialect
from tests.kit.messages import message
from tests.kit.messages import text as said
from tests.kit.providers import (
    CUT,
    DONE,
    ROLE,
    STOP,
    LlmStage,
    Says,
    answers,
    completion,
    event,
    fails,
    streams,
    text,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.virtual_time

ANTHROPIC = Dialect.ANTHROPIC
WELL = ROLE + text("Hello") + STOP + DONE
GZIP: dict[str, Any] = {"content_encoding": "gzip"}


@pytest.fixture
async def stage() -> AsyncIterator[LlmStage]:
    made = LlmStage()
    yield made
    made.everything_is_given_back()


def error(message: str, kind: str = "invalid_request_error", code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "code": code, "param": None}}


async def test_a_whole_answer_passes_byte_for_byte_and_its_tokens_are_told(stage: LlmStage) -> None:
    body = orjson.dumps(completion(), option=orjson.OPT_INDENT_2)
    stage.llm(stage.model("a", answers(body), model="small"))
    answer = await stage.ask()
    assert (answer.body, answer.call.llm and answer.call.llm.answered_by) == (body, "small")
    assert stage.lines == ["0 > a", "0 a spent 10+5", "0 a: ok", "0 r = ok 200"]
    assert stage.providers["a"].documents[0]["model"] == "small"


async def test_one_in_pieces_is_evidence_at_its_end(stage: LlmStage) -> None:
    body = orjson.dumps(completion())
    slow = Says((body[:20], 3.0, body[20:]), headers={"content-type": "application/json"})
    stage.llm(stage.model("a", slow))
    assert (await stage.ask()).body == body
    assert stage.summary.ttfb == 3.0


async def test_one_that_is_cut_is_none(stage: LlmStage) -> None:
    cut = Says((b'{"choices":', CUT), headers={"content-type": "application/json"})
    stage.llm(stage.model("a", cut, tries=1), stage.model("b"))
    assert (await stage.ask()).call.upstream == "b"
    assert stage.transcript.of("a:") == ["0 a: reset"]


async def test_another_dialects_is_translated(stage: LlmStage) -> None:
    stage.llm(stage.model("a", answers(message(said("Hello")), request_id="req_1"), dialect=ANTHROPIC))
    answer = await stage.ask(seed=1)
    document = orjson.loads(answer.body)
    assert (document["choices"][0]["message"]["content"], document["usage"]["total_tokens"]) == ("Hello", 15)
    stage.llm(stage.model("a", answers(completion())))
    document = orjson.loads((await stage.ask(path=b"/v1/messages", max_tokens=9)).body)
    assert document["content"] == [{"type": "text", "text": "Hello"}]
    stage.llm(stage.model("a", answers(message(said("Hello"))), dialect=ANTHROPIC))
    document = orjson.loads((await stage.ask({"model": "m", "input": "?"}, path=b"/v1/responses")).body)
    assert document["output"][0]["content"][0]["text"] == "Hello"


@pytest.mark.parametrize(
    ("body", "dialect"),
    [
        (b"<html>Welcome to the hotel</html>", Dialect.OPENAI),
        (b"[]", Dialect.OPENAI),
        (b"", Dialect.OPENAI),
        (b'{"type": "message", "content": 7}', ANTHROPIC),
        (WELL, Dialect.OPENAI),
    ],
    ids=["page", "list", "nothing", "no message", "events"],
)
async def test_what_is_no_answer_is_the_next_ones_turn(stage: LlmStage, body: bytes, dialect: Dialect) -> None:
    stage.llm(stage.model("a", answers(body), dialect=dialect), stage.model("b"))
    assert (await stage.ask()).call.upstream == "b"
    assert stage.transcript.of("a:") == ["0 a: protocol_error"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", ""])
async def test_a_stream_by_another_name_is_one(stage: LlmStage, content_type: str) -> None:
    stage.llm(stage.model("a", streams(WELL, content_type=content_type)))
    assert (await stage.ask(stream=True)).body == WELL


async def test_json_that_says_it_is_a_stream_is_none(stage: LlmStage) -> None:
    stage.llm(stage.model("a", streams(orjson.dumps(completion())), tries=1), stage.model("b", streams(WELL)))
    assert (await stage.ask(stream=True)).body == WELL


async def test_a_stream_that_nobody_asked_for(stage: LlmStage) -> None:
    stage.llm(stage.model("a", streams(WELL)))
    assert (await stage.ask()).body == WELL, "in its own dialect it is what the provider says"
    stage.llm(stage.model("a", streams(WELL)), stage.model("b", answers(message(said("Hi"))), dialect=ANTHROPIC))
    assert (await stage.ask(path=b"/v1/messages", max_tokens=9)).call.upstream == "b"


async def test_a_whole_answer_to_a_translated_stream_is_none_but_its_error_counts(stage: LlmStage) -> None:
    stage.llm(stage.model("a", answers(message(said("Hi"))), dialect=ANTHROPIC), stage.model("b", streams(WELL)))
    assert (await stage.ask(stream=True)).body == WELL
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    stage.llm(stage.model("a", answers(overloaded), dialect=ANTHROPIC, tries=1))
    assert (await stage.ask(stream=True)).status == 503


async def test_an_error_with_status_200_has_the_status_it_means(stage: LlmStage) -> None:
    told = error("slow down", "rate_limit_error", "rate_limit_exceeded")
    stage.llm(stage.model("a", answers(told), tries=1))
    answer = await stage.ask()
    assert (answer.status, orjson.loads(answer.body)) == (429, told)
    stage.llm(stage.model("a", answers({"error": "model requires more memory"}), tries=1))
    answer = await stage.ask()
    assert (answer.status, orjson.loads(answer.body)["error"]["message"]) == (500, "model requires more memory")


async def test_an_error_too_deep_to_be_written_again_is_told_in_words(stage: LlmStage) -> None:
    deep = b'{"error": {"message": "no", "inner": ' + b"[" * 300 + b"]" * 300 + b"}}"
    stage.llm(stage.model("a", answers(deep), tries=1))
    answer = await stage.ask()
    assert (answer.status, orjson.loads(answer.body)["error"]["message"]) == (500, "no")


async def test_a_response_that_failed_is_an_answer(stage: LlmStage) -> None:
    failed = {"object": "response", "status": "failed", "error": {"code": "server_error", "message": "no"}}
    stage.llm(stage.model("a", answers(failed)))
    answer = await stage.ask({"model": "m", "input": "?"}, path=b"/v1/responses")
    assert (answer.status, orjson.loads(answer.body)) == (200, failed)


async def test_what_is_encoded_is_passed_on_in_its_own_dialect_only(stage: LlmStage) -> None:
    stage.llm(stage.model("a", answers(b"\x1f\x8b", **GZIP)))
    answer = await stage.ask()
    assert answer.body == b"\x1f\x8b"
    stage.llm(stage.model("a", answers(b"\x1f\x8b", **GZIP), dialect=ANTHROPIC), stage.model("b"))
    assert (await stage.ask()).call.upstream == "b"


@pytest.mark.parametrize("headers", [GZIP, {}], ids=["encoded", "endless"])
async def test_an_error_that_nobody_can_read_has_its_status(stage: LlmStage, headers: dict[str, Any]) -> None:
    huge = Says(
        (b"\x1f" * 40_000, b"\x8b" * 40_000), 401, {name.replace("_", "-"): value for name, value in headers.items()}
    )
    stage.llm(stage.model("a", huge), stage.model("b"))
    assert (await stage.ask()).call.upstream == "b", "our key is refused"
    stage.llm(stage.model("a", Says(huge.pieces, 400, huge.headers)))
    assert len((await stage.ask()).body) == 80_000
    stage.llm(stage.model("a", Says(huge.pieces, 400, huge.headers), dialect=ANTHROPIC))
    answer = await stage.ask()
    assert (answer.status, orjson.loads(answer.body)["error"]["type"]) == (400, "invalid_request_error")


async def test_an_answer_too_long_to_be_held(stage: LlmStage) -> None:
    body = orjson.dumps(completion("x" * 5000))
    pieces = Says((body[:3000], body[3000:]), headers={"content-type": "application/json"})
    stage.llm(stage.model("a", pieces, longest=4096))
    assert (await stage.ask()).body == body
    assert stage.transcript.of("spent") == [], "nobody has read it"
    stage.llm(stage.model("a", answers(body), longest=4096), stage.model("b"))
    assert (await stage.ask()).body == body
    stage.llm(stage.model("a", pieces, dialect=ANTHROPIC, longest=4096), stage.model("b"))
    assert (await stage.ask()).call.upstream == "b"


async def test_another_status_without_an_error_is_passed_on_but_not_translated(stage: LlmStage) -> None:
    moved = Says((), 307, {"location": "/elsewhere"})
    stage.llm(stage.model("a", moved))
    assert (await stage.ask()).status == 307
    stage.llm(stage.model("a", moved, dialect=ANTHROPIC), stage.model("b"))
    assert (await stage.ask()).call.upstream == "b"


async def test_our_key_refused_is_never_the_callers_answer(stage: LlmStage) -> None:
    refused = answers(error("Incorrect API key provided: sk-ours", code="invalid_api_key"), 401)
    stage.llm(stage.model("a", refused), stage.model("b"))
    assert (await stage.ask()).call.upstream == "b"
    assert stage.transcript.of("a rests") == ["0 a rests 60s: auth_failed"]
    await stage.ask()
    assert len(stage.providers["a"].calls) == 1
    stage.llm(stage.model("a", refused))
    alone = await stage.ask()
    assert (alone.label, alone.body) == ("upstream_auth_failed", b"")


async def test_the_callers_key_refused_is_told_to_the_caller_and_to_nobody_else(stage: LlmStage) -> None:
    refused = answers(error("Incorrect API key provided: sk-theirs", code="invalid_api_key"), 401)
    a = stage.model("a", refused, answers(completion()), own=False)
    stage.llm(a, stage.model("b"))
    answer = await stage.ask(fields={b"authorization": b"Bearer sk-theirs"})
    assert (answer.status, b"sk-theirs" in answer.body) == (401, True)
    assert (await stage.ask(fields={b"authorization": b"Bearer sk-good"})).call.upstream == "a"


async def test_a_limit_of_the_callers_own_rests_for_that_caller_only(stage: LlmStage) -> None:
    limited = answers(error("Rate limit reached", "requests", "rate_limit_exceeded"), 429, wait=30.0)
    stage.llm(stage.model("a", limited, answers(completion()), own=False), stage.model("b"))
    one, other = {b"authorization": b"Bearer one"}, {b"authorization": b"Bearer other"}
    asked = [(await stage.ask(fields=fields)).call.upstream for fields in (one, other, one, other, {})]
    assert asked == ["b", "a", "b", "a", "a"]
    await stage.until(31)
    assert (await stage.ask(fields=one)).call.upstream == "a"


async def test_money_that_ran_out_rests_long_and_the_caller_need_not_retry(stage: LlmStage) -> None:
    broke = answers(error("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), 429)
    stage.llm(stage.model("a", broke))
    answer = await stage.ask()
    assert (answer.status, answer.call.should_retry) == (429, False)
    assert stage.transcript.of("rests", "> a") == ["0 > a", "0 a rests 900s: out_of_money"]


async def test_headers_that_say_nothing_remains_rest_the_target_before_its_429(stage: LlmStage) -> None:
    spent = answers(completion(), x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="20s")
    stage.llm(stage.model("a", spent), stage.model("b"))
    assert [(await stage.ask()).call.upstream for _ in range(2)] == ["a", "b"]
    assert stage.transcript.of("rests") == ["0 a rests 20s: throttled"]
    await stage.until(21)
    assert (await stage.ask()).call.upstream == "a"


async def test_on_a_stream_too_and_for_the_caller_whose_key_it_was(stage: LlmStage) -> None:
    spent = streams(WELL, x_ratelimit_remaining_tokens="0", x_ratelimit_reset_tokens="1m0s")
    stage.llm(stage.model("a", spent, own=False), stage.model("b", streams(WELL)))
    one = {b"authorization": b"Bearer one"}
    assert [(await stage.ask(stream=True, fields=one)).call.upstream for _ in range(2)] == ["a", "b"]
    assert (await stage.ask(stream=True)).call.upstream == "a"


async def test_a_retry_after_says_it_better_than_they_do(stage: LlmStage) -> None:
    headers: dict[str, Any] = {"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "6m0s"}
    limited = answers(error("slow down"), 429, wait=2.0, **headers)
    stage.llm(stage.model("a", limited, answers(completion())))
    assert ((await stage.ask()).status, stage.now) == (200, 2.0)


async def test_without_one_a_429_is_waited_out_as_they_say(stage: LlmStage) -> None:
    headers: dict[str, Any] = {"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "4s"}
    stage.llm(stage.model("a", answers(error("slow down"), 429, **headers), answers(completion())))
    assert ((await stage.ask()).status, stage.now) == (200, 4.0)


async def test_an_unknown_model_is_the_chains_mistake_only_if_the_chain_chose_it(stage: LlmStage) -> None:
    unknown = answers(error("The model `x` does not exist", code="model_not_found"), 404)
    stage.llm(stage.model("a", unknown, model="x"), stage.model("b"))
    assert (await stage.ask()).call.upstream == "b"
    stage.llm(stage.model("a", unknown), stage.model("b"))
    answer = await stage.ask()
    assert (answer.status, answer.call.upstream) == (404, "a")


async def test_a_context_that_is_too_long_goes_to_a_larger_one(stage: LlmStage) -> None:
    long = answers(error("This model's maximum context length is 8 tokens", code="context_length_exceeded"), 400)
    a = stage.model("a", long, breaker={})
    stage.llm(a, stage.model("b"))
    assert (await stage.ask()).call.upstream == "b"
    stage.llm(stage.model("a", long), stage.model("b", answers(error("busy"), 500), tries=1))
    assert orjson.loads((await stage.ask()).body)["error"]["code"] == "context_length_exceeded", "who answered first"


async def test_a_refusal_is_an_answer_unless_the_route_goes_around_it(stage: LlmStage) -> None:
    refused = answers(completion("I cannot", reason="content_filter"))
    stage.llm(stage.model("a", refused), stage.model("b"))
    assert (await stage.ask()).call.upstream == "a"
    stage.llm(stage.model("a", refused, refusal_next=True), stage.model("b"))
    assert (await stage.ask()).call.upstream == "b"
    declined = answers(message(said("I cannot"), stop="refusal"))
    stage.llm(stage.model("a", declined, dialect=ANTHROPIC, refusal_next=True), stage.model("b"))
    assert (await stage.ask()).call.upstream == "b"


async def test_an_answer_without_choices_is_no_refusal(stage: LlmStage) -> None:
    embeddings = {"object": "list", "data": [], "usage": {"prompt_tokens": 3, "total_tokens": 3}}
    stage.llm(stage.model("a", answers(embeddings), refusal_next=True), stage.model("b"))
    answer = await stage.ask({"model": "m", "input": "?"}, path=b"/v1/embeddings")
    assert (answer.call.upstream, stage.transcript.of("spent")) == ("a", ["0 a spent 3+0"])


async def test_a_count_of_tokens_costs_none(stage: LlmStage) -> None:
    stage.llm(stage.model("a", answers({"input_tokens": 3}), dialect=ANTHROPIC))
    assert (await stage.ask(path=b"/v1/messages/count_tokens")).body == b'{"input_tokens":3}'
    assert stage.transcript.of("spent") == []


async def test_what_nobody_knows_passes_untouched_to_the_first_upstream_alone(stage: LlmStage) -> None:
    odd = answers(b"RIFF", content_type="audio/mpeg")
    stage.llm(stage.model("a", odd), stage.model("b"))
    assert (await stage.ask(b"\xff", path=b"/v1/audio/speech?x=1")).body == b"RIFF"
    sent = stage.providers["a"].calls[0]
    assert (sent.outgoing, sent.body.whole) == (b"/audio/speech?x=1", b"\xff")
    stage.llm(stage.model("a", fails()), stage.model("b"))
    assert (await stage.ask(b"\xff", path=b"/v1/files")).label == "upstream_reset"
    assert stage.providers["b"].calls == []


async def test_an_error_of_another_dialects_is_said_in_the_callers(stage: LlmStage) -> None:
    told = {"type": "error", "error": {"type": "not_found_error", "message": "model: x"}, "request_id": "req_1"}
    stage.llm(stage.model("a", answers(told, 404, request_id="req_1"), dialect=ANTHROPIC))
    answer = await stage.ask()
    assert orjson.loads(answer.body)["error"] == {
        "message": "model: x", "type": "invalid_request_error", "param": None, "code": "model_not_found"
    }  # fmt: skip


async def test_whatever_it_holds_is_closed_with_it(stage: LlmStage) -> None:
    target = stage.model("a")
    await target.service.upstream.aclose()
    assert stage.providers["a"].closed


async def test_a_caller_that_leaves_while_an_answer_is_read(stage: LlmStage) -> None:
    slow = Says((b"{", None), headers={"content-type": "application/json"})
    for said_ in (slow, Says((b"{", None), 400, slow.headers)):
        stage.llm(stage.model("a", said_))
        asking = stage.asking()
        await stage.until(stage.now + 1)
        await stage.leave(asking)
        stage.everything_is_given_back()


async def test_events_of_a_response_asked_of_openai_itself(stage: LlmStage) -> None:
    body = event({"type": "response.completed", "response": {"object": "response", "output": []}})
    stage.llm(stage.model("a", streams(body)))
    assert (await stage.ask({"model": "m", "input": "?", "stream": True}, path=b"/v1/responses")).body == body
