"""A sidecar that is reloaded under traffic: its services, its policies, and the means to change them.

async with reload_stage() as stage:
    async with traffic(stage.sidecar) as callers:
        for policy in stage.policies(100):
            await stage.post(policy)
"""

from __future__ import annotations

import hashlib
import itertools
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.kit.caller import PATIENCE
from tests.kit.rpc import rpc_service
from tests.kit.running import running
from tests.kit.telling import WebService, echo_and_tell

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from tests.kit.rpc import RpcService
    from tests.kit.running import Running

BASE = """
[listen]
http = "127.0.0.1:0"
grpc = "127.0.0.1:0"
admin = "127.0.0.1:0"
[limits]
keepalive = "75s"
linger = "100ms"
[routes.web]
match = { path = "/api/*" }
chain = ["web"]
[routes.rpc]
match = { grpc = "*" }
chain = ["rpc"]
[routes.llm]
match = { path = "/v1/*" }
chain = ["llm"]
[upstreams.web]
url = "WEB"
headers = { X-Policy = "first" }
[upstreams.rpc]
protocol = "grpc"
url = "RPC"
unary = ["p.S/U"]
headers = { X-Policy = "first" }
[upstreams.llm]
protocol = "openai"
url = "WEB/v1"
headers = { X-Policy = "first" }
"""
"""No part of it from its beginning is a policy, since routes stand before what they lead to."""

CHANGES: dict[str, list[tuple[str, str]]] = {
    "as it was": [],
    "attempt timeouts": [('url = "WEB"\n', 'url = "WEB"\ntimeout = { attempt = "9s" }\n')],
    "a rate limit": [("[routes.rpc]", "rate_limit = { per_second = 100000 }\n[routes.rpc]")],
    "a route more": [
        ("[routes.llm]", '[routes.more]\nmatch = { path = "/api/events" }\nchain = ["web"]\n[routes.llm]')
    ],
    "other names of routes": [("[routes.web]", "[routes.other]"), ("[routes.rpc]", "[routes.calls]")],
    "another pool": [('url = "WEB"\n', 'url = "WEB"\npool = { max = 50, idle = 1 }\n')],
    "other limits": [('keepalive = "75s"', 'keepalive = "60s"\nmax_headers = 100\nheader_timeout = "9s"')],
    "another header": [('X-Policy = "first"', 'X-Policy = "second"')],
    "a model more": [("[routes.web]", '[models.smart]\nchain = ["llm/gpt-4o"]\n[routes.web]')],
    "guards": [
        ("[routes.rpc]", "concurrency = { max = 50 }\n[routes.rpc]"),
        ('url = "RPC"\n', 'url = "RPC"\ncircuit_breaker = { failure_threshold = 9 }\n'),
    ],
    "other names of upstreams": [("[upstreams.web]", "[upstreams.site]"), ('["web"]', '["site"]')],
    "other names of all": [(f"[routes.{name}]", f"[routes.other-{name}]") for name in ("web", "rpc", "llm")]
    + [(f"[upstreams.{name}]", f"[upstreams.other-{name}]") for name in ("web", "rpc", "llm")]
    + [(f'["{name}"]', f'["other-{name}"]') for name in ("web", "rpc", "llm")],
    "a health check": [
        ('url = "WEB"\n', 'url = "WEB"\nhealth = { path = "/healthz", interval = "10s", timeout = "9s" }\n')
    ],
    "methods that reflection tells": [('unary = ["p.S/U"]\n', "")],
    "other calls at once": [("[limits]\n", "[limits]\nmax_inflight = 500\nmax_held_bytes = 1000000\n")],
}
"""What a reload changes, each as parts of the first policy and what stands in their place."""


@dataclass(frozen=True)
class Policy:
    """The text of a policy file, what it changes, and what its upstreams are told as `X-Policy`."""

    name: str
    text: str

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def told(self) -> str:
        return "second" if '"second"' in self.text else "first"


