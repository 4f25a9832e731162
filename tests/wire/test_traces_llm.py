"""What a collector gets of calls to LLM providers: the conventions for generative AI."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.standins.llm_faults import Fault, Kind
from tests.kit.llm_caller import CLAUDE, GPT
from tests.kit.llm_stage import ANTHROPIC, CLAUDE_ONLY, GPT_FIRST, GPT_ONLY, OPENAI, SAID, stage
from tests.kit.otlp import collecting
from tests.kit.running import one, running, until
from tests.kit.scripted import reply, scripted

if TYPE_CHECKING:
    from tests.kit.otlp import Span

pytestmark = pytest.mark.usefixtures("spans_at_once")

THEIRS = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
DOWN = Fault(Kind.STATUS, status=500)
SLOW = Fault(Kind.SLOW, delay=0.3)


def genai(span: Span) -> dict[str, Any]:
    told = {name.removeprefix("gen_ai."): value for name, value in span.said.items() if name.startswith("gen_ai.")}
    if "response.time_to_first_chunk" in told:
        told["response.time_to_first_chunk"] = told["response.time_to_first_chunk"] > 0
    return told


@pytest.mark.parametrize(
    ("client", "model", "asked"),
    [(OPENAI, GPT_ONLY, GPT), (ANTHROPIC, CLAUDE_ONLY, CLAUDE), (ANTHROPIC, GPT_ONLY, GPT)],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_and_what_it_cost(client: str, model: str, asked: str, streamed: bool) -> None:
    async with collecting() as collector, stage(more=collector.policy) as s:
        got = await s.ask(model, client=client, stream=streamed)
        server, attempt = await collector.spans(2)
    provider = OPENAI if asked == GPT else ANTHROPIC
    assert got.text == SAID
    assert (server.kind, server.name.partition(" ")[0], attempt.name) == ("server", "POST", f"chat {asked}")
    stream = {"request.stream": True, "response.time_to_first_chunk": True} if streamed else {}
    assert genai(attempt) == {
        "operation.name": "chat", "provider.name": provider, "request.model": asked, "response.model": asked,
        "usage.input_tokens": 5, "usage.output_tokens": 4, **stream,
    }  # fmt: skip
    assert genai(server) == {}
    assert "hi there" not in str((server, attempt))
    assert "sk-" not in str((server, attempt))


ANSWERED = "gpt-4o-2024-08-06"
COMPLETION = {"object": "chat.completion", "choices": [{"index": 0, "message": {"content": "a"}}]}
CHUNK = {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    ("told", "heard"),
    [({"model": ANSWERED}, ANSWERED), ({}, None), ({"model": 7}, None), ({"model": "x" * 9000}, "x" * 128)],
    ids=["another", "none", "no text", "long"],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_which_model_answered_is_the_provider_s_word(
    told: dict[str, Any], heard: str | None, streamed: bool
) -> None:
    if streamed:
        events = b"data: " + json.dumps({**CHUNK, **told}).encode() + b"\n\ndata: [DONE]\n\n"
        answer = reply("200 OK", "Content-Type: text/event-stream", body=events)
    else:
        answer = reply("200 OK", "Content-Type: application/json", body=json.dumps({**COMPLETION, **told}).encode())
    async with (
        collecting() as collector,
        scripted(answer) as provider,
        running(one(provider.url, upstream='protocol = "openai"') + collector.policy) as sidecar,
    ):
        asked = json.dumps({"model": "gpt-4o", "stream": streamed, "messages": []}).encode()
        await sidecar.ask("/v1/chat/completions", "Content-Type: application/json", method="POST", body=asked)
        _, attempt = await collector.spans(2)
    assert attempt.said["gen_ai.request.model"] == "gpt-4o"
    assert attempt.said.get("gen_ai.response.model") == heard


async def test_a_fallback_to_another_provider() -> None:
    async with collecting() as collector, stage(more=collector.policy, retry="tries = 2") as s:
        await s.openai.switch(DOWN)
        await s.ask(GPT_FIRST, extra_headers={"traceparent": THEIRS})
        server, *attempts = await collector.spans(4)
    assert [span.name for span in attempts] == [f"chat {GPT}", f"chat {GPT}", f"chat {CLAUDE}"]
    assert [span.said.get("http.request.resend_count") for span in attempts] == [None, 1, None]
    assert [span.status for span in (server, *attempts)] == ["unset", "error", "error", "unset"]
    assert server.parent == THEIRS.split("-")[2]
    assert "sidecar.fallback" in [name for name, _ in server.events]
    # A provider is told nothing that the caller did not say itself.
    assert {seen.header("traceparent") for seen in (*s.openai.requests, *s.anthropic.requests)} == {THEIRS}


async def test_a_provider_learns_nothing_of_a_trace_that_began_here() -> None:
    async with collecting() as collector, stage(more=collector.policy) as s:
        await s.ask(GPT_ONLY)
        await collector.spans(2)
    assert [seen.header("traceparent") for seen in s.openai.requests] == [""]


async def test_an_equal_call_waits_for_the_first_and_has_no_attempt_of_its_own() -> None:
    key: dict[str, Any] = {"extra_headers": {"Idempotency-Key": "order-7"}}
    async with collecting() as collector, stage(more=collector.policy) as s:
        await s.openai.switch(SLOW)
        first = asyncio.create_task(s.ask(GPT_ONLY, **key))
        await until(lambda: sum(s.counts) > 0)
        await asyncio.gather(first, s.ask(GPT_ONLY, **key))
        spans = await collector.spans(3)
    assert [span.kind for span in spans] == ["server", "client", "server"]
    (event,) = spans[2].events
    assert (event[0], event[1]["sidecar.wait.reason"]) == ("sidecar.wait", "equal_call")
    assert [span.said["sidecar.upstream"] for span in spans[::2]] == ["openai", "openai"]
