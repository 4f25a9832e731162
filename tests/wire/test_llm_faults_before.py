"""Faults before the first token: tried again, then answered by the other provider; alone, one plain error."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from sidecar.standins.llm_faults import Fault, Kind
from tests.kit.llm_caller import chat
from tests.kit.llm_stage import ALONE, ANTHROPIC, FIRST, GPT_ONLY, HI, MODEL, OPENAI, OTHER, SAID, stage

BOTH, WHOLE, STREAM = (False, True), (False,), (True,)


@dataclass(frozen=True)
class Row:
    """A fault, whether whole or streamed answers meet it, how often its target is tried, and how many of these it has
    got as requests; the status of our own error when nobody is left.
    """

    name: str
    fault: Fault
    streamed: tuple[bool, ...] = BOTH
    tries: int = 3
    heard: bool = True
    status: int = 502


def error_first(status: int, code: str = "") -> Fault:
    return Fault(Kind.ERROR_FIRST, status=status, code=code)


ROWS = [
    Row("dead port", Fault(Kind.DEAD), heard=False),
    Row("reset", Fault(Kind.RESET)),
    Row("closed", Fault(Kind.CLOSE)),
    Row("no HTTP", Fault(Kind.GARBAGE), tries=1),
    Row("empty answer", Fault(Kind.EMPTY), WHOLE, tries=1),
    Row("empty stream", Fault(Kind.EMPTY), STREAM),
    Row("no JSON", Fault(Kind.MALFORMED), WHOLE, tries=1),
    Row("shorter than told", Fault(Kind.SHORT), WHOLE),
    Row("longer than told", Fault(Kind.LONG), WHOLE, tries=1),
    Row("body cut", Fault(Kind.CUT), WHOLE),
    Row("body reset", Fault(Kind.CUT_RESET), WHOLE),
    Row("body half closed", Fault(Kind.HALF_CLOSED), WHOLE),
    Row("stream cut", Fault(Kind.CUT_RESET, tokens=0), STREAM),
    Row("error in a 200", error_first(500), status=500),
    Row("overload in a 200", error_first(529), status=529),
    Row("limit in a 200", error_first(429), status=429),
    Row("gone in a 200", error_first(404), tries=1, status=404),
]
CASES = [(row, streamed) for row in ROWS for streamed in row.streamed]
IDS = [f"{row.name} {'streamed' if streamed else 'whole'}" for row, streamed in CASES]
CLIENTS = pytest.mark.parametrize("client", [OPENAI, ANTHROPIC])
BROKEN = pytest.mark.parametrize("broken", [OPENAI, ANTHROPIC])


@pytest.mark.parametrize(("row", "streamed"), CASES, ids=IDS)
@CLIENTS
@BROKEN
async def test_the_other_provider_answers_and_alone_there_is_one_error(
    row: Row, streamed: bool, client: str, broken: str
) -> None:
    if row.name == "stream cut" and broken == ANTHROPIC:
        row = Row(row.name, Fault(Kind.EMPTY), STREAM)  # the start of its first block is evidence
    asked = row.tries if row.heard else 0
    async with stage() as s:
        await s.provider(broken).switch(row.fault)
        got = await s.ask(FIRST[broken], client=client, stream=streamed)
        assert (got.text, got.model, got.error, got.usage) == (SAID, MODEL[OTHER[broken]], None, (5, 4))
        assert (got.upstream, got.attempts) == (OTHER[broken], row.tries + 1)
        assert s.asked(broken) == (asked, 1)
    async with stage() as s:
        await s.provider(broken).switch(row.fault)
        got = await s.ask(ALONE[broken], client=client, stream=streamed)
        assert (got.upstream, got.attempts, s.asked(broken)) == (broken, row.tries, (asked, 0))
        # In a stream OpenAI has no word for an overload, and its clients know no 529.
        statuses = {row.status} if row.status != 529 else {529, 503, 500}
        assert (got.status in statuses, got.text, got.stop) == (True, "", None)
        assert got.headers.get("x-should-retry") == ("false" if row.tries > 1 else None)


@CLIENTS
@BROKEN
async def test_a_context_that_is_too_long_for_one_is_tried_with_the_other_even_from_within_a_200(
    client: str, broken: str
) -> None:
    async with stage() as s:
        await s.provider(broken).switch(error_first(400, "context_length_exceeded"))
        got = await s.ask(FIRST[broken], client=client, stream=True)
        assert (got.text, s.asked(broken)) == (SAID, (1, 1))


@CLIENTS
@BROKEN
async def test_a_stream_whose_first_token_is_late_is_the_others_at_once(client: str, broken: str) -> None:
    async with stage(**{f"{broken}_keys": 'timeout = { first_token = "40ms" }'}) as s:
        await s.provider(broken).switch(Fault(Kind.SLOW, delay=30))
        got = await s.ask(FIRST[broken], client=client, stream=True)
        assert (got.text, got.upstream, got.attempts) == (SAID, OTHER[broken], 2)
        alone = await s.ask(ALONE[broken], client=client, stream=True)
        assert (alone.status, alone.attempts, s.asked(broken)[1]) == (504, 3, 1)


@CLIENTS
async def test_quiet_events_are_no_first_token(client: str) -> None:
    """Role chunks and comments come at once and prove nothing."""
    async with stage(openai_keys='timeout = { first_token = "1s" }') as s:
        await s.openai.switch(Fault(Kind.FIRST_TOKEN, delay=30))
        got = await s.ask(FIRST[OPENAI], client=client, stream=True)
        assert (got.text, got.upstream, s.counts) == (SAID, ANTHROPIC, (1, 1))


@CLIENTS
@BROKEN
async def test_a_whole_answer_that_is_late_is_the_others_at_once(client: str, broken: str) -> None:
    async with stage(**{f"{broken}_keys": 'timeout = { attempt = "40ms" }'}) as s:
        await s.provider(broken).switch(Fault(Kind.SLOW, delay=30))
        got = await s.ask(FIRST[broken], client=client)
        assert (got.text, got.upstream, got.attempts) == (SAID, OTHER[broken], 2)


@CLIENTS
async def test_if_both_are_down_the_first_ones_words_are_told(client: str) -> None:
    async with stage() as s:
        await s.openai.switch(Fault(Kind.STATUS, status=500))
        await s.anthropic.switch(Fault(Kind.STATUS, status=529))
        got = await s.ask(FIRST[OPENAI], client=client)
        assert (got.status, got.upstream, got.attempts, s.counts) == (500, OPENAI, 6, (3, 3))
        assert "The server had an error" in str(got.error)
        assert got.headers["x-should-retry"] == "false"


@CLIENTS
async def test_if_the_first_is_dead_the_seconds_words_are_told(client: str) -> None:
    async with stage() as s:
        await s.openai.switch(Fault(Kind.DEAD))
        await s.anthropic.switch(Fault(Kind.STATUS, status=400))
        got = await s.ask(FIRST[OPENAI], client=client)
        assert (got.status, got.upstream, got.attempts, s.counts) == (400, ANTHROPIC, 4, (0, 1))
        assert "messages: Field required" in str(got.error)


async def test_a_share_of_failures_is_never_seen() -> None:
    async with stage(retry="budget = 1.0") as s:
        await s.openai.switch(Fault(Kind.STATUS, status=500, share=0.3))
        for _ in range(10):
            assert (await s.ask(GPT_ONLY)).text == SAID
        assert s.openai.faulty == s.openai.count - 10 > 0


async def test_the_request_that_is_tried_again_is_the_same() -> None:
    async with stage() as s:
        await s.openai.switch(Fault(Kind.STATUS, status=500, times=2))
        await s.ask(GPT_ONLY, temperature=0.5)
        first, second, third = s.openai.requests
        assert first.raw == second.raw == third.raw
        assert first.document == {**chat(HI), "stream": False, "temperature": 0.5}
