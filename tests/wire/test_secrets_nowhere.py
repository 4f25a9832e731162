"""No secret is told: not in the log, metrics, events, timelines, health, configuration, nor by a command.

A real sidecar whose policy file, callers and upstreams have a secret in every place that may hold one; calls that go
wrong in every way; then all that it has said is searched.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import cycle
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import grpc
import grpc.aio
import pytest
from aiohttp import web

from sidecar.admin.api import INDEX
from tests.kit.canaries import LLM_SAYS, SERVICE_SAYS, canary, found_in, mistaken, policy
from tests.kit.commands import ROOT, SIDECAR
from tests.kit.peer import Peer, listening
from tests.kit.process import Process, sidecar_process
from tests.kit.scripted import CLOSE, RESET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

BEARER = {"Authorization": f"Bearer {canary('admin-token')}"}
CALLERS = {
    "X-Sidecar-Token": canary("http-token"),
    "Authorization": f"Bearer {canary('caller-authorization')}",
    "Cookie": f"session={canary('caller-cookie')}",
    "X-API-Key": canary("caller-key"),
}
ROUNDS = 2 * len(SERVICE_SAYS)


class Said(defaultdict[str, bytes]):
    """What was said where."""

    def __init__(self) -> None:
        super().__init__(bytes)

    def leaks(self) -> dict[str, list[str]]:
        return {place: names for place, told in self.items() if (names := found_in(told))}


class Hostile:
    """An upstream that answers with secrets, and badly. `heard` is all that it was sent."""

    def __init__(self, peers: AsyncIterator[Peer]) -> None:
        self.heard = b""
        self._peers = peers
        self._service, self._llm = cycle(SERVICE_SAYS), cycle(LLM_SAYS)

    async def serve(self) -> None:
        async with asyncio.TaskGroup() as connections:
            async for peer in self._peers:
                connections.create_task(self._answer(peer))

    async def _answer(self, peer: Peer) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await peer.request()
            self.heard += head
            said = next(self._llm if b" /v1/" in head else self._service)
            if said == RESET:
                peer.reset()
                return
            peer.say(said.removesuffix(CLOSE))
            peer.end()  # a request's body is not read: what is left of it must not be taken for another one


@asynccontextmanager
async def collector(said: Said) -> AsyncIterator[str]:
    """Where traces go: what they hold is told, too. Half of them it does not want, and repeats what it was sent."""
    answers = cycle((200, 400))

    async def take(request: web.BaseRequest) -> web.Response:
        said["traces"] += await request.read()
        status = next(answers)
        return web.Response(status=status, text="" if status == 200 else str(request.headers))

    server = web.Server(take)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield "{}:{}".format(*runner.addresses[0])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def hostile() -> AsyncIterator[tuple[Hostile, str]]:
    async with listening() as server:

        async def peers() -> AsyncIterator[Peer]:
            while True:
                yield await server.accept()

        upstream = Hostile(peers())
        serving = asyncio.create_task(upstream.serve())
        try:
            yield upstream, server.url
        finally:
            serving.cancel()
            await asyncio.wait([serving])


class Hearing:
    """Listens to streams until they end."""

    def __init__(self, said: Said) -> None:
        self._said = said
        self._tasks: list[asyncio.Task[None]] = []

    def listen(self, place: str, stream: asyncio.StreamReader | aiohttp.StreamReader) -> None:
        self._tasks.append(asyncio.create_task(self._hear(place, stream)))

    async def _hear(self, place: str, stream: asyncio.StreamReader | aiohttp.StreamReader) -> None:
        with suppress(aiohttp.ClientError):  # a stream that is cut at the end of the process
            while piece := await stream.read(1 << 16):
                self._said[place] += piece

    async def all(self) -> None:
        async with asyncio.timeout(60):
            await asyncio.gather(*self._tasks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)


async def calls(session: aiohttp.ClientSession, sidecar: Process) -> None:
    """Each goes wrong in another way; what is answered is the caller's own business."""
    body = {"model": "smart", "messages": [{"role": "user", "content": canary("caller-body")}]}
    query = f"?token={canary('caller-query')}"
    for number in range(ROUNDS):
        for path in ("/service/1", "/few/1", "/proxied/1", "/nobody"):
            options = {"headers": CALLERS, "allow_redirects": False}
            with suppress(aiohttp.ClientError):
                async with session.post(sidecar.url + path + query, json=body, **options) as reply:  # type: ignore[arg-type]  # a table of options
                    await reply.read()
        with suppress(aiohttp.ClientError):
            asked = {**body, "stream": bool(number % 2)}
            async with session.post(f"{sidecar.url}/v1/chat/completions{query}", json=asked, headers=CALLERS) as reply:
                await reply.read()


