r"""A whole sidecar inside the test's own loop, on free ports.

async with listening() as upstream, running(one(upstream.url)) as sidecar:
    caller = await sidecar.caller()
    caller.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    peer = await upstream.accept()
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
import threading
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from sidecar.config import load
from sidecar.daemon import Daemon
from sidecar.telemetry.log_writer import LogWriter
from tests.kit.caller import PATIENCE, Answer, Caller

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from sidecar.http1.connections import Connections
    from sidecar.runtime import Runtime

FREE = '[listen]\nhttp = "127.0.0.1:0"\nadmin = ""\ngrpc = ""\n'
"""What a policy listens on that does not say it."""

QUICK = '[policies.default.retry]\nbackoff = "1ms"\n'
"""For tests that are about what is tried again, not about when."""

OF_GRPCIO = "Exception in callback PollerCompletionQueue._handle_events"
"""grpcio has one queue of events for all loops of a process, and what is left of an earlier test's may come up in this
one. Nothing of ours runs in there.
"""

TOLD = 12
"""Lines of the log that a test prints which waited for another one in vain."""


def one(url: str, *, upstream: str = "", route: str = "", more: str = "", path: str = "/*") -> str:
    """The policy of one route to one upstream, `a`, with further lines of either, and further tables."""
    return f"""
{more}
[upstreams.a]
url = "{url}"
{upstream}
[routes.r]
match = {{ path = "{path}" }}
chain = ["a"]
{route}
"""


class Log(LogWriter):
    """Keeps the lines, as what they say, instead of writing them."""

    def __init__(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        super().__init__(nowhere)
        os.close(nowhere)
        self.lines: list[dict[str, Any]] = []
        self._came = asyncio.Event()
        self._home = threading.get_ident()
        with contextlib.suppress(RuntimeError):  # a test without a loop waits for nothing
            self._loop = asyncio.get_running_loop()

    def write(self, line: bytes) -> None:
        self.lines.append(orjson.loads(line))
        if threading.get_ident() == self._home:
            self._came.set()
        else:  # what works in threads logs, too, also behind the end of a test
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._came.set)

    async def line(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first line that is such, now or when it comes."""
        seen = 0
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    self._came.clear()
                    while seen < len(self.lines):  # a thread may add to them meanwhile
                        line, seen = self.lines[seen], seen + 1
                        if holds(line):
                            return line
                    await self._came.wait()
        except TimeoutError:
            told = "\n".join(str(line) for line in self.lines[-TOLD:])
            raise AssertionError(f"no such line came in {PATIENCE} s; the last ones:\n{told}") from None

    async def saying(self, message: str) -> dict[str, Any]:
        return await self.line(lambda line: message in line["message"])

    async def call(self, request_id: str) -> dict[str, Any]:
        """The line of the finished call with this id."""
        return await self.line(lambda line: line.get("request_id") == request_id and "outcome" in line)

    def troubles(self) -> list[dict[str, Any]]:
        """What must not be in the log of a test that is not about it: bugs of ours, and what asyncio complains of."""
        return [
            line
            for line in self.lines
            if ("exception" in line or line.get("logger") == "asyncio") and not line["message"].startswith(OF_GRPCIO)
        ]


