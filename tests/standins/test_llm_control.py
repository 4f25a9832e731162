"""What curl may do with a stand-in provider, and its command line."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import Any

import pytest

from sidecar.standins.llm_faults import Fault, Kind
from sidecar.standins.openai import OpenAIStandin
from tests.kit.llm_caller import bytes_of, chat


async def curl(provider: OpenAIStandin, path: str, document: Any = None) -> tuple[int, Any]:
    told = await bytes_of(provider, b"" if document is None else document, path, "POST" if document else "GET")
    body = told.body
    if told.field("transfer-encoding"):
        body = b"".join(told.chunks[0])
    return told.status, json.loads(body)


async def test_a_fault_is_switched_and_told() -> None:
    async with OpenAIStandin() as provider:
        status, told = await curl(provider, "/_fault", {"kind": "status", "status": 429, "times": 1})
        assert (status, told["fault"]["kind"], told["fault"]["times"]) == (200, "status", 1)
        assert (await bytes_of(provider, chat())).status == 429
        assert (await bytes_of(provider, chat())).status == 200
        _, told = await curl(provider, "/_fault")
    assert (told["name"], told["dialect"], told["requests"], told["faulty"]) == ("openai", "openai", 2, 1)


async def test_what_came_is_told_without_its_keys() -> None:
    async with OpenAIStandin() as provider:
        await bytes_of(provider, chat(), fields={"Authorization": "Bearer sk-secret", "api-key": "sk-secret"})
        _, [seen] = await curl(provider, "/_requests")
    assert (seen["method"], seen["path"], seen["body"], seen["fault"]) == (
        "POST",
        "/v1/chat/completions",
        chat(),
        "none",
    )
    assert ["Authorization", "***"] in seen["headers"]
    assert "sk-secret" not in json.dumps(seen)


async def test_answers_are_told_beforehand() -> None:
    script = [
        {"text": ["Hel", "lo"], "usage": {"input": 5, "output": 6}, "headers": {"x-more": "1"}},
        {"thinking": "Hm.", "tools": [{"name": "get_time", "arguments": {"zone": "UTC"}}], "stop": "stop"},
        {"refusal": "No.", "fault": {"kind": "slow", "delay": 0}},
    ]
    async with OpenAIStandin() as provider:
        assert await curl(provider, "/_script", script) == (200, {"scripted": 3})
        replies = [await bytes_of(provider, chat()) for _ in script]
    first, second, third = [json.loads(told.body) for told in replies]
    assert first["choices"][0]["message"]["content"] == "Hello"
    assert (first["usage"]["total_tokens"], replies[0].field("x-more")) == (11, "1")
    [call] = second["choices"][0]["message"]["tool_calls"]
    assert (call["function"], second["choices"][0]["finish_reason"]) == (
        {"name": "get_time", "arguments": '{"zone":"UTC"}'},
        "stop",
    )
    assert third["choices"][0]["message"]["refusal"] == "No."
    assert provider.requests[-1].fault == Fault(Kind.SLOW, delay=0)


@pytest.mark.parametrize(
    ("path", "document", "status", "told"),
    [
        ("/_fault", [1], 400, "a fault is an object"),
        ("/_fault", {"kind": "explode"}, 400, "kind: 'explode' will not do"),
        ("/_fault", {"kind": "dead"}, 400, "lasts: 0.0 will not do for dead"),
        ("/_fault", b"{", 400, ""),
        ("/_script", {"text": "hi"}, 400, "answers are a list such as"),
        ("/_script", [{"txt": "hi"}], 400, "no txt (allowed: "),
        ("/_script", [{"tools": 1}], 400, "this is no answer: "),
        ("/_script", [{"usage": {"in": 1}}], 400, "this is no answer: "),
        ("/_else", None, 404, "GET or POST /_fault"),
    ],
)
async def test_a_mistake_is_told(path: str, document: Any, status: int, told: str) -> None:
    async with OpenAIStandin() as provider:
        answer = await curl(provider, path, document)
    assert answer[0] == status
    assert told in answer[1]["error"]


async def test_dead_for_a_while_it_answers_first() -> None:
    async with OpenAIStandin() as provider:
        assert (await curl(provider, "/_fault", {"kind": "dead", "lasts": 3600}))[0] == 200
        with pytest.raises(ConnectionRefusedError):
            await bytes_of(provider, chat())


@pytest.mark.parametrize("name", ["openai", "anthropic"])
async def test_each_runs_as_a_program(name: str) -> None:
    command = [sys.executable, "-m", f"sidecar.standins.{name}", "--fault", "slow:delay=1"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(50):
        said = (await process.stdout.readline()).decode().split()
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert said[0] == name
    assert said[1].startswith("http://127.0.0.1:")
    assert said[1].endswith("/v1")
    assert said[2] == "slow"