class Policies:
    """Policies before services at these `urls`, each in a text that never was before."""

    def __init__(self, first: str, urls: Mapping[str, str]) -> None:
        self._first = first
        self._urls = urls
        self._numbers = itertools.count(1)

    def one(self, name: str = "as it was") -> Policy:
        """The policy with that change."""
        text = self._first
        for old, new in CHANGES[name]:
            assert old in text, old
            text = text.replace(old, new)
        return Policy(name, f"# text {next(self._numbers)}\n{named(text, self._urls)}")

    def many(self, times: int) -> Iterator[Policy]:
        """So many, one change after the other; the last one changes nothing of the first."""
        names = itertools.cycle(CHANGES)
        for name in itertools.islice(names, times - 1):
            yield self.one(name)
        yield self.one()


@dataclass
class Stage:
    """`generations` is what upstreams are told by each."""

    sidecar: Running
    web: WebService
    rpc: RpcService
    admin: aiohttp.ClientSession
    _policies: Policies
    generations: dict[int, str] = field(default_factory=lambda: {1: "first"})

    @property
    def generation(self) -> int:
        """The one that is live."""
        return self.sidecar.runtime.engine.generation

    def policy(self, name: str = "as it was") -> Policy:
        return self._policies.one(name)

    def policies(self, times: int) -> Iterator[Policy]:
        return self._policies.many(times)

    async def post(self, policy: Policy) -> int:
        """Write it and ask for it: the generation that is live now."""
        self.sidecar.file.write_text(policy.text)
        async with self.admin.post("/reload") as answer:
            assert answer.status == 200, await answer.text()
            return self.known(policy, (await answer.json())["generation"])

    async def live(self, policy: Policy) -> int:
        """Wait until this policy is live, as anybody may who can read: its generation."""
        wait = {"wait": policy.hash, "timeout": f"{PATIENCE}s"}
        async with self.admin.get("/config", params=wait) as answer:
            assert answer.status == 200, f"{policy.name}: {await answer.text()}, {self.sidecar.log.lines[-3:]}"
            return self.known(policy, (await answer.json())["generation"])

    def known(self, policy: Policy, generation: int) -> int:
        self.generations[generation] = policy.told
        return generation

    async def told(self, message: str, *, since: int) -> dict[str, Any]:
        """The first line with these words that the log has had since it had so many."""
        log = self.sidecar.log
        return await log.line(lambda line: message in line["message"] and log.lines.index(line) >= since)

    async def ask(self, path: str) -> Any:
        """What the admin listener says there."""
        async with self.admin.get(path) as answer:
            return await answer.json()

    async def metrics(self) -> list[str]:
        """The names and labels of all series, sorted."""
        async with self.admin.get("/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return sorted(line.rpartition(" ")[0] for line in lines if line and not line.startswith("#"))

    async def values(self, name: str) -> set[float]:
        """What a metric says, whatever its labels."""
        async with self.admin.get("/metrics") as answer:
            lines = (await answer.text()).splitlines()
        series = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {float(value) for labelled, _, value in series if labelled.partition("{")[0] == name}

    async def metric(self, name: str) -> float:
        """Of one that has one series."""
        (value,) = await self.values(name)
        return value


@asynccontextmanager
async def reload_stage(first: str = BASE, *, watched: bool = False) -> AsyncIterator[Stage]:
    """A sidecar before one service of HTTP and one of gRPC; `WEB` and `RPC` in its policy are their URLs.

    `watched`: it sees by itself that its file has changed.
    """
    async with WebService() as web, rpc_service(echo_and_tell) as rpc:
        urls = {"WEB": web.url, "RPC": rpc.url}
        async with (
            running(named(first, urls), watched=watched) as sidecar,
            aiohttp.ClientSession(sidecar.admin) as admin,
        ):
            yield Stage(sidecar, web, rpc, admin, Policies(first, urls))


def named(policy: str, urls: Mapping[str, str]) -> str:
    """The policy with the URLs of its services."""
    for name, url in urls.items():
        policy = policy.replace(name, url)
    return policy
