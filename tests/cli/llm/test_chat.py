"""`sidecar chat` where nobody types: each line is a turn. And a person's commands, one by one."""

from __future__ import annotations

import asyncio
import io
import re
import sys

import pytest

from sidecar.cli.llm.asking import Line, Wishes
from sidecar.cli.llm.chat import Talk, chat
from sidecar.cli.trouble import Trouble
from sidecar.standins.llm_answers import Answer
from sidecar.standins.llm_faults import HEALTHY, Fault, Kind
from tests.kit.llm_commands import Place, place

BY = re.compile(r"^by (\S+), (\d+) attempts?, [\d.]+ m?s, \d+ tokens$", re.MULTILINE)


def said(p: Place, turn: int) -> list[str]:
    """The conversation as OpenAI got it with its request of that number."""
    return [message["content"] for message in p.openai.requests[turn].document["messages"]]


async def talk(p: Place, *typed: str) -> Talk:
    """What a person typed, one line after the other."""
    made = Talk(await asyncio.to_thread(Line, Wishes(), p.environ), "smart")
    for line in typed:
        assert await asyncio.to_thread(made.take, line)
    return made


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_each_line_is_a_turn(dialect: str) -> None:
    async with place() as p:
        done = await p.run(chat, stream=True, stdin="hi there\n\n/and now?", dialect=dialect)
        assert (done.code, done.err) == (0, "")
        assert BY.sub(r"by \1 after \2", done.out).splitlines() == [
            "You said: hi there",
            "by openai/gpt-4o after 1",
            "You said: /and now?",
            "by openai/gpt-4o after 1",
        ]
        assert said(p, 1) == ["hi there", "You said: hi there", "/and now?"]


async def test_answers_that_are_printed_when_they_are_whole() -> None:
    async with place() as p:
        done = await p.run(chat, stdin="hi there\n", stream=False)
        assert BY.sub("by", done.out).splitlines() == ["You said: hi there", "by"]
        assert "stream" not in p.openai.requests[0].document


async def test_it_tells_who_answered_after_how_many_attempts() -> None:
    async with place() as p:
        await p.openai.switch(Fault(Kind.STATUS, status=503))
        done = await p.run(chat, stream=True, stdin="hi\n")
        assert BY.findall(done.out) == [("anthropic/claude-sonnet-4-6", "4")]


@pytest.mark.parametrize("kind", [Kind.CUT, Kind.ERROR_INSIDE, Kind.MALFORMED])
async def test_an_answer_that_fails_leaves_the_conversation_as_it_was(kind: Kind) -> None:
    async with place() as p:
        p.openai.script(Answer("fine"), Answer("one two three four", fault=Fault(kind, tokens=2)))
        done = await p.run(chat, stream=True, stdin="first\nsecond\nthird\n")
        assert done.code == 1
        assert "(the conversation is as it was before)" in done.err
        assert len(BY.findall(done.out)) == 2
        assert said(p, -1) == ["first", "fine", "third"]


async def test_stdin_that_is_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    async with place() as p:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9\n"), encoding="utf-8"))
        with pytest.raises(Trouble, match="stdin is no UTF-8 text"):
            await asyncio.to_thread(chat, Wishes(), p.environ)


async def test_nobody_answers() -> None:
    async with place() as p:
        p.environ = {"SIDECAR_HTTP": "http://127.0.0.1:1"}
        done = await p.run(chat, stream=True, stdin="hi\n", model="smart")
        assert done.code == 1
        assert "Is a sidecar running?" in done.err


async def test_clear_forgets() -> None:
    async with place() as p:
        made = await talk(p, "first", "/clear", "second")
        assert said(p, 1) == ["second"]
        assert len(made.turns) == 2


async def test_retry_asks_again_what_was_answered() -> None:
    async with place() as p:
        made = await talk(p, "first", "second", "/retry")
        assert said(p, 2) == said(p, 1) == ["first", "You said: first", "second"]
        assert len(made.turns) == 4


async def test_retry_asks_again_what_failed() -> None:
    async with place() as p:
        p.openai.script(Answer("one two", fault=Fault(Kind.CUT, tokens=1)))
        made = await talk(p, "first", "/retry")
        assert said(p, 1) == ["first"]
        assert [turn["content"] for turn in made.turns] == ["first", "You said: first"]


async def test_retry_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    async with place() as p:
        await talk(p, "/retry")
        assert capsys.readouterr().out == "Nothing was asked yet.\n"
        assert p.counts == (0, 0)


async def test_another_model(capsys: pytest.CaptureFixture[str]) -> None:
    async with place() as p:
        made = await talk(p, "/model clever", "/model", "hi")
        assert made.model == "clever"
        assert p.counts == (0, 1)
        out = capsys.readouterr().out
        assert out.startswith(
            "The model is clever.\nThe model is clever.\nYou said: hi\nby anthropic/claude-opus-4-6, "
        )


async def test_another_model_that_does_not_lead_where_it_should(capsys: pytest.CaptureFixture[str]) -> None:
    async with place() as p:
        made = Talk(await asyncio.to_thread(Line, Wishes(upstream="openai"), p.environ), "smart")
        assert await asyncio.to_thread(made.take, "/model clever")
        assert made.model == "smart"
        assert "clever does not lead to openai" in capsys.readouterr().err


async def test_help_and_what_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    async with place() as p:
        made = await talk(p, "/help", "/halp \x1b", "  ")
        out = capsys.readouterr().out
        assert out.count("/retry         ask the last question again") == 2
        assert "There is no /halp." in out
        assert p.counts == (0, 0)
        assert not made.take("/exit")


async def test_a_person_may_ask_again_where_nobody_listened(capsys: pytest.CaptureFixture[str]) -> None:
    async with place() as p:
        line = Line(Wishes(), {"SIDECAR_HTTP": "http://127.0.0.1:1"})
        assert Talk(line, "smart").take("hi")
        assert "Is a sidecar running?" in capsys.readouterr().err
        assert p.counts == (0, 0)


async def test_an_answer_that_says_nothing_is_no_turn(capsys: pytest.CaptureFixture[str]) -> None:
    async with place() as p:
        p.openai.script(Answer([""]))
        made = await talk(p, "first")
        assert made.turns == []
        assert "without text" in capsys.readouterr().out


async def test_an_outage_and_after() -> None:
    async with place() as p:
        await p.openai.switch(Fault(Kind.STATUS, status=400))
        made = await talk(p, "first")
        assert made.turns == []
        await p.openai.switch(HEALTHY)
        assert await asyncio.to_thread(made.take, "/retry")
        assert len(made.turns) == 2
