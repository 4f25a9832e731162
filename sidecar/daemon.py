"""The process: start, serve, drain, stop.

Start binds everything or nothing. On SIGTERM the order is the contract's: not
ready at once; callers are still accepted until none was there for a while, since
an application in the same pod may outlive our signal; then the door closes, what
is in flight ends, and the process with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import secrets
import signal
import ssl
import time
from typing import TYPE_CHECKING, Any

from sidecar import __version__
from sidecar.accepting import Acceptor, bind
from sidecar.admin import answers
from sidecar.admin.api import admin_app
from sidecar.admin.probe import probe_app
from sidecar.admin.server import AdminServer, serve
from sidecar.body import ReplayMemory
from sidecar.config import load
from sidecar.descriptors import fitting, raise_limit
from sidecar.errors import ConfigError, NoRoute
from sidecar.http1.connections import Connections
from sidecar.http1.server import ServerConnection, ServerLimits
from sidecar.ids import Ids
from sidecar.listeners.http import HttpListener
from sidecar.listeners.read_call import Access, CallReader
from sidecar.listeners.reply_head import ReplyHeads
from sidecar.runtime import Surroundings, Switch, build
from sidecar.settings import parse_address
from sidecar.telemetry.start import process_log_to, telemetry_to
from sidecar.view import View, allowed_hosts, allowed_origins, exposure
from sidecar.wiring import HttpService, unusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sidecar.call import Call
    from sidecar.config import Loaded
    from sidecar.runtime import Runtime
    from sidecar.settings import LimitsSettings, TlsServerSettings
    from sidecar.telemetry.log_writer import LogWriter

log = logging.getLogger("sidecar")

_LAST_WORDS = 1.0
"""Seconds at most for the calls that are cut at the end to let go and to be logged; they need two turns of the loop."""


class Daemon:
    """One sidecar in this process. `writer` takes the log; `on_terminal` means that nobody lingers."""

    def __init__(
        self, loaded: Loaded, environ: Mapping[str, str], writer: LogWriter, *, on_terminal: bool = False
    ) -> None:
        self._loaded = loaded
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
        self._connections = Connections()
        self._via = b"1.1 sidecar-" + secrets.token_hex(8).encode()
        self._around = Surroundings(self._telemetry, environ, self._via, self._clock)
        self._acceptor: Acceptor | None = None
        self._reader: CallReader | None = None
        self._reloading = asyncio.Lock()
        self._servers: list[AdminServer] = []
        self._stop = asyncio.Event()
        self._stop_now = asyncio.Event()
        self.view: View | None = None

    @property
    def addresses(self) -> dict[str, str]:
        """Listener to the address where it really listens."""
        return self.view.addresses if self.view is not None else {}

    async def start(self) -> None:
        """Bind every listener and begin. Raises `OSError` for an address or certificate that cannot be used."""
        runtime = await build(self._loaded.settings, self._around)
        switch = Switch(runtime)
        view = self.view = View(switch, self._telemetry, self._loaded, self._clock, self.reload)
        try:
            await self._listen(view, switch)
        except BaseException:
            await self._close()
            raise
        self._telemetry.metrics.generation = runtime.engine.generation
        self._watch(switch)
        fields = {"config": str(self._loaded.path), "generation": 1, **view.addresses}
        log.info("sidecar %s is ready", __version__, extra={"fields": fields})
        if warning := exposure(runtime):
            log.warning(warning)

    def stop(self) -> None:
        """Drain, then end; the second time, end at once."""
        (self._stop_now if self._stop.is_set() else self._stop).set()

    async def run(self) -> None:
        """Serve until stopped, drain, close."""
        await self._stop.wait()
        drain = asyncio.create_task(self._drain(), name="drain")
        now = asyncio.create_task(self._stop_now.wait(), name="stop now")
        await asyncio.wait((drain, now), return_when=asyncio.FIRST_COMPLETED)
        for task in (drain, now):
            task.cancel()
        await asyncio.gather(drain, now, return_exceptions=True)
        await self._close()

    async def aclose(self) -> None:
        """End at once."""
        await self._close()

    async def reload(self) -> dict[str, Any]:
        """Read the policy file again and swap its runtime in; what changed. Raises `ConfigError`: nothing changed then.

        Changed listen addresses and listener limits count from the next start.
        """
        assert self.view is not None
        async with self._reloading:
            view, before = self.view, self.view.runtime
            try:
                loaded = load(self._loaded.path, self._environ)
                runtime = await build(loaded.settings, self._around, before)
            except (ConfigError, OSError) as error:
                view.stale = str(error).splitlines()[0]
                self._telemetry.reloaded("failure", before.engine.generation)
                log.error("the policy file was not taken: %s", error)  # noqa: TRY400 - the mistakes say it all
                raise
            runtime.engine.draining = before.engine.draining
            view.switch.runtime = runtime
            self._loaded = view.loaded = loaded
            view.stale = ""
            if self._reader is not None:
                self._reader.access = _access(runtime)
            live = {"generation": runtime.engine.generation, "hash": loaded.hash}
            changed = {**live, **await _retire(before, runtime)}
            self._telemetry.retire(
                {route.name for route in before.routes} - {route.name for route in runtime.routes},
                before.resolved.upstreams.keys() - runtime.resolved.upstreams.keys(),
            )
            self._telemetry.reloaded("success", runtime.engine.generation)
            log.info("the policy file was taken", extra={"fields": changed})
            async with view.live:
                view.live.notify_all()
            return changed

    # Start.

    async def _listen(self, view: View, switch: Switch) -> None:
        settings = self._loaded.settings
        listen, limits = settings.listen, settings.limits
        if (address := parse_address(listen.http)) is not None:
            most = fitting(limits.max_connections, raise_limit())
            if most < limits.max_connections:
                log.warning("max_connections is lowered to %d, to fit the file-descriptor limit", most)
            tls = _tls("http", listen.http_tls)
            listener = self._http_listener(view, switch)
            try:
                sockets = bind(address)
            except OSError as error:
                raise _cannot_bind("listen.http", listen.http, error) from error
            self._acceptor = Acceptor(
                sockets,
                self._connection_factory(listener, limits, secure=tls is not None),
                self._connections,
                most=most,
                tls=tls,
            )
            self._acceptor.start()
            view.addresses["http"] = self._acceptor.address
        apps = (
            ("admin", listen.admin, admin_app(view), listen.admin_tls),
            ("probe", listen.probe, probe_app(view), None),
        )
        for name, text, app, app_tls in apps:
            if (address := parse_address(text)) is None:
                continue
            app_context = _tls(name, app_tls)
            try:
                server = await serve(app, address, app_context)
            except OSError as error:
                raise _cannot_bind(f"listen.{name}", text, error) from error
            self._servers.append(server)
            view.addresses[name] = server.address

    def _http_listener(self, view: View, switch: Switch) -> HttpListener:
        settings = switch.runtime.settings
        memory = ReplayMemory(settings.limits.replay_total)
        reader = self._reader = CallReader(_access(switch.runtime), Ids(), memory, self._via, self._clock)
        heads = ReplyHeads(self._clock, time.time, server_timing=settings.telemetry.server_timing)
        told = answers.builtin(view)

        def builtin(call: Call) -> tuple[int, bytes, bytes] | None:
            try:
                switch.runtime.engine.table.match(call)
            except NoRoute:
                return told(call.path, call.fields.get(b"accept", b""))
            return None

        return HttpListener(reader, heads, switch.exchange, builtin, _crashed, self._telemetry.unreadable)

    def _connection_factory(
        self, listener: HttpListener, limits: LimitsSettings, *, secure: bool
    ) -> Callable[[], ServerConnection]:
        server_limits = ServerLimits(
            max_headers=limits.max_headers,
            max_header_bytes=limits.max_header_bytes,
            header_timeout=limits.header_timeout,
            body_timeout=limits.body_timeout,
            keepalive=limits.keepalive,
        )

        def crashed(error: BaseException) -> None:
            log.error("a connection failed", exc_info=error)

        return lambda: ServerConnection(
            listener.serve, server_limits, listener.refuse, self._connections, secure, crashed=crashed
        )

    def _watch(self, switch: Switch) -> None:
        states = {"closed": 0.0, "half_open": 1.0, "open": 2.0}
        metrics = self._telemetry.metrics
        metrics.watch(
            "circuit_breaker_state",
            lambda: [((name,), states[breaker.state]) for name, breaker in switch.runtime.breakers().items()],
        )
        metrics.watch("sidecar_connections", lambda: [(("http",), float(self._connections.count))])
        metrics.watch("sidecar_upstream_connections", lambda: _upstream_connections(switch.runtime))

    # Stop.

    async def _drain(self) -> None:
        assert self.view is not None
        limits = self.view.runtime.settings.limits
        self.view.draining = True
        ends = self._clock() + limits.drain
        log.info("draining", extra={"fields": {"connections": self._connections.count}})
        if not self._on_terminal:
            await self._until_nobody_came(limits.linger, ends)
        self._connections.draining = True
        self.view.runtime.engine.draining = True
        if self._acceptor is not None:
            self._acceptor.close()
        self._connections.close_idle()
        await self._until(lambda: self._connections.count == 0, ends)

    async def _until_nobody_came(self, linger: float, ends: float) -> None:
        """Until no caller connection was open for `linger` seconds, at most until `ends`."""
        while self._clock() < ends:
            await self._until(lambda: self._connections.count == 0, ends)
            quiet_until = min(self._clock() + linger, ends)
            await self._until(lambda: self._connections.count > 0, quiet_until)
            if self._connections.count == 0:
                return

    async def _until(self, holds: Callable[[], bool], ends: float) -> None:
        """Until the connections are such, or `ends` (clock)."""
        changed = asyncio.Event()
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
        if self._acceptor is not None:
            self._acceptor.close()
        if cut := self._connections.abort_all():
            await asyncio.wait(cut, timeout=_LAST_WORDS)
        for server in self._servers:
            await server.aclose()
        self._servers.clear()
        if self.view is not None:
            await self.view.runtime.aclose()
            if self.view.addresses:
                log.info("ended")
        self._writer.close()


def handle_signals(daemon: Daemon) -> None:
    """SIGTERM and SIGINT end the daemon, SIGHUP has it read its policy file again."""
    loop = asyncio.get_running_loop()

    async def reload() -> None:
        with contextlib.suppress(ConfigError, OSError):  # it is in the log
            await daemon.reload()

    if hasattr(signal, "SIGHUP"):
        reloads: set[asyncio.Task[None]] = set()

        def on_hangup() -> None:
            task = loop.create_task(reload(), name="reload")
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        loop.add_signal_handler(signal.SIGHUP, on_hangup)
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, daemon.stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(daemon.stop))


def _access(runtime: Runtime) -> Access:
    listen = runtime.settings.listen
    return Access(
        hosts=allowed_hosts(runtime),
        origins=allowed_origins(runtime),
        token=listen.http_token.encode(),
        trusted=tuple(ipaddress.ip_network(network) for network in listen.trusted),
    )


async def _retire(before: Runtime, after: Runtime) -> dict[str, list[str]]:
    """Close what only the old runtime had; what was made, kept and dropped, by kind and name."""
    old, new = before.parts.keys(), after.parts.keys()
    for part in after.parts.dropped():
        if isinstance(part, HttpService):
            await part.aclose()
    return {
        "made": sorted({f"{kind} {name}" for kind, name, _ in new - old}),
        "kept": sorted({f"{kind} {name}" for kind, name, _ in new & old}),
        "dropped": sorted({f"{kind} {name}" for kind, name, _ in old - new}),
    }


def _crashed(call: Call, error: BaseException) -> None:
    log.error("internal error", exc_info=error, extra={"fields": {"request_id": call.id, "route": call.route}})


def _tls(listener: str, settings: TlsServerSettings | None) -> ssl.SSLContext | None:
    """TLS for a listener. Raises `OSError` that names the key, for files that cannot be used."""
    if settings is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.cert, settings.key)
        if settings.client_ca:
            context.load_verify_locations(settings.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:  # an ssl.SSLError is one
        raise unusable(f"listen.{listener}_tls", (settings.cert, settings.key, settings.client_ca), error) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def _cannot_bind(key: str, text: str, error: OSError) -> OSError:
    """The same error, naming the key and the address: what a person needs to mend it."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    hint = " (is another sidecar running?)" if error.errno == errno.EADDRINUSE else ""
    return OSError(error.errno, f"{key}: cannot listen on {text}: {reason}{hint}")


def _upstream_connections(runtime: Runtime) -> Iterator[tuple[tuple[str, ...], float]]:
    for name, service in runtime.services().items():
        stats = [pool.stats() for pool in service.pools]
        for state in ("idle", "active", "connecting"):
            yield (name, state), float(sum(getattr(each, state) for each in stats))
