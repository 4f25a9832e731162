"""How a person runs a stand-in provider: its command line, and its paths for curl.

`/_fault` tells the present fault and the counts, and switches it. `/_requests` has what
came. `/_script` takes what the model says to the next requests:
`[{"text": "Hello there"}, {"tools": [{"name": "get_time", "arguments": {}}], "stop": "tool_calls"}]`.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import signal
from typing import TYPE_CHECKING, Any

from aiohttp import web

from sidecar.llm import Usage
from sidecar.standins.llm_answers import Answer, Part, Refusal, Thinking, ToolCall
from sidecar.standins.llm_faults import HEALTHY, Fault, Kind

if TYPE_CHECKING:
    from sidecar.llm import Document
    from sidecar.standins.llm_provider import Provider

HIDDEN = {"authorization", "api-key", "x-api-key"}


async def answer(provider: Provider, request: web.BaseRequest) -> web.StreamResponse:
    """One of the paths for curl; what cannot be is a 400 with the reason."""
    try:
        match request.method, request.path:
            case "GET", "/_fault":
                return web.json_response(state(provider, provider.fault))
            case "POST", "/_fault":
                return await switch(provider, request)
            case "GET", "/_requests":
                return web.json_response([told(seen) for seen in provider.requests])
            case "POST", "/_script":
                provider.script(*asked_script(await request.json()))
                return web.json_response({"scripted": len(provider.scripted)})
            case _:
                return web.json_response({"error": "GET or POST /_fault, GET /_requests, POST /_script"}, status=404)
    except ValueError as error:
        return web.json_response({"error": str(error)}, status=400)


async def switch(provider: Provider, request: web.BaseRequest) -> web.StreamResponse:
    figures = await request.json()
    if not isinstance(figures, dict):
        raise ValueError('a fault is an object such as {"kind": "slow", "delay": 3}')  # noqa: TRY004  (all are a 400)
    fault = Fault.of(figures)
    if fault.kind is Kind.DEAD and not fault.lasts:
        raise ValueError("lasts: 0.0 will not do for dead: nobody could take it back over a closed port")
    response = web.json_response(state(provider, fault))
    # The answer leaves first: a dead one closes this connection too.
    await response.prepare(request)
    await response.write_eof()
    await provider.switch(fault)
    return response


def state(provider: Provider, fault: Fault) -> Document:
    return {
        "name": provider.name,
        "dialect": provider.dialect,
        "requests": provider.count,
        "faulty": provider.faulty,
        "abandoned": provider.abandoned,
        "scripted": len(provider.scripted),
        "fault": dataclasses.asdict(fault),
    }


def told(seen: Any) -> Document:
    """A request as it came, its keys left out."""
    fields = [[name, "***" if name.lower() in HIDDEN else value] for name, value in seen.headers]
    return {
        "method": seen.method,
        "path": seen.path,
        "query": seen.query,
        "headers": fields,
        "body": seen.body,
        "fault": seen.fault.kind,
    }


def asked_script(given: object) -> list[Answer]:
    """Raises `ValueError`."""
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise ValueError('answers are a list such as [{"text": "Hello there"}]')
    return [asked_answer(one) for one in given]


def asked_answer(given: Document) -> Answer:
    allowed = {"text", "thinking", "refusal", "tools", "stop", "usage", "headers", "fault"}
    if unknown := given.keys() - allowed:
        raise ValueError(f"no {', '.join(sorted(unknown))} (allowed: {', '.join(sorted(allowed))})")
    parts: list[str | list[str] | Part] = []
    try:
        if thinking := given.get("thinking"):
            parts.append(Thinking(str(thinking)))
        if text := given.get("text"):
            parts.append([str(one) for one in text] if isinstance(text, list) else str(text))
        if refusal := given.get("refusal"):
            parts.append(Refusal(str(refusal)))
        parts += [ToolCall(one["name"], one.get("arguments", {}), one.get("id", "")) for one in given.get("tools", [])]
        return Answer(
            *parts,
            stop=str(given.get("stop", "")),
            usage=Usage(**given["usage"]) if "usage" in given else None,
            headers=given.get("headers"),
            fault=Fault.of(given["fault"]) if "fault" in given else None,
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"this is no answer: {error}") from None


def fault_argument(text: str) -> Fault:
    """For argparse, which shows the words of this error only."""
    try:
        return Fault.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(provider: type[Provider]) -> None:
    """Serve one of these by the command line until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {provider.__module__}", description=f"A stand-in for {provider.dialect}."
    )
    parser.add_argument("--name", default="")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    parser.add_argument("--key", default="", help="the only key it takes (default: any, and none)")
    parser.add_argument("--pace", type=float, default=0.0, help="seconds before each token (default: 0)")
    parser.add_argument(
        "--fault", type=fault_argument, default=HEALTHY, metavar="KIND[:key=value,…]", help=", ".join(Kind)
    )
    asked = parser.parse_args()
    made = provider(asked.name, asked.host, asked.port, key=asked.key, pace=asked.pace, fault=asked.fault)
    asyncio.run(serve_until_stopped(made))


async def serve_until_stopped(*providers: Provider) -> None:
    """Start each, say where it is, and go on until SIGINT or SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    for provider in providers:
        await provider.start()
        print(f"{provider.name} {provider.api} {provider.fault.kind}", flush=True)
    await stopped.wait()
    for provider in providers:
        await provider.stop()