@dataclass
class Running:
    """A started daemon. `file` is its policy file."""

    daemon: Daemon
    log: Log
    file: Path
    client_tls: ssl.SSLContext | None = None
    serving: asyncio.Task[None] | None = None
    """Of a sidecar that watches its file."""
    _callers: list[Caller] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.daemon.addresses["http"].rpartition(":")[2])

    @property
    def url(self) -> str:
        scheme = "http" if self.client_tls is None else "https"
        return f"{scheme}://{self.daemon.addresses['http']}"

    @property
    def grpc(self) -> str:
        return self.daemon.addresses["grpc"]

    @property
    def admin(self) -> str:
        return f"http://{self.daemon.addresses['admin']}"

    @property
    def connections(self) -> Connections:
        return self.daemon._connections

    async def caller(self) -> Caller:
        """A new connection to the http listener; it is closed with the sidecar."""
        address = self.daemon.addresses["http"]
        if address.startswith("unix:"):
            caller = Caller(*await asyncio.open_unix_connection(address[5:]))
        elif address.startswith("["):
            caller = Caller(*await asyncio.open_connection("::1", self.port))
        else:
            caller = await Caller.connect(self.port, tls=self.client_tls)
        self._callers.append(caller)
        return caller

    async def ask(self, target: str = "/", *fields: str, method: str = "GET", body: bytes = b"") -> Answer:
        """One request on a connection of its own, and its answer."""
        caller = await self.caller()
        caller.send(request(target, *fields, method=method, body=body))
        answer = await caller.answer(to=method)
        await caller.close()
        return answer

    @property
    def runtime(self) -> Runtime:
        """What runs now; a reload makes another one."""
        assert self.daemon.view is not None
        return self.daemon.view.runtime

    async def until(self, holds: Callable[[], bool]) -> None:
        """Until the caller connections are such."""
        changed, heard = asyncio.Event(), self.connections.on_change

        def on_change() -> None:
            if heard is not None:
                heard()
            changed.set()

        self.connections.on_change = on_change
        try:
            async with asyncio.timeout(PATIENCE):
                while not holds():
                    changed.clear()
                    await changed.wait()
        finally:
            self.connections.on_change = heard

    async def hang_up(self) -> None:
        """All callers leave."""
        for caller in self._callers:
            await caller.close()

    async def stop(self) -> None:
        await self.hang_up()
        self.daemon.stop()
        async with asyncio.timeout(PATIENCE):
            await (self.serving or self.daemon.run())


def request(target: str, *fields: str, method: str = "GET", body: bytes = b"") -> bytes:
    """A request's bytes; `Host` and `Content-Length` are added where they are not given."""
    lines = list(fields)
    names = {line.partition(":")[0].lower() for line in fields}
    if "host" not in names:
        lines.insert(0, "Host: sidecar")
    if body and not names & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join((f"{method} {target} HTTP/1.1", *lines, "", ""))
    return head.encode("latin-1") + body


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop run until it is so, where nothing tells."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - what is waited for is no event
            await asyncio.sleep(0)


@asynccontextmanager
async def running(
    policy: str,
    environ: Mapping[str, str] | None = None,
    *,
    client_tls: ssl.SSLContext | None = None,
    on_terminal: bool = True,
    bug: bool = False,
    watched: bool = False,
) -> AsyncIterator[Running]:
    """A sidecar for the length of a test, stopped by a drain. Its log must tell of no bug, unless a test makes one.

    `watched`: it sees by itself that its file has changed.
    """
    with _policy_file(policy) as file, _logging_kept():
        log = Log()
        daemon = Daemon(load(file, environ or {}), environ or {}, log, on_terminal=on_terminal)
        await daemon.start()
        serving = asyncio.create_task(daemon.run(), name="serving") if watched else None
        sidecar = Running(daemon, log, file, client_tls, serving)
        try:
            yield sidecar
        except BaseException:
            await sidecar.hang_up()
            if serving is not None:
                daemon.stop()
                daemon.stop()
                await serving
            else:
                await daemon.aclose()
            raise
        await sidecar.stop()
    if not bug:
        troubles = log.troubles()
        assert not troubles, troubles


def with_listeners(policy: str) -> str:
    """The policy, on free ports where it does not say which; gRPC only where it says so."""
    if "[listen]" not in policy:
        return FREE + policy
    if "grpc =" in policy.partition("[listen]")[2].partition("\n[")[0]:
        return policy
    return policy.replace("[listen]\n", '[listen]\ngrpc = ""\n', 1)


@contextmanager
def _policy_file(policy: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "sidecar.toml")
        file.write_text(with_listeners(policy))
        yield file


@contextmanager
def _logging_kept() -> Iterator[None]:
    """The test's own logging, put back when the daemon that took it over is gone."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)
