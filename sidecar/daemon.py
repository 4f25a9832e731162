"""The process: start, serve, drain, stop.

Start binds everything or nothing. On SIGTERM the order is the contract's: not
ready at once; callers are still accepted until none was there for a while, since
an application in the same pod may outlive our signal; then the door closes, what
is in flight ends, and the process with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import time
from typing import TYPE_CHECKING, Any

from sidecar import __version__
from sidecar.errors import ConfigError
from sidecar.http1.connections import Connections
from sidecar.listening import Listening
from sidecar.reloading import Reloading
from sidecar.runtime import Switch, build
from sidecar.surroundings import Surroundings
from sidecar.telemetry.start import process_log_to, telemetry_to
from sidecar.telemetry.tracing import Tracing
from sidecar.view import View, exposure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sidecar.config import Loaded
    from sidecar.runtime import Runtime
    from sidecar.telemetry.log_writer import LogWriter

log = logging.getLogger("sidecar")

_LAST_WORDS = 1.0
"""Seconds at most for the calls that are cut at the end to let go and to be logged; they need two turns of the loop."""


def _as_it_is(loaded: Loaded) -> Loaded:
    return loaded


class Daemon:
    """One sidecar in this process.

    `writer` takes the log; `on_terminal` means that nobody lingers. `adjust` changes what the policy file says before
    it counts, now and at each reload.
    """

    def __init__(
        self,
        loaded: Loaded,
        environ: Mapping[str, str],
        writer: LogWriter,
        *,
        on_terminal: bool = False,
        adjust: Callable[[Loaded], Loaded] = _as_it_is,
    ) -> None:
        loaded = self._loaded = adjust(loaded)
        self._adjust = adjust
        self._environ = environ
        self._writer = writer
        self._on_terminal = on_terminal
        self._clock: Callable[[], float] = time.monotonic
        settings = loaded.settings.telemetry
        process_log_to(writer, log_format=settings.log_format, log_level=settings.log_level)
        self._telemetry = telemetry_to(
            writer,
            version=__version__,
            log_format=settings.log_format,
            access_log=settings.access_log,
            access_log_sample=settings.access_log_sample,
            max_series=settings.max_series,
        )
        self._tracing = Tracing(self._telemetry, __version__)
        self._connections = Connections()
        self._via = b"1.1 sidecar-" + secrets.token_hex(8).encode()
        self._around = Surroundings(self._telemetry, environ, self._via, self._clock)
        self._listening: Listening | None = None
        self._reloading: Reloading | None = None
        self._stop = asyncio.Event()
        self._stop_now = asyncio.Event()
        self.view: View | None = None

    @property
    def addresses(self) -> dict[str, str]:
        """Listener to the address where it really listens."""
        return self.view.addresses if self.view is not None else {}

    async def start(self) -> None:
        """Bind every listener and begin. Raises `OSError` for an address or certificate that cannot be used."""
        runtime = await build(self._loaded.settings, self._around, files=self._loaded.files)
        switch = Switch(runtime)
        view = self.view = View(switch, self._telemetry, self._loaded, self._clock, self.reload)
        self._listening = Listening(self._around, self._connections, view, switch)
        await self._tracing.become(self._loaded.settings.telemetry.otlp)
        try:
            await self._listening.open(self._loaded.settings)
        except BaseException:
            await self._close()
            raise
        runtime.begin()
        self._reloading = Reloading(self._around, self._writer, view, self._listening, self._adjust, self._tracing)
        self._telemetry.metrics.generation = runtime.engine.generation
        self._count(switch)
        fields = {"config": str(self._loaded.path), "generation": 1, **view.addresses}
        log.info("sidecar %s is ready", __version__, extra={"fields": fields})
        if warning := exposure(runtime):
            log.warning(warning)

    def stop(self) -> None:
        """Drain, then end; the second time, end at once."""
        (self._stop_now if self._stop.is_set() else self._stop).set()

    async def run(self) -> None:
        """Serve until stopped, and take changed files meanwhile; drain, close."""
        assert self._reloading is not None
        watching = asyncio.create_task(self._reloading.watching.run(), name="watching")
        await self._stop.wait()
        watching.cancel()
        drain = asyncio.create_task(self._drain(), name="drain")
        now = asyncio.create_task(self._stop_now.wait(), name="stop now")
        await asyncio.wait((drain, now), return_when=asyncio.FIRST_COMPLETED)
        for task in (drain, now):
            task.cancel()
        await asyncio.gather(drain, now, watching, return_exceptions=True)
        await self._close()

    async def aclose(self) -> None:
        """End at once."""
        await self._close()

    async def reload(self) -> dict[str, Any]:
        """Read the policy file again and swap its runtime in; what changed. Raises `ConfigError`: nothing changed."""
        assert self._reloading is not None
        return await self._reloading.reload()

    def _count(self, switch: Switch) -> None:
        states = {"closed": 0.0, "half_open": 1.0, "open": 2.0}
        metrics = self._telemetry.metrics
        metrics.watch(
            "circuit_breaker_state",
            lambda: [((name,), states[breaker.state]) for name, breaker in switch.runtime.breakers().items()],
        )
        metrics.watch("sidecar_connections", lambda: [(("http",), float(self._connections.count))])
        metrics.watch(
            "sidecar_store_up",
            lambda: [((name,), float(not store.trouble)) for name, store in switch.runtime.parts.of("store")],
        )
        metrics.watch("sidecar_upstream_connections", lambda: _upstream_connections(switch.runtime))
        metrics.watch("sidecar_target_ready", lambda: _ready(switch.runtime, self._clock()))
        self._telemetry.grpc_method = lambda path: switch.runtime.methods.name(path)  # noqa: PLW0108  a reload brings another runtime

    # Stop.

    async def _drain(self) -> None:
        assert self.view is not None
        assert self._listening is not None
        listening, limits = self._listening, self.view.runtime.settings.limits
        self.view.draining = True
        self.view.live.changed()
        listening.health.serving = False
        ends = self._clock() + limits.drain
        log.info("draining", extra={"fields": {"connections": self._connections.count, "rpcs": listening.rpcs}})
        if not self._on_terminal:
            await self._until_nobody_came(limits.linger, ends)
        self._connections.draining = True
        self.view.runtime.engine.draining = True
        listening.accept_no_more()
        listening.health.end()
        self._connections.close_idle()
        await asyncio.gather(
            listening.end_rpcs(max(0.0, ends - self._clock())), self._until(lambda: self._connections.count == 0, ends)
        )

    async def _until_nobody_came(self, linger: float, ends: float) -> None:
        """Until no caller connection was open for `linger` seconds, at most until `ends`.

        grpcio does not show its connections: there it is calls that count.
        """
        assert self._listening is not None
        listening = self._listening

        def somebody() -> bool:
            return self._connections.count + listening.rpcs > 0

        while self._clock() < ends:
            await self._until(lambda: not somebody(), ends)
            quiet_until = min(self._clock() + linger, ends)
            await self._until(somebody, quiet_until)
            if not somebody():
                return

    async def _until(self, holds: Callable[[], bool], ends: float) -> None:
        """Until the callers are such, or `ends` (clock)."""
        assert self._listening is not None
        changed = asyncio.Event()
        self._listening.on_rpcs(changed.set)
        heard = self._connections.on_change

        def on_change() -> None:
            if heard is not None:
                heard()
            changed.set()

        self._connections.on_change = on_change
        try:
            async with asyncio.timeout(max(0.0, ends - self._clock())):
                while not holds():
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            return
        finally:
            self._connections.on_change = heard

    async def _close(self) -> None:
        if self._listening is not None:
            self._listening.accept_no_more()
            await self._listening.end_rpcs(None)
        if cut := self._connections.abort_all():
            await asyncio.wait(cut, timeout=_LAST_WORDS)
        if self._listening is not None:
            await self._listening.aclose()
        if self._reloading is not None:
            await self._reloading.aclose()
        if self.view is not None:
            await self.view.runtime.aclose()
            await self._tracing.aclose()
            if self.view.addresses:
                log.info("ended")
        self._writer.close()


def handle_signals(daemon: Daemon) -> None:
    """SIGTERM and SIGINT end the daemon, SIGHUP has it read its policy file again."""
    loop = asyncio.get_running_loop()

    async def reload() -> None:
        with contextlib.suppress(ConfigError):  # it is in the log
            await daemon.reload()

    if hasattr(signal, "SIGHUP"):
        reloads: set[asyncio.Task[None]] = set()

        def on_hangup() -> None:
            if len(reloads) > 1:  # one is under way, and one that waits has yet to read the file
                return
            task = loop.create_task(reload(), name="reload")
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        loop.add_signal_handler(signal.SIGHUP, on_hangup)
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, daemon.stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(daemon.stop))


def _upstream_connections(runtime: Runtime) -> Iterator[tuple[tuple[str, ...], float]]:
    for name, service in runtime.services().items():
        stats = [pool.stats() for pool in service.pools]
        for state in ("idle", "active", "connecting"):
            yield (name, state), float(sum(getattr(each, state) for each in stats))


def _ready(runtime: Runtime, now: float) -> Iterator[tuple[tuple[str, ...], float]]:
    """By route and upstream 1; 0 while it rests or its breaker is open, of a provider while that is so of each model.

    1,000 routes with three targets each are 4 ms.
    """
    for route in runtime.routes:
        ready: dict[str, bool] = {}
        for target in route.everywhere():
            name = target.upstream or target.name
            ready[name] = ready.get(name, False) or target.static or target.would_admit(now)
        for name, can in ready.items():
            yield (route.name, name), float(can)
