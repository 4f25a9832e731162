"""What passes through to a provider and back: fields of the hop, streams that refuse late."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.kit.running import running
from tests.kit.scripted import reply, scripted

if TYPE_CHECKING:
    from tests.kit.caller import Answer
    from tests.kit.running import Running
    from tests.kit.scripted import Scripted

CHAT = "/v1/chat/completions"


def policy(first: str, second: str = "http://127.0.0.1:9/v1", route: str = "") -> str:
    """One model, `both`, of two providers with OpenAI's dialect; anything else is the first one's."""
    return f"""
[upstreams.first]
protocol = "openai"
url = "{first}/v1"
api_key = "sk-ours"
[upstreams.second]
protocol = "openai"
url = "{second}/v1"
api_key = "sk-ours-too"
[routes.llm]
match = {{ path = "/v1/*" }}
chain = ["first"]
{route}
[models.both]
chain = ["first/a", "second/b"]
"""


def chunk(finish: str | None = None, **delta: str) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: %b\n\n" % json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": [choice]}).encode()


def streamed(*events: bytes) -> bytes:
    return reply("200 OK", "Content-Type: text/event-stream", body=b"".join(events) + b"data: [DONE]\n\n")


SAID = streamed(chunk(content="yes"), chunk(finish="stop"))


def around(first: Scripted, second: Scripted) -> str:
    """Refusals are routed around."""
    return policy(first.url, second.url, "fallback_on_refusal = true")


async def ask(sidecar: Running, **told: Any) -> Answer:
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}], **told}).encode()
    return await sidecar.ask(CHAT, "Content-Type: application/json", method="POST", body=body)


async def test_a_caller_that_takes_trailers_says_so_to_the_provider() -> None:
    async with scripted() as provider, running(policy(provider.url)) as sidecar:
        await sidecar.ask("/v1/files", "TE: trailers", "Connection: TE")
        assert provider.fields()["te"] == "trailers"


async def test_a_refusal_that_comes_late_falls_back_to_nobody_though_all_of_it_is_read_at_once() -> None:
    late = streamed(chunk(content="I"), chunk(finish="content_filter"))
    async with scripted(late) as first, scripted(SAID) as second, running(around(first, second)) as sidecar:
        answer = await ask(sidecar, model="both", stream=True)
        assert (answer.fields["x-sidecar-upstream"], len(second.requests)) == ("first", 0)
        assert b"content_filter" in answer.body


async def test_one_that_comes_first_is_routed_around_where_the_route_says_so() -> None:
    at_once = streamed(chunk(content="", role="assistant"), chunk(finish="content_filter"))
    async with scripted(at_once) as first, scripted(SAID) as second, running(around(first, second)) as sidecar:
        answer = await ask(sidecar, model="both", stream=True)
        assert (answer.fields["x-sidecar-upstream"], len(first.requests)) == ("second", 1)


CUT = rb"""{"id":"c","object":"chat.completion","usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5},
"choices":[{"index":0,"message":{"role":"assistant","content":" \ud83d"},"logprobs":NaN,"finish_reason":"length"}]}"""


async def test_json_that_clients_can_read_goes_both_ways_byte_for_byte() -> None:
    body = rb'{"model":"both","messages":[{"role":"user","content":"half a pair: \ud83d"}]}'
    json_type = "Content-Type: application/json"
    async with scripted(reply("200 OK", json_type, body=CUT)) as first, running(policy(first.url)) as sidecar:
        answer = await sidecar.ask(CHAT, json_type, method="POST", body=body)
        assert (answer.status, answer.body) == (200, CUT)
        assert first.bodies == [body.replace(b'"both"', b'"a"')]


async def test_a_call_that_comes_back_from_a_provider_is_a_loop_though_providers_get_no_via() -> None:
    async with scripted(SAID) as provider, running(policy(provider.url)) as sidecar:
        await ask(sidecar, model="both", stream=True)
        sent = provider.fields()
        assert "via" not in sent
        key = f"Idempotency-Key: {sent['idempotency-key']}"
        answer = await sidecar.ask(CHAT, "Content-Type: application/json", key, method="POST", body=b"{}")
        assert (answer.status, json.loads(answer.body)["error"]["code"]) == (508, "loop_detected")
        assert len(provider.requests) == 1
