"""The clients for Node through each fault of a provider: what another can still answer is answered, whatever broke
behind the first token is an error, and nothing broken looks whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sidecar.standins.llm_answers import Answer
from sidecar.standins.llm_faults import Fault, Kind
from tests.kit.llm_stage import (
    ANTHROPIC,
    CLAUDE_FIRST,
    CLAUDE_ONLY,
    GPT_FIRST,
    GPT_ONLY,
    OPENAI,
    SAID,
    Stage,
    stage,
)
from tests.kit.node_clients import CHAT, MESSAGE, MESSAGE_HELPER, NodeGot, chat, message

if TYPE_CHECKING:
    from tests.kit.node_clients import NodeClients

EACH_CLIENT = pytest.mark.parametrize("client", [OPENAI, ANTHROPIC])
EACH_PROVIDER = pytest.mark.parametrize("provider", [OPENAI, ANTHROPIC])
FIRST = {OPENAI: GPT_FIRST, ANTHROPIC: CLAUDE_FIRST}
ONLY = {OPENAI: GPT_ONLY, ANTHROPIC: CLAUDE_ONLY}
OTHER = {OPENAI: ANTHROPIC, ANTHROPIC: OPENAI}

ONCE = "tries = 1"
QUICK = "timeout = { first_token = '50ms' }"
IDLE = "timeout = { idle = '250ms' }"

BEFORE_EVIDENCE = [
    Fault(Kind.STATUS, status=429),
    Fault(Kind.STATUS, status=500),
    Fault(Kind.STATUS, status=529),
    Fault(Kind.STATUS, status=401),
    Fault(Kind.STATUS, status=404),
    Fault(Kind.STATUS, status=400, code="context_length_exceeded"),
    Fault(Kind.DEAD),
    Fault(Kind.RESET),
    Fault(Kind.CLOSE),
    Fault(Kind.GARBAGE),
    Fault(Kind.ERROR_FIRST, status=529),
    Fault(Kind.EMPTY),
]
NO_TOKEN = [
    Fault(Kind.FIRST_TOKEN, delay=600),
    Fault(Kind.CUT, tokens=0),
    Fault(Kind.CUT_RESET, tokens=0),
]
"""Of OpenAI's: Anthropic's stand-in has begun a block by then, which is evidence."""
BEHIND_EVIDENCE = [
    Fault(Kind.CUT, tokens=2),
    Fault(Kind.CUT_INSIDE, tokens=2),
    Fault(Kind.CUT_RESET, tokens=2),
    Fault(Kind.HALF_CLOSED, tokens=2),
    Fault(Kind.STALL, tokens=2, delay=600),
    Fault(Kind.ERROR_INSIDE, tokens=2),
]
HARMLESS = [
    Fault(Kind.NAMELESS),
    Fault(Kind.CRLF),
    Fault(Kind.BOM),
    Fault(Kind.COMMENTS),
    Fault(Kind.LINES),
    Fault(Kind.DRIBBLE, size=7),
    Fault(Kind.USAGE_NEVER),
    Fault(Kind.USAGE_EACH),
    Fault(Kind.USAGE_NULL),
    Fault(Kind.NO_FINAL_CHUNK),
]


async def ask(clients: NodeClients, s: Stage, client: str, model: str, **more: Any) -> NodeGot:
    if client == OPENAI:
        return await clients.ask(s, CHAT, chat(model, **more))
    return await clients.ask(s, MESSAGE, message(model, **more))


@EACH_CLIENT
@EACH_PROVIDER
async def test_the_other_provider_gives_the_whole_answer(clients: NodeClients, client: str, provider: str) -> None:
    for fault in BEFORE_EVIDENCE:
        async with stage(retry=ONCE) as s:
            await s.provider(provider).switch(fault)
            got = await ask(clients, s, client, FIRST[provider])
            answer = (
                got.value["choices"][0]["message"]["content"] if client == OPENAI else got.value["content"][0]["text"]
            )
            assert (fault, answer, got.upstream, got.attempts) == (fault, SAID, OTHER[provider], 2)


@EACH_CLIENT
@EACH_PROVIDER
async def test_the_other_provider_gives_the_stream(clients: NodeClients, client: str, provider: str) -> None:
    for fault in [*BEFORE_EVIDENCE, *(NO_TOKEN if provider == OPENAI else [])]:
        async with stage(retry=ONCE, **{f"{provider}_keys": QUICK}) as s:
            await s.provider(provider).switch(fault)
            got = await ask(clients, s, client, FIRST[provider], stream=True)
            assert (fault, got.text, got.upstream, got.error) == (fault, SAID, OTHER[provider], None)
            assert (got.attempts, got.usage) == (2, [5, 4])


@EACH_CLIENT
@EACH_PROVIDER
async def test_a_stream_that_breaks_is_an_error_behind_its_text(
    clients: NodeClients, client: str, provider: str
) -> None:
    for fault in BEHIND_EVIDENCE:
        async with stage(**{f"{provider}_keys": IDLE}) as s:
            await s.provider(provider).switch(fault)
            got = await ask(clients, s, client, FIRST[provider], stream=True)
            assert (fault, got.text, got.stop) == (fault, "You said:", None)
            assert got.kind in {"APIError", "OverloadedError", "InternalServerError"}, fault
            assert s.provider(OTHER[provider]).count == 0


@EACH_PROVIDER
async def test_the_helper_of_anthropics_client_hears_of_the_break_too(clients: NodeClients, provider: str) -> None:
    async with stage() as s:
        await s.provider(provider).switch(Fault(Kind.CUT, tokens=2))
        got = await clients.ask(s, MESSAGE_HELPER, message(ONLY[provider]))
    assert (got.text, got.value) == ("You said:", None)
    assert got.error is not None


@EACH_CLIENT
@EACH_PROVIDER
async def test_what_a_client_need_not_know(clients: NodeClients, client: str, provider: str) -> None:
    for fault in HARMLESS:
        async with stage() as s:
            await s.provider(provider).switch(fault)
            got = await ask(clients, s, client, ONLY[provider], stream=True)
            own_words = client == provider == ANTHROPIC and fault.kind is Kind.NAMELESS
            text = "" if own_words else SAID  # without their names the client itself sees no events: they pass as sent
            assert (fault, got.text, got.error) == (fault, text, None)


@EACH_CLIENT
async def test_openais_last_event_is_not_missed(clients: NodeClients, client: str) -> None:
    for fault in (Fault(Kind.NO_DONE), Fault(Kind.NO_DONE_OPEN, delay=600)):
        async with stage() as s:
            await s.openai.switch(fault)
            got = await ask(clients, s, client, GPT_ONLY, stream=True)
            assert (fault, got.text, got.error) == (fault, SAID, None)
            assert got.stop == ("stop" if client == OPENAI else "end_turn")


@EACH_CLIENT
@EACH_PROVIDER
async def test_without_its_dialects_end_an_answer_is_broken(clients: NodeClients, client: str, provider: str) -> None:
    async with stage() as s:
        await s.provider(provider).switch(Fault(Kind.NO_FINISH if provider == OPENAI else Kind.NO_DONE))
        got = await ask(clients, s, client, ONLY[provider], stream=True)
    assert got.text == SAID
    assert "the stream ended before the answer did" in got.message


@EACH_CLIENT
@EACH_PROVIDER
async def test_a_huge_token(clients: NodeClients, client: str, provider: str) -> None:
    async with stage() as s:
        await s.provider(provider).switch(Fault(Kind.HUGE, size=300_000))
        got = await ask(clients, s, client, ONLY[provider], stream=True)
    assert (got.text.removesuffix("x" * 300_000), got.error) == (SAID, None)


@EACH_CLIENT
async def test_an_event_that_is_no_json_breaks_a_translated_stream(clients: NodeClients, client: str) -> None:
    other = OTHER[client]
    async with stage() as s:
        await s.provider(other).switch(Fault(Kind.MALFORMED, tokens=2))
        got = await ask(clients, s, client, ONLY[other], stream=True)
    assert (got.text, got.stop, got.kind != "") == ("You said:", None, True)


@EACH_CLIENT
async def test_and_passes_to_a_client_of_the_same_dialect_as_it_came(clients: NodeClients, client: str) -> None:
    async with stage() as s:
        await s.provider(client).switch(Fault(Kind.MALFORMED, tokens=2))
        got = await ask(clients, s, client, ONLY[client], stream=True)
    assert (got.text, got.kind) == ("You said:", "SyntaxError")


@EACH_CLIENT
@EACH_PROVIDER
async def test_held_back_until_it_is_whole_a_cut_stream_is_the_others(
    clients: NodeClients, client: str, provider: str
) -> None:
    async with stage(retry=ONCE, route='stream = "complete"') as s:
        await s.provider(provider).switch(Fault(Kind.CUT, tokens=2))
        got = await ask(clients, s, client, FIRST[provider], stream=True)
    assert (got.text, got.error, got.model) == (SAID, None, got.told("model"))
    assert s.counts == (1, 1)


@EACH_CLIENT
async def test_a_text_that_broke_goes_on_at_claude(clients: NodeClients, client: str) -> None:
    async with stage(retry=ONCE, route='on_break = "continue"', claude="claude-3-5-haiku-20241022") as s:
        await s.openai.switch(Fault(Kind.CUT, tokens=2))
        s.anthropic.script(Answer(" hi there"))
        got = await ask(clients, s, client, GPT_FIRST, stream=True)
        assert s.counts == (1, 1)
        assert s.anthropic.requests[0].document["messages"][-1] == {"role": "assistant", "content": "You said:"}
    assert (got.text, got.error) == (SAID, None)
