"""`models`, `send` and `chat` as typed: what each flag does."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from typer.testing import CliRunner

from sidecar.cli.app import app
from sidecar.cli.trouble import Trouble
from sidecar.standins.llm_faults import Fault, Kind
from tests.kit.llm_commands import Place, place

NOTHING: dict[str, str | None] = dict.fromkeys(
    [
        "SIDECAR_HTTP",
        "SIDECAR_ADMIN",
        "SIDECAR_HTTP_TOKEN",
        "SIDECAR_ADMIN_TOKEN",
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
    ]
)
"""What the shell of who runs the tests may have, and these must not."""


async def typed(p: Place, *arguments: str, stdin: str = "") -> Any:
    return await asyncio.to_thread(CliRunner(env={**NOTHING, **p.environ}).invoke, app, arguments, input=stdin)


async def test_models() -> None:
    async with place() as p:
        assert (await typed(p, "models")).stdout.startswith("model")
        done = await typed(p, "models", "-p", "anthropic", "-u", "openai", "-k", "sk-1", "--json")
        assert [model["id"] for model in json.loads(done.stdout)["models"]] == ["smart"]
        done = await typed(p, "models", "-m", "clever", "--no-retry", "--no-fallback", "-v")
        assert [line.split()[0] for line in done.stdout.splitlines()] == ["model", "clever"]
        assert "> X-Sidecar-Retry: off" in done.stderr


async def test_send() -> None:
    async with place() as p:
        done = await typed(p, "send", "hi")
        assert (done.exit_code, done.stdout) == (0, "You said: hi\n")
        done = await typed(
            p, "send", "-m", "clever", "-p", "anthropic", "-u", "anthropic", "--stream", "-v", "-", stdin="hi"
        )
        assert (done.exit_code, done.stdout) == (0, "You said: hi\n")
        assert "> model: clever, stream" in done.stderr
        assert json.loads((await typed(p, "send", "hi", "--json")).stdout)["text"] == "You said: hi"


async def test_no_retry_and_no_fallback() -> None:
    async with place() as p:
        await p.openai.switch(Fault(Kind.STATUS, status=503))
        done = await typed(p, "send", "hi", "--no-retry", "--no-fallback")
        assert isinstance(done.exception, Trouble)
        assert p.counts == (1, 0)


async def test_chat() -> None:
    async with place() as p:
        done = await typed(p, "chat", "--no-retry", "--no-fallback", "-k", "sk-1", stdin="hi\n")
        assert (done.exit_code, done.stdout.splitlines()[0]) == (0, "You said: hi")


async def test_the_admin_listener_and_its_token_may_be_told() -> None:
    async with place() as p:
        where = p.environ.pop("SIDECAR_ADMIN")
        done = await typed(p, "send", "hi", "--admin", where, "--token", "t")
        assert done.stdout == "You said: hi\n"
        done = await typed(p, "models", "--admin", "127.0.0.1:1")
        assert "does not answer" in str(done.exception)


@pytest.mark.parametrize("arguments", [["send", "-m"], ["send", "a", "b"], ["chat", "hi"]])
def test_bad_usage(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2
