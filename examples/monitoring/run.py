"""A sidecar with traffic and trouble, watched by a real Prometheus with the files of this folder: what it sees.

python examples/monitoring/run.py

It takes about twenty seconds and needs the program `prometheus`. Everything is on free ports of loopback and in a
temporary folder. Exit code 1 if a query of the dashboard or a rule does not work, 2 if there is no Prometheus.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
import tempfile
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Mapping

HERE = Path(__file__).parent
RULES = ("records.yml", "alerts.yml")
ANYWHERE = {f"SIDECAR_LISTEN_{name}": "127.0.0.1:0" for name in ("HTTP", "GRPC", "ADMIN")}
ADMIN = "127.0.0.1:7072"
"""Where prometheus.yml looks for the sidecar."""
PATIENCE = 60.0
"""Seconds in which anything that is waited for must have come, on a busy machine."""
VARIABLES = {"$__rate_interval": "5s", "$instance": ".*", "$route": ".*", "$upstream": ".*"}
"""What Grafana puts in, as when All is chosen. Scrapes come every second here, so five seconds are an interval."""


class Query(NamedTuple):
    """One of the dashboard's, ready to be asked."""

    panel: str
    expression: str


def queries() -> list[Query]:
    """All of the dashboard, in its order."""
    dashboard = json.loads((HERE / "grafana" / "sidecar.json").read_text())
    found = []
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            found.append(Query(panel["title"], expression))
    return found


def configuration(admin: str, folder: Path) -> Path:
    """prometheus.yml with the rules, as they are but for the sidecar's address and the pace."""
    for name in RULES:
        shutil.copy(HERE / name, folder)
    text = (HERE / "prometheus.yml").read_text()
    assert ADMIN in text
    path = folder / "prometheus.yml"
    path.write_text(re.sub(r"(_interval): \w+", r"\1: 1s", text).replace(ADMIN, admin))
    return path


@asynccontextmanager
async def started(*command: str, env: Mapping[str, str] | None = None, err: bool = False) -> AsyncIterator[Process]:
    """A program, ended at the end; what it says on stdout, or on stderr, can be read."""
    pipe, away = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    program = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **(env or {})}, stdin=away, stdout=away if err else pipe,
        stderr=pipe if err else None,
    )  # fmt: skip
    try:
        yield program
    finally:
        if program.returncode is None:
            program.kill()
        await program.communicate()


async def told(lines: asyncio.StreamReader | None, pattern: str) -> str:
    """What the first line that matches says in its group."""
    assert lines is not None
    async with asyncio.timeout(PATIENCE):
        async for line in lines:
            if match := re.search(pattern, line.decode()):
                return match[1]
    raise RuntimeError(f"the program ended without saying {pattern}")


@asynccontextmanager
async def read_on(lines: asyncio.StreamReader | None) -> AsyncIterator[None]:
    """Reads what nobody wants to know, so that a program that talks is not held up."""

    async def read() -> None:
        assert lines is not None
        while await lines.readline():
            pass

    reading = asyncio.create_task(read())
    try:
        yield
    finally:
        reading.cancel()
        await asyncio.wait([reading])


@dataclass
class Prometheus:
    """Its API."""

    url: str
    session: aiohttp.ClientSession

    async def ask(self, path: str, **parameters: str) -> dict[str, Any]:
        """What stands under `data`; a mistake that it tells is raised as ValueError."""
        async with self.session.get(f"{self.url}/api/v1/{path}", params=parameters) as reply:
            answer = await reply.json()
        if answer["status"] != "success":
            raise ValueError(answer["error"])
        data: dict[str, Any] = answer["data"]
        return data

    async def until_up(self) -> list[dict[str, Any]]:
        """The targets, when all of them have been scraped and are well."""
        async with asyncio.timeout(PATIENCE):
            while True:
                targets: list[dict[str, Any]] = (await self.ask("targets"))["activeTargets"]
                if targets and all(target["health"] == "up" for target in targets):
                    return targets
                await asyncio.sleep(0.2)

    async def until_seen(self, expression: str) -> None:
        """Until it has a result."""
        async with asyncio.timeout(PATIENCE):
            while True:
                if (await self.ask("query", query=expression))["result"]:
                    return
                await asyncio.sleep(0.2)

    async def rules(self) -> list[dict[str, Any]]:
        """All of them, when each has been evaluated once more."""
        seen: list[str] = []
        async with asyncio.timeout(PATIENCE):
            while True:
                rules = [rule for group in (await self.ask("rules"))["groups"] for rule in group["rules"]]
                moments = [rule["lastEvaluation"] for rule in rules]
                seen = seen or moments
                if rules and all(before != now for before, now in zip(seen, moments, strict=True)):
                    return rules
                await asyncio.sleep(0.2)


async def watch(prometheus: Prometheus) -> int:
    """Print what it sees of the sidecar; how many things were wrong."""
    wrong = 0
    for target in await prometheus.until_up():
        print(f"{target['labels']['job']} is {target['health']}: {target['scrapeUrl']}")
    # The last that the demo's story brings about, and what takes two scrapes.
    await prometheus.until_seen('sidecar_tokens_total{upstream="anthropic"}')
    await prometheus.until_seen("route:sidecar_calls:rate5m > 0")

    rules = await prometheus.rules()
    bad = [rule for rule in rules if rule["health"] != "ok"]
    wrong += len(bad)
    print(f"{len(rules)} rules, {len(bad)} with an error")
    for rule in bad:
        print(f"  {rule['name']}: {rule['lastError']}")
    for alert in (await prometheus.ask("alerts"))["alerts"]:
        print(f"  {alert['state']}: {alert['labels']['alertname']}, {alert['annotations']['summary']}")

    asked, failed, shown = queries(), 0, Counter[str]()
    for query in asked:
        try:
            shown[query.panel] += len((await prometheus.ask("query", query=query.expression))["result"])
        except ValueError as error:
            failed += 1
            print(f"  {query.panel}: {error}")
    print(
        f"{len(asked)} queries of the dashboard, {failed} with an error; these panels are empty, as nothing of it was:"
    )
    print(f"  {', '.join(panel for panel, results in shown.items() if not results)}")

    print("Calls by route since the start:")
    for each in (await prometheus.ask("query", query="sum by (endpoint) (http_requests_total)"))["result"]:
        print(f"  {each['metric']['endpoint']:<10} {each['value'][1]}")
    return wrong + failed


async def main() -> int:
    if (program := shutil.which("prometheus")) is None:
        print("There is no prometheus here: apt-get install prometheus, or prometheus.io")
        return 2
    async with AsyncExitStack() as on:
        folder = Path(on.enter_context(tempfile.TemporaryDirectory(prefix="sidecar-monitoring-")))
        demo = await on.enter_async_context(started(sys.executable, "-m", "sidecar", "demo", env=ANYWHERE))
        admin = await told(demo.stdout, r"watch it in a browser at http://([\d.:]+\d)")
        await on.enter_async_context(read_on(demo.stdout))
        server = await on.enter_async_context(
            started(
                program, f"--config.file={configuration(admin, folder)}", f"--storage.tsdb.path={folder / 'data'}",
                "--web.listen-address=127.0.0.1:0", err=True,
            )
        )  # fmt: skip
        url = await told(server.stderr, r'msg="Listening on" address=([\d.:]+)')
        await told(server.stderr, r'msg="(Server is ready)')
        await on.enter_async_context(read_on(server.stderr))
        session = await on.enter_async_context(aiohttp.ClientSession())
        wrong = await watch(Prometheus(f"http://{url}", session))
    print("All of it works." if not wrong else f"{wrong} things do not work.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
