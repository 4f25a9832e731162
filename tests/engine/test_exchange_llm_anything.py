"""Whatever providers say, whenever they break and callers leave: everything is given back, and no break looks whole."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.body import ReplayMemory
from sidecar.call import What
from sidecar.dialects.sse import Splitter
from sidecar.llm import Dialect, LlmOptions
from tests.kit.llm_events import calls, chunk
from tests.kit.providers import (
    CUT,
    DONE,
    ENDS,
    PING,
    ROLE,
    STARTS,
    STOP,
    STOPS,
    LlmStage,
    Says,
    answers,
    completion,
    event,
    fails,
    streams,
    text,
    used,
    word,
)
from tests.kit.stage import limit, slots
from tests.kit.virtual_loop import run

if TYPE_CHECKING:
    from tests.kit.stage import Answer

OPENAI, ANTHROPIC = Dialect.OPENAI, Dialect.ANTHROPIC
BUSY = event({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, "error")
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 2},
}  # fmt: skip
CALL = event(calls(0, "{", id="c", name="f"))
REFUSED = event(chunk({}, "content_filter"))
PIECES: dict[Dialect, list[bytes | float | Exception | None]] = {
    OPENAI: [ROLE, text("Hel"), text("lo "), CALL, REFUSED, STOP, used(), DONE, PING, BUSY, b"data: {", CUT, 1.0, None],
    ANTHROPIC: [STARTS, word("Hel"), word("lo "), STOPS, ENDS, PING, BUSY, b"event: x\n", CUT, 1.0, None],
}
WELL = {
    OPENAI: streams(ROLE, 0.5, text("Hel"), 1.0, text("lo"), STOP, used(), DONE),
    ANTHROPIC: streams(STARTS, 0.5, word("Hel"), 1.0, word("lo"), STOPS, ENDS),
}
WHOLE: dict[Dialect, dict[str, Any]] = {OPENAI: completion(), ANTHROPIC: MESSAGE}
FAILURES = [
    answers({"error": {"message": "later", "type": "rate_limit_error"}}, 429, wait=1.0),
    answers({"error": {"message": "busy", "type": "server_error"}}, 503, after=0.5),
    answers({"error": {"message": "no", "type": "authentication_error"}}, 401),
    answers(b"<html>", 200),
    fails(What.RESET, after=0.5),
    fails(What.NO_CONNECTION),
    fails(What.DEAD_UNWRITTEN),
]


@dataclass(frozen=True)
class Link:
    dialect: Dialect
    streamed: Says
    whole: Says
    prefill: bool
    breaker: bool
    crowded: bool
    limited: bool
    first_token: float


@dataclass(frozen=True)
class Caller:
    stream: bool
    key: bytes
    comes: float
    leaves: float


def scripts(dialect: Dialect) -> st.SearchStrategy[Says]:
    told = st.lists(st.sampled_from(PIECES[dialect]), min_size=1, max_size=7)
    begun = told.map(lambda pieces: streams(*WELL[dialect].pieces[:3], *pieces))
    return st.one_of(
        st.just(WELL[dialect]), begun, told.map(lambda pieces: streams(*pieces)), st.sampled_from(FAILURES)
    )


def links(dialect: Dialect) -> st.SearchStrategy[Link]:
    flags = {name: st.booleans() for name in ("prefill", "breaker", "crowded", "limited")}
    return st.builds(
        Link,
        dialect=st.just(dialect),
        streamed=scripts(dialect),
        whole=st.sampled_from([answers(WHOLE[dialect], after=1.0), *FAILURES]),
        first_token=st.sampled_from([0.0, 0.75]),
        **flags,
    )


CHAINS = st.lists(st.sampled_from([OPENAI, ANTHROPIC]).flatmap(links), min_size=1, max_size=3)
CALLERS = st.builds(
    Caller,
    stream=st.booleans(),
    key=st.sampled_from([b"", b"k"]),
    comes=st.sampled_from([0.0, 0.5, 2.0]),
    leaves=st.sampled_from([0.0, 0.25, 0.5, 1.0, 1.5, 3.0, 10_000.0, 10_000.0]),
)
OPTIONS = st.builds(
    LlmOptions, stream=st.sampled_from(["live", "complete"]), on_break=st.sampled_from(["error", "continue"])
)


async def one(stage: LlmStage, caller: Caller, dialect: Dialect, memory: ReplayMemory) -> Answer | None:
    """The call's answer, None when its caller left."""
    await asyncio.sleep(caller.comes)
    fields = {b"idempotency-key": caller.key} if caller.key else {}
    path = b"/v1/messages" if dialect is ANTHROPIC else b"/v1/chat/completions"
    asking = stage.asking(path=path, stream=caller.stream, max_tokens=9, fields=fields, memory=memory)
    done, _ = await asyncio.wait([asking], timeout=caller.leaves)
    if done:
        return asking.result()
    await stage.leave(asking)
    return None


@given(
    chain=CHAINS,
    callers=st.lists(CALLERS, min_size=1, max_size=4),
    dialect=st.sampled_from([OPENAI, ANTHROPIC]),
    options=OPTIONS,
    room=st.sampled_from([0, 500, 1 << 20]),
    deadline=st.sampled_from([4.0, 500.0]),
)
@settings(max_examples=300)
def test_anything(
    chain: list[Link], callers: list[Caller], dialect: Dialect, options: LlmOptions, room: int, deadline: float
) -> None:
    async def played() -> None:
        stage, memory = LlmStage(), ReplayMemory(room)
        targets = [
            stage.model(
                f"t{number}", link.streamed if any(caller.stream for caller in callers) else link.whole,
                dialect=link.dialect, prefill=link.prefill, first_token=link.first_token,
                breaker={"failure_threshold": 2} if link.breaker else None,
                concurrency=slots(1, queue=1, max_wait=2) if link.crowded else None,
                limit=limit(tokens_per_minute=500, max_wait=1) if link.limited else None,
            )
            for number, link in enumerate(chain)
        ]  # fmt: skip
        stage.llm(*targets, options=options, deadline=deadline, limit=limit(tokens_per_minute=2000, max_wait=1))
        answered = await asyncio.gather(*(one(stage, caller, dialect, memory) for caller in callers))
        stage.everything_is_given_back()
        assert memory.used == 0
        assert len(stage.observer.summaries) == len(callers), "each call is heard of once, at its end"
        attempts = [step for told in stage.observer.summaries for step in told.steps if step.kind == "attempt"]
        assert len(stage.transcript.of(" > ")) == len(attempts), "each attempt is over once"
        for caller, answer in zip(callers, answered, strict=True):
            if answer is not None:
                assert answer.label != "internal_error"
                is_whole(answer, dialect, streamed=caller.stream)

    run(played())


def is_whole(answer: Answer, dialect: Dialect, *, streamed: bool) -> None:
    """It has its end once, or it broke and has none."""
    end = b"[DONE]" if dialect is OPENAI else b'{"type":"message_stop"}'
    ends = [event.data for event in Splitter().feed(answer.body)].count(end)
    if answer.broke:
        assert (ends, b"error" in answer.body) == (0, True)
    elif streamed and answer.status == 200:
        assert ends == 1
