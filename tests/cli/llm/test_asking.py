"""A line to the http listener: which model it asks for, and what `-v` tells."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sidecar.cli.llm.asking import Line, Wishes
from sidecar.cli.llm.conversation import user
from sidecar.cli.trouble import Trouble
from tests.kit.llm_commands import place

if TYPE_CHECKING:
    from tests.kit.llm_commands import Place


def asked(p: Place, wishes: Wishes, model: str = "smart") -> str:
    line = Line(wishes, p.environ)
    answer, pieces = line.ask(model, [user("hi")], stream=wishes.stream)
    text = "".join(pieces)
    line.tell_cost(answer)
    return text


async def test_the_heads_are_told_to_who_asks(capsys: pytest.CaptureFixture[str]) -> None:
    async with place() as p:
        wishes = Wishes(verbose=True, retry=False, fallback=False, stream=True, key="sk-secret")
        assert await asyncio.to_thread(asked, p, wishes) == "You said: hi"
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.splitlines()[:8] == [
            f"> POST {p.sidecar.url}/v1/chat/completions",
            "> model: smart, stream",
            "> X-Sidecar-Retry: off",
            "> X-Sidecar-Fallback: off",
            "< 200",
            "< route: llm",
            "< upstream: openai",
            "< model: gpt-4o",
        ]
        assert told.err.splitlines()[-1] == "< tokens: 4 in, 3 out"
        assert "sk-secret" not in told.err


async def test_nothing_is_told_to_who_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    async with place() as p:
        await asyncio.to_thread(asked, p, Wishes())
        assert capsys.readouterr().err == ""


async def test_what_was_dropped_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    async with place() as p:
        assert await asyncio.to_thread(asked, p, Wishes(verbose=True), "clever") == "You said: hi"
        assert "< upstream: anthropic" in capsys.readouterr().err


async def test_a_model_that_is_named_is_asked_for_as_it_is() -> None:
    async with place() as p:
        line = await asyncio.to_thread(Line, Wishes(), p.environ)
        assert line.model("anything") == "anything"
        assert p.counts == (0, 0)
        assert await asyncio.to_thread(line.model, None) == "smart"
        assert p.counts == (0, 0)


async def test_without_an_admin_listener_the_list_names_the_first_model() -> None:
    async with place() as p:
        environ = {"SIDECAR_HTTP": p.sidecar.url, "SIDECAR_ADMIN": "http://127.0.0.1:1"}
        line = await asyncio.to_thread(Line, Wishes(), environ)
        assert await asyncio.to_thread(line.model, None) == "smart"


async def test_an_upstream_needs_the_admin_listener() -> None:
    async with place() as p:
        environ = {"SIDECAR_HTTP": p.sidecar.url, "SIDECAR_ADMIN": "http://127.0.0.1:1"}
        line = await asyncio.to_thread(Line, Wishes(upstream="openai"), environ)
        with pytest.raises(Trouble, match="does not answer"):
            await asyncio.to_thread(line.model, "smart")


async def test_an_admin_listener_that_is_none() -> None:
    async with place() as p:
        with pytest.raises(Trouble, match="is it an admin listener"):
            await asyncio.to_thread(Line, Wishes(admin=p.openai.url), {})


def test_nobody_answers() -> None:
    line = Line(Wishes(), {"SIDECAR_HTTP": "http://127.0.0.1:1"})
    with pytest.raises(Trouble, match=r"does not answer: Connection refused\. Is a sidecar running\?"):
        list(line.ask("smart", [user("hi")], stream=True)[1])
