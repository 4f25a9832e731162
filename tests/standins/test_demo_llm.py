"""The demo's LLM providers: an outage, a stream that breaks and a limit, behind a sidecar with the demo's policy."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp

from sidecar.standins.demo_llm import FAULTY, TAKES, Asks, Providers
from sidecar.standins.demo_policy import policy
from tests.kit.commands import shell
from tests.kit.running import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sidecar.standins.demo_beamline import Told

NOBODY = dict.fromkeys(("steady", "flaky", "slow", "gone", "moody", "gateway"), "http://127.0.0.1:9")
ANYWHERE = "127.0.0.1:0"


@asynccontextmanager
async def played() -> AsyncIterator[tuple[Providers, str]]:
    """The providers, and where a sidecar before them listens."""
    providers = Providers()
    urls = NOBODY | {"router": "grpc://127.0.0.1:9"} | await providers.start()
    try:
        async with running(policy(ANYWHERE, ANYWHERE, ANYWHERE, urls)) as sidecar:
            yield providers, sidecar.url
    finally:
        await providers.stop()


async def test_each_call_is_answered_well_whatever_happens_to_its_provider() -> None:
    lines: list[str] = []

    async def tell(told: Told) -> None:
        assert told.well
        assert 0 < told.seconds < 15
        lines.append(f"{told.what} {told.status} by {told.fields['x-sidecar-model']}")

    async with played() as (providers, url), aiohttp.ClientSession() as session:
        await Asks(providers, session, url, tell).story(lines.append)
        assert providers.openai.fault == FAULTY
    assert [line.strip() for line in lines if not line.startswith("\n")] == [
        "chat 200 by gpt-4o",
        "messages 200 by gpt-4o",
        "chat 200 by claude-haiku-4-5",
        "messages 200 by claude-haiku-4-5",
        "chat 200 by gpt-4o",
        "its caller reads: You said: How will this end?",
        "chat 200 by tiny",
        "chat 200 by tiny",
        "chat 200 by claude-haiku-4-5",
        f"it was asked {TAKES} times",
    ]


async def test_what_it_tells_to_try_does_what_it_says() -> None:
    async with played() as (providers, url):
        await providers.openai.switch(FAULTY)
        (chat, _), (messages, _), (models, _), (cut, _) = providers.hints(url)
        answered = [(await shell(chat)).lower() for _ in range(2)]
        assert all(answer.startswith("http/1.1 200") for answer in answered)
        assert {"gpt-4o" in answer for answer in answered} == {True, False}
        assert "event: message_stop" in await shell(messages)
        assert '"smart"' in await shell(models)
        assert '"cut"' in await shell(cut)
        streamed = (await shell(messages)).lower()
        assert "x-sidecar-model: gpt-4o" in streamed
        assert "event: message_stop" in streamed