async def strange_callers(session: aiohttp.ClientSession, sidecar: Process) -> None:
    """Those who may not, and those who do not speak HTTP."""
    wrong = {"X-Sidecar-Token": canary("caller-wrong-token")}
    async with session.get(f"{sidecar.url}/service/1", headers=wrong) as reply:
        assert reply.status == 403
    wrong = {"Authorization": f"Bearer {canary('caller-wrong-admin')}"}
    async with session.post(f"{sidecar.admin}/reload", headers=wrong) as reply:
        assert reply.status == 403
    secret, user = canary("caller-garbage"), canary("caller-userinfo")
    for garbage in (
        f"GET /?{secret} HTTP/9.9\r\n\r\n",
        f"{secret}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization {secret}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: {secret}\r\n\r\n",
        f"GET http://user:{user}@a/service/1 HTTP/1.1\r\nHost: a\r\nX-Sidecar-Token: {canary('http-token')}\r\n\r\n",
        f"GET /?{secret} HTTP/1.1\r\nHost: page.example.org\r\n\r\n",
        f"POST / HTTP/1.1\r\nHost: a\r\nOrigin: http://{secret}.example.org\r\nContent-Length: 0\r\n\r\n",
        f"GET /{'x' * 70000}?{secret} HTTP/1.1\r\nHost: a\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
        writer.write(garbage.encode())
        async with asyncio.timeout(20):
            with suppress(ConnectionError):
                await reader.read(1 << 16)
        writer.close()


async def rpc(sidecar: Process) -> None:
    """To a service that is not there."""
    metadata = (("x-sidecar-token", canary("http-token")), ("authorization", canary("caller-metadata")))
    async with grpc.aio.insecure_channel(sidecar.grpc) as channel:
        for method in ("/canary.S/M", "/nobody.S/M"):
            unary: Any = channel.unary_unary(method)
            with pytest.raises(grpc.aio.AioRpcError):
                await unary(canary("caller-message").encode(), metadata=metadata, timeout=20)


async def ask(said: Said, session: aiohttp.ClientSession, sidecar: Process) -> None:
    """All that the admin listener tells, and the two that tell the same elsewhere."""
    calls = await (await session.get(f"{sidecar.admin}/requests", headers=BEARER)).json()
    ids = [call["id"] for call in calls["requests"]]
    assert ids
    for path in INDEX["read"]:
        if path in {"/events", "/live", "POST /explain", "/requests/{id}"}:
            continue
        async with session.get(sidecar.admin + path, headers=BEARER) as reply:
            said[path] += await reply.read()
    for each in ids:
        async with session.get(f"{sidecar.admin}/requests/{each}", headers=BEARER) as reply:
            said["/requests/{id}"] += await reply.read()
    headers = {name: value for name, value in CALLERS.items() if name != "X-Sidecar-Token"}
    for path in ("/service/1", "/matched", "/v1/chat/completions", "/proxied/1"):
        asked = {"method": "POST", "path": path, "headers": headers}
        async with session.post(f"{sidecar.admin}/explain", json=asked, headers=BEARER) as reply:
            said["POST /explain"] += await reply.read()
    for path in ("/health", "/metrics", "/circuit-breakers"):
        async with session.get(sidecar.url + path, headers={"X-Sidecar-Token": canary("http-token")}) as reply:
            said[f"http {path}"] += await reply.read()
    async with session.get(f"http://{sidecar.addresses['probe']}/metrics") as reply:
        said["probe /metrics"] += await reply.read()


def versions(file: Path) -> dict[str, Path]:
    """The policy file, one with mistakes where secrets are, and one with other secrets."""
    good = file.read_text()
    wrong, other = file.with_name("wrong.toml"), file.with_name("other.toml")
    wrong.write_text(mistaken(good))
    other.write_text(good.replace('api-key = "', 'api-key = "new-'))
    return {"good": file, "wrong": wrong, "other": other}


def put(version: Path, at: Path) -> None:
    """In its place, as an editor does."""
    version.with_name("next").write_text(version.read_text())
    version.with_name("next").replace(at)


async def reload(said: Said, session: aiohttp.ClientSession, sidecar: Process, files: dict[str, Path]) -> None:
    put(files["wrong"], files["good"])
    async with session.post(f"{sidecar.admin}/reload", headers=BEARER) as reply:
        assert reply.status == 422
        said["POST /reload, mistakes"] += await reply.read()
    async with session.get(f"{sidecar.admin}/health", headers=BEARER) as reply:
        said["/health, stale"] += await reply.read()
    put(files["other"], files["good"])
    async with session.post(f"{sidecar.admin}/reload", headers=BEARER) as reply:
        assert reply.status == 200
        said["POST /reload"] += await reply.read()


async def commands(said: Said, file: str, wrong: str, other: str) -> None:
    """What those say that read files themselves."""
    authorization = f"Authorization: {canary('caller-authorization')}"
    for words in (
        ("check", file),
        ("check", wrong),
        ("diff", file, other),
        ("explain", "GET", "/service/1", "-c", file, "-H", authorization),
    ):
        command = await asyncio.create_subprocess_exec(
            SIDECAR, *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        async with asyncio.timeout(30):
            out, _ = await command.communicate()
        assert out
        said[f"sidecar {words[0]} {words[1]}"] += out


@pytest.mark.timeout(120)
async def test_all_that_is_said_is_searched_for_every_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", canary("environment"))
    said = Said()
    async with AsyncExitStack() as on:
        upstream, url = await on.enter_async_context(hostile())
        traces = await on.enter_async_context(collector(said))
        files = versions(policy(tmp_path, url, traces))
        sidecar = await on.enter_async_context(sidecar_process(files["good"]))
        session = await on.enter_async_context(aiohttp.ClientSession())
        assert sidecar.process.stdout is not None
        assert sidecar.process.stderr is not None
        heard = await on.enter_async_context(Hearing(said))
        heard.listen("log", sidecar.process.stdout)
        heard.listen("stderr", sidecar.process.stderr)
        for path in ("/events", "/live"):
            reply = await on.enter_async_context(session.get(sidecar.admin + path, headers=BEARER))
            assert reply.status == 200
            heard.listen(path, reply.content)

        await calls(session, sidecar)
        await strange_callers(session, sidecar)
        await rpc(sidecar)
        await ask(said, session, sidecar)
        await commands(said, *(str(path) for path in files.values()))
        await reload(said, session, sidecar, files)

        sidecar.process.terminate()
        await heard.all()
    for name in ("literal", "environment", "file", "default", "query", "code", "openai", "anthropic"):
        assert canary(name).encode() in upstream.heard, f"{name} has gone where it belongs"
    log = [json.loads(line) for line in said["log"].splitlines()]
    assert sum(line["message"] == "call finished" for line in log) > 4 * ROUNDS
    outcomes = {line.get("outcome") for line in log}
    assert len(outcomes) > 8, f"calls went wrong in few ways: {outcomes}"
    assert {"/events", "/live", "/config", "/requests/{id}", "POST /explain", "traces"} <= said.keys()
    assert said.leaks() == {}
