"""Whatever upstreams do and whenever callers leave: everything is given back, and the rules hold."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.stage import Answer, Stage, limit, slots
from tests.kit.virtual_loop import run

SCENES = [
    "ok", "ok after=1s", "ok stream=x,y every=1s", "ok stream=x cut", "ok after=9s", "404", "503", "500 after=1s",
    "503 retry-after=2", "503 stream=x,y every=1s", "503 stream=x cut", "503 stream=x stall", "503 big", "429",
    "429 retry-after=3", "429 retry-after=99", "529", "reset", "reset after=1s", "no-connection", "stale",
    "stale-written", "unparseable", "pool-full", "cannot-carry", "hang", "400 sign=context_length",
    "400 sign=false_empty_body", "401 sign=own_credential_refused stream=x", "402 sign=out_of_money",
]  # fmt: skip
MAY_HAVE_BEEN_CARRIED_OUT = {"ok", "client_error", "server_error", "reset", "protocol_error", "timeout", "unavailable"}
MOST_ATTEMPTS = 5


@dataclass(frozen=True)
class Link:
    script: tuple[str, ...]
    breaker: bool
    addresses: int
    crowded: bool
    limited: bool
    attempt: float


@dataclass(frozen=True)
class Caller:
    method: bytes
    comes: float
    leaves: float
    patience: float
    retry: bool
    fallback: bool


LINKS = st.builds(
    Link,
    script=st.lists(st.sampled_from(SCENES), min_size=1, max_size=4).map(tuple),
    breaker=st.booleans(),
    addresses=st.sampled_from([0, 2, 3]),
    crowded=st.booleans(),
    limited=st.booleans(),
    attempt=st.sampled_from([0.0, 2.0]),
)
CALLERS = st.builds(
    Caller,
    method=st.sampled_from([b"GET", b"POST"]),
    comes=st.sampled_from([0.0, 0.5, 1.0, 12.0]),
    leaves=st.sampled_from([0.0, 0.5, 1.0, 1.5, 3.0, 1000.0]),
    patience=st.sampled_from([2.0, 1000.0]),
    retry=st.booleans(),
    fallback=st.booleans(),
)


def built(stage: Stage, links: list[Link], *, static: bool, crowded: bool, deadline: float) -> None:
    targets = [
        stage.target(
            f"t{number}",
            *link.script,
            breaker={"failure_threshold": 2} if link.breaker else None,
            addresses=link.addresses,
            concurrency=slots(1, queue=1, max_wait=2) if link.crowded else None,
            limit=limit(per_second=1, burst=2, max_wait=1) if link.limited else None,
            attempt=link.attempt,
            max_attempts=MOST_ATTEMPTS,
        )
        for number, link in enumerate(links)
    ]
    if static:
        targets.append(stage.static())
    stage.route(*targets, deadline=deadline, concurrency=slots(2, queue=1, max_wait=1) if crowded else None)


async def one(stage: Stage, caller: Caller) -> Answer | None:
    """The call's answer, None when its caller left."""
    await asyncio.sleep(caller.comes)
    patience = stage.clock() + caller.patience
    calling = stage.calling(caller.method, retry=caller.retry, fallback=caller.fallback, caller_deadline=patience)
    done, _ = await asyncio.wait([calling], timeout=caller.leaves)
    if done:
        return calling.result()
    await stage.leave(calling)
    return None


@given(
    links=st.lists(LINKS, min_size=1, max_size=3),
    callers=st.lists(CALLERS, min_size=1, max_size=4),
    static=st.booleans(),
    crowded=st.booleans(),
    deadline=st.sampled_from([4.0, 500.0]),
)
@settings(max_examples=300)
def test_anything(links: list[Link], callers: list[Caller], static: bool, crowded: bool, deadline: float) -> None:
    async def played() -> None:
        stage = Stage()
        built(stage, links, static=static, crowded=crowded, deadline=deadline)
        answers = await asyncio.gather(*(one(stage, caller) for caller in callers))
        stage.everything_is_given_back()
        ended = stage.observer.summaries
        assert len(ended) == len(callers), "each call is heard of once, at its end"
        for answer in answers:
            if answer is not None:
                assert answer.status
                assert answer.label != "internal_error"
                assert answer.call.attempts <= MOST_ATTEMPTS
        for summary in ended:
            assert summary.seconds >= 0
            assert summary.waited + summary.upstream_seconds <= summary.seconds + 1e-6

    run(played())


@given(links=st.lists(LINKS, min_size=1, max_size=3), static=st.booleans())
def test_what_may_have_been_carried_out_is_not_done_twice(links: list[Link], static: bool) -> None:
    async def played() -> None:
        stage = Stage()
        built(stage, links, static=static, crowded=False, deadline=100.0)
        await one(stage, Caller(b"POST", comes=0, leaves=1000, patience=1000, retry=True, fallback=True))
        outcomes = [step.outcome for step in stage.summary.steps if step.kind == "attempt"]
        assert not MAY_HAVE_BEEN_CARRIED_OUT & set(outcomes[:-1]), "nothing comes after it"

    run(played())
