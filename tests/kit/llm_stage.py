"""A whole sidecar between the providers' own clients and a stand-in for each provider.

async with stage() as s:
    got = await s.ask(GPT_ONLY)
    assert (got.text, got.upstream, s.counts) == ("You said: hi there", "openai", (1, 0))
"""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anthropic
import openai
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from sidecar.standins.anthropic import AnthropicStandin
from sidecar.standins.openai import OpenAIStandin
from tests.kit.llm_caller import CLAUDE, GPT
from tests.kit.running import running
from tests.kit.told import Told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from sidecar.standins.llm_provider import Provider
    from tests.kit.running import Running

GPT_ONLY = "gpt-only"
CLAUDE_ONLY = "claude-only"
GPT_FIRST = "gpt-first"
CLAUDE_FIRST = "claude-first"
"""The models of the policy file: which providers they lead to."""

OPENAI, ANTHROPIC = "openai", "anthropic"
HI = "hi there"
SAID = "You said: hi there"
"""What the stand-in models answer to it: four tokens, for five of the prompt."""

ALONE = {OPENAI: GPT_ONLY, ANTHROPIC: CLAUDE_ONLY}
"""The chain of that provider alone."""
FIRST = {OPENAI: GPT_FIRST, ANTHROPIC: CLAUDE_FIRST}
"""The chain that begins with that provider."""
OTHER = {OPENAI: ANTHROPIC, ANTHROPIC: OPENAI}
MODEL = {OPENAI: GPT, ANTHROPIC: CLAUDE}
"""The model that the chains ask that provider for."""

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Nothing here is encrypted, and reading the certificate authorities takes longer than most of these tests."""

POLICY = """
[policies.default.retry]
backoff = "1ms"
max_backoff = "2ms"
{retry}
{policies}
[upstreams.openai]
protocol = "openai"
url = "{openai}"
api_key = "sk-ours-openai"
{openai_keys}
[upstreams.anthropic]
protocol = "anthropic"
url = "{anthropic}"
api_key = "sk-ours-anthropic"
{anthropic_keys}
[routes.llm]
match = {{ path = "/v1/*" }}
chain = ["openai"]
{route}
[routes.anthropic]
match = {{ path = "/v1/*", headers = {{ anthropic-version = "*" }} }}
chain = ["anthropic"]
{route}
[models.gpt-only]
chain = ["openai/gpt-4o"]
[models.claude-only]
chain = [{claude}]
[models.gpt-first]
chain = ["openai/gpt-4o", {claude}]
[models.claude-first]
chain = [{claude}, "openai/gpt-4o"]
{more}
"""
LINK = '{{ upstream = "anthropic", model = "{model}", prefill = true }}'


@dataclass(slots=True)
class Got(Told):
    """What a client's user has at the end, in words that both dialects share.

    `text` is what came before the error, if there was one. `usage` are tokens in and out.
    """

    text: str = ""
    model: str = ""
    stop: str | None = None
    usage: tuple[int, int] | None = None
    tools: list[tuple[str, str]] = field(default_factory=list)
    error: Exception | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """Of the error; 0 for one that is not an answer of its own, such as the break of a stream."""
        return self.error.status_code if isinstance(self.error, openai.APIStatusError | anthropic.APIStatusError) else 0

    @property
    def kind(self) -> str:
        """The class of the exception."""
        return type(self.error).__name__ if self.error is not None else ""


@dataclass
class Stage:
    """All that plays: both providers, the sidecar, and both clients in front of it, which never try again."""

    openai: OpenAIStandin
    anthropic: AnthropicStandin
    sidecar: Running
    gpt: AsyncOpenAI
    claude: AsyncAnthropic

    @property
    def counts(self) -> tuple[int, int]:
        """How many requests OpenAI and Anthropic have got."""
        return self.openai.count, self.anthropic.count

    def asked(self, broken: str) -> tuple[int, int]:
        """How many requests the provider that is broken has got, and the other one."""
        one, other = self.counts
        return (one, other) if broken == OPENAI else (other, one)

    def provider(self, dialect: str) -> Provider:
        return self.openai if dialect == OPENAI else self.anthropic

    async def ask(self, model: str, *, client: str = OPENAI, stream: bool = False, **more: Any) -> Got:
        """What a user of that client gets, whole or as a stream. `more` is of the client's method."""
        if client == OPENAI:
            return await _of_openai(self.gpt, stream=stream, **{**_chat(model), **more})
        return await _of_anthropic(self.claude, stream=stream, **{**_message(model), **more})


def _chat(model: str) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": HI}]}


def _message(model: str) -> dict[str, Any]:
    return {**_chat(model), "max_tokens": 1000}


async def _of_openai(client: AsyncOpenAI, *, stream: bool, **asked: Any) -> Got:
    got = Got()
    try:
        if stream:
            asked.setdefault("stream_options", {"include_usage": True})
        raw: Any = await client.chat.completions.with_raw_response.create(stream=stream, **asked)
        got.headers = raw.headers
        if not stream:
            _completed(got, raw.parse())
            return got
        async for chunk in raw.parse():
            _chunked(got, chunk)
    except openai.OpenAIError as error:
        _failed(got, error)
    return got


