"""A program that was never changed, between providers that refuse every other request: it sees none of that."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from sidecar.standins.anthropic import AnthropicStandin
from sidecar.standins.llm_faults import Fault, Kind
from sidecar.standins.openai import OpenAIStandin
from tests.kit.executed import executed

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import anthropic, openai
gpt, claude = openai.OpenAI(), anthropic.Anthropic()
asked = [{"role": "user", "content": "Hello"}]
for round in range(8):
    said = gpt.chat.completions.create(model="gpt-4o", messages=asked)
    print("gpt", said.choices[0].finish_reason)
    for chunk in gpt.chat.completions.create(model="gpt-4o", messages=asked, stream=True):
        if chunk.choices[0].finish_reason:
            print("gpt streams", chunk.choices[0].finish_reason)
    said = claude.messages.create(model="claude-haiku-4-5", max_tokens=64, messages=asked)
    print("claude", said.stop_reason)
    with claude.messages.stream(model="claude-haiku-4-5", max_tokens=64, messages=asked) as stream:
        print("claude streams", stream.get_final_message().stop_reason)
print([model.id for model in gpt.models.list()][:1], [model.id for model in claude.models.list()][:1])
"""
EVERY_OTHER = Fault(Kind.STATUS, status=503, share=0.5, retry_after_ms="5")


async def test_sdks_as_their_makers_made_them_have_an_answer_to_every_call(tmp_path: Path) -> None:
    """Their own keys arrive, their own retries rest, and a proxy that the environment names is not in the way."""
    async with (
        OpenAIStandin(key="sk-openai", fault=EVERY_OTHER) as openai,
        AnthropicStandin(key="sk-anthropic", fault=EVERY_OTHER) as anthropic,
        executed(
            sys.executable, "-c", PROGRAM, folder=tmp_path, HTTP_PROXY="http://127.0.0.1:9", ALL_PROXY="",
            OPENAI_API_KEY="sk-openai", OPENAI_BASE_URL=openai.api,
            ANTHROPIC_API_KEY="sk-anthropic", ANTHROPIC_BASE_URL=anthropic.url,
        ) as program,
    ):  # fmt: skip
        code, out, err = await program.ended()
    assert code == 0, err
    said = ["gpt stop", "gpt streams stop", "claude end_turn", "claude streams end_turn"] * 8
    assert out.splitlines()[:-1] == said
    assert out.splitlines()[-1] == "['gpt-4o'] ['claude-sonnet-5-5']"
    for provider in (openai, anthropic):
        assert provider.faulty >= 16
        assert {seen.header("x-stainless-retry-count") for seen in provider.requests} == {"0"}
