"""What the head of an LLM's answer says of the chain: the model that answered, and what it was not told."""

from __future__ import annotations

import pytest

from sidecar.call import Facts, Reply, What
from sidecar.listeners.reply_head import LONGEST_DROPPED, ReplyHeads
from sidecar.llm import Ask, Dialect, Kind
from tests.kit.stage import a_call, limit

HEADS = ReplyHeads(lambda: 0.0, lambda: 0.0)


def fields(reply: Reply, *, llm: bool = True) -> dict[str, str]:
    call = a_call()
    if llm:
        call.llm = Ask(Dialect.OPENAI, Kind.CHAT, b"/chat/completions")
    lines = HEADS.of_reply(call, reply).decode("latin-1").split("\r\n")
    return dict(line.split(": ", 1) for line in lines if line)


def answer(**told: object) -> Reply:
    reply = Reply(200, b"", [], Facts(What.REPLY, status=200), {})
    for name, value in told.items():
        setattr(reply, name, value)
    return reply


def test_the_model_and_what_was_dropped() -> None:
    head = fields(answer(model="gpt-4o", dropped=("seed", "logit_bias")))
    assert (head["X-Sidecar-Model"], head["X-Sidecar-Dropped"]) == ("gpt-4o", "seed, logit_bias")


def test_nothing_where_nothing_is_to_be_said() -> None:
    assert not {"X-Sidecar-Model", "X-Sidecar-Dropped"} & set(fields(answer()))
    assert "X-Sidecar-Model" not in fields(answer(model="gpt-4o"), llm=False)


@pytest.mark.parametrize("name", ["a\r\nSet-Cookie: x", "ü, b", "a\x00"])
def test_a_callers_word_cannot_forge_a_field(name: str) -> None:
    head = fields(answer(model=name, dropped=(name,)))
    assert set(head["X-Sidecar-Dropped"]) <= {*map(chr, range(0x21, 0x7F))} - {","}
    assert "Set-Cookie" not in head


def test_the_list_has_an_end() -> None:
    head = fields(answer(dropped=tuple("x" * 100 for _ in range(100))))
    assert len(head["X-Sidecar-Dropped"]) == LONGEST_DROPPED


@pytest.mark.virtual_time
async def test_the_head_of_an_answer_that_is_waited_for_says_what_is_known() -> None:
    call = a_call()
    call.route = "llm"
    lines = HEADS.of_waiting(call).split(b"\r\n")
    assert lines == [
        b"Content-Type: text/event-stream",
        b"Cache-Control: no-cache",
        b"X-Sidecar-Request-ID: 1",
        b"X-Correlation-ID: 1",
        b"X-Request-ID: 1",
        b"X-Sidecar-Route: llm",
        b"",
    ]
    call.quotas = limit(per_minute=5).bucket.quotas("")
    assert b"X-RateLimit-Limit-Minute: 5" in HEADS.of_waiting(call)