def _completed(got: Got, completion: Any) -> None:
    choice = completion.choices[0]
    got.text, got.model, got.stop = choice.message.content or "", completion.model, choice.finish_reason
    got.tools = [(call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()]
    got.usage = _tokens_of_openai(completion.usage)


def _chunked(got: Got, chunk: Any) -> None:
    got.model = chunk.model
    if chunk.usage is not None:
        got.usage = _tokens_of_openai(chunk.usage)
    for choice in chunk.choices:
        got.text += choice.delta.content or ""
        got.stop = choice.finish_reason or got.stop
        for call in choice.delta.tool_calls or ():
            if call.index == len(got.tools):
                got.tools.append((call.function.name, ""))
            name, arguments = got.tools[call.index]
            got.tools[call.index] = (name, arguments + (call.function.arguments or ""))


def _tokens_of_openai(usage: Any) -> tuple[int, int] | None:
    return None if usage is None else (usage.prompt_tokens, usage.completion_tokens)


async def _of_anthropic(client: AsyncAnthropic, *, stream: bool, **asked: Any) -> Got:
    got = Got()
    try:
        raw: Any = await client.messages.with_raw_response.create(stream=stream, **asked)
        got.headers = raw.headers
        if not stream:
            _answered(got, await raw.parse())
            return got
        async for event in await raw.parse():
            _heard(got, event)
    except anthropic.AnthropicError as error:
        _failed(got, error)
    return got


def _answered(got: Got, message: Any) -> None:
    got.text = "".join(block.text for block in message.content if block.type == "text")
    got.tools = [(block.name, str(block.input)) for block in message.content if block.type == "tool_use"]
    got.model, got.stop = message.model, message.stop_reason
    got.usage = _tokens_of_anthropic(message.usage)


def _heard(got: Got, event: Any) -> None:
    match event.type:
        case "message_start":
            got.model = event.message.model
            got.usage = _tokens_of_anthropic(event.message.usage)
        case "content_block_start" if event.content_block.type == "tool_use":
            got.tools.append((event.content_block.name, ""))
        case "content_block_delta" if event.delta.type == "text_delta":
            got.text += event.delta.text
        case "content_block_delta" if event.delta.type == "input_json_delta":
            name, arguments = got.tools[-1]
            got.tools[-1] = (name, arguments + event.delta.partial_json)
        case "message_delta":
            got.stop = event.delta.stop_reason
            if event.usage is not None:
                came = got.usage[0] if got.usage else 0
                got.usage = (event.usage.input_tokens or came, event.usage.output_tokens)


def _tokens_of_anthropic(usage: Any) -> tuple[int, int] | None:
    return None if usage is None else (usage.input_tokens, usage.output_tokens)


def _failed(got: Got, error: Exception) -> None:
    got.error = error
    if isinstance(error, openai.APIStatusError | anthropic.APIStatusError):
        got.headers = error.response.headers


@asynccontextmanager
async def stage(
    *,
    openai_keys: str = "",
    anthropic_keys: str = "",
    retry: str = "",
    policies: str = "",
    route: str = "",
    more: str = "",
    key: str = "sk-caller",
    claude: str = CLAUDE,
) -> AsyncIterator[Stage]:
    """Lines for the policy file by where they stand; `key` is what both clients send as their own."""
    async with OpenAIStandin() as first, AnthropicStandin() as second:
        urls = {"openai": first.api, "anthropic": second.api, "claude": LINK.format(model=claude)}
        keys = {"openai_keys": openai_keys, "anthropic_keys": anthropic_keys}
        policy = POLICY.format(**urls, **keys, retry=retry, policies=policies, route=route, more=more)
        if "api_key" in openai_keys + anthropic_keys:
            policy = _said_once(policy)
        async with (
            running(policy) as sidecar,
            openai_to(sidecar, key) as gpt,
            anthropic_to(sidecar, key) as claude_client,
        ):
            yield Stage(first, second, sidecar, gpt, claude_client)


def _said_once(policy: str) -> str:
    """Without the keys that a test says otherwise on the next line."""
    lines = policy.split("\n")
    return "\n".join(
        line
        for line, later in zip(lines, [*lines[1:], ""], strict=True)
        if not (line.startswith("api_key") and later.startswith("api_key"))
    )


@asynccontextmanager
async def openai_to(sidecar: Running, key: str = "sk-caller", **more: Any) -> AsyncIterator[AsyncOpenAI]:
    """OpenAI's client as its user would point it at the sidecar. `more` is of its own arguments."""
    more = {"max_retries": 0, "http_client": openai.DefaultAsyncHttpxClient(verify=NO_TLS), **more}
    async with AsyncOpenAI(base_url=f"{sidecar.url}/v1", api_key=key, **more) as client:
        yield client


@asynccontextmanager
async def anthropic_to(sidecar: Running, key: str = "sk-caller", **more: Any) -> AsyncIterator[AsyncAnthropic]:
    """Anthropic's, the same."""
    more = {"max_retries": 0, "http_client": anthropic.DefaultAsyncHttpxClient(verify=NO_TLS), **more}
    async with AsyncAnthropic(base_url=sidecar.url, api_key=key, **more) as client:
        yield client
