"""Takes a changed policy file while calls go on.

All that can fail comes first: the file is read, the runtime built, the listeners
that move are opened. Then one assignment, and what only the old configuration had
is retired. One reload at a time, whoever asked for it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from sidecar.config import load
from sidecar.config.files import digest
from sidecar.errors import ConfigError, Mistake
from sidecar.parts import turnover
from sidecar.rehearsal import unusable
from sidecar.runtime import Runtime, build
from sidecar.telemetry.process_log import set_level
from sidecar.telemetry.start import access_log_to, process_log_to
from sidecar.upstreams.grpc import GrpcUpstream
from sidecar.watching import Seen, Watching, look
from sidecar.wiring import HttpService

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sidecar.config import Loaded
    from sidecar.listening import Listening, Move
    from sidecar.settings.operations import TelemetrySettings
    from sidecar.surroundings import Surroundings
    from sidecar.telemetry.log_writer import LogWriter
    from sidecar.view import View

log = logging.getLogger("sidecar")

EMPTY = "is empty: it is being written, or is to be emptied by sidecar reload"


class Reloading:
    """Reloads of one daemon. `adjust` changes what a file says before it counts."""

    def __init__(
        self,
        around: Surroundings,
        writer: LogWriter,
        view: View,
        listening: Listening,
        adjust: Callable[[Loaded], Loaded],
    ) -> None:
        self._around = around
        self._writer = writer
        self._view = view
        self._listening = listening
        self._adjust = adjust
        self._lock = asyncio.Lock()
        self._files: tuple[str, ...] = tuple(view.loaded.files)
        path = view.loaded.path
        # A pipe, as a shell's `<(…)`, has given all it had: it never changes.
        self._seen: Seen = {str(path): view.loaded.hash if digest(path) else "", **view.loaded.files}
        """What the files held when they were last read."""
        self.watching = Watching(self._watched, self._changed, self._seen)

    def _watched(self) -> Iterable[str]:
        """The files that count: those of the text in use, or of the one that was refused."""
        return (str(self._view.loaded.path), *self._files)

    async def _changed(self, seen: Seen) -> bool:
        """The files have changed, or what they hold was refused a while ago."""
        async with self._lock:
            if seen == self._seen and not self._view.stale:  # somebody asked for a reload in this moment
                return True
            self._seen = seen
            try:
                await self._reload(by_itself=True)
            except ConfigError:  # it is in the log
                return False
            except Exception:  # a bug of ours: the sidecar goes on as it is, and says so
                log.exception("the policy file could not be taken")
                return False
            return True

    async def reload(self) -> dict[str, Any]:
        """Read the policy file again and swap its runtime in; what changed. Raises `ConfigError`: nothing changed."""
        async with self._lock:
            self._seen = await asyncio.to_thread(look, list(self._watched()))
            return await self._reload(by_itself=False)

    def _have_read(self, policy: str, files: Mapping[str, str], *, refused: bool = False) -> None:
        """The files that count from now on, and what they held: a text that names other files is not another text."""
        self._files = tuple(files)
        self._seen = {str(self._view.loaded.path): policy, **files}
        self.watching.took(self._seen, refused=refused)

    async def _reload(self, *, by_itself: bool) -> dict[str, Any]:
        view, before, telemetry = self._view, self._view.runtime, self._around.telemetry
        try:
            changed = await self._swap(before, by_itself=by_itself)
        except ConfigError as error:
            view.stale = str(error).splitlines()[0]
            files = error.files or {path: self._seen.get(path, "") for path in self._files}
            self._have_read(self._seen[str(view.loaded.path)], files, refused=True)
            mistakes = [str(mistake) for mistake in error.mistakes]
            telemetry.reloaded("failure", before.engine.generation, mistakes=mistakes)
            log.error("the policy file was not taken: %s", error)  # noqa: TRY400 - the mistakes say it all
            raise
        except Exception as error:
            view.stale = f"an error of ours: {error!r}"
            telemetry.reloaded("failure", before.engine.generation)
            raise
        told = {key: value for key, value in changed.items() if key != "generation"}
        telemetry.reloaded("success", view.runtime.engine.generation, **told)
        log.info("the policy file was taken", extra={"fields": changed})
        async with view.live:
            view.live.notify_all()
        return changed

    async def _swap(self, before: Runtime, *, by_itself: bool) -> dict[str, Any]:
        view = self._view
        # Reading and checking take tens of milliseconds, in which calls go on.
        loaded = self._adjust(await asyncio.to_thread(load, view.loaded.path, self._around.environ, pipes=False))
        if by_itself and not loaded.text.strip():
            raise ConfigError([Mistake(str(loaded.path), 1, "", EMPTY)])
        move: Move | None = None
        try:
            runtime = await build(loaded.settings, self._around, before, loaded.files)
        except OSError as error:
            raise unusable(loaded, error) from error
        try:
            if not view.draining:  # then no door opens again
                move = await self._listening.prepare(loaded.settings)
        except OSError as error:
            await runtime.discard()
            raise unusable(loaded, error) from error
        # From here on nothing fails, and nothing waits until the new runtime is live.
        runtime.engine.draining = before.engine.draining
        view.switch.runtime = runtime
        runtime.begin()
        if move is not None:
            self._listening.take(move, runtime)
        told_before, view.loaded, view.stale = view.loaded, loaded, ""
        self._have_read(loaded.hash, loaded.files)
        self._tell_otherwise(told_before.settings.telemetry, loaded.settings.telemetry)
        changed: dict[str, Any] = {"generation": runtime.engine.generation, "hash": loaded.hash}
        changed |= await retire(before, runtime)
        self._around.telemetry.retire(
            {route.name for route in before.routes} - {route.name for route in runtime.routes},
            before.resolved.upstreams.keys() - runtime.resolved.upstreams.keys(),
        )
        if move is not None and move.later:
            changed["next_start"] = move.later
            log.warning("some changes count from the next start: %s", ", ".join(move.later))
        return changed

    def _tell_otherwise(self, before: TelemetrySettings, now: TelemetrySettings) -> None:
        """What `[telemetry]` says differently. A log level set by hand stays unless the file's own changes."""
        telemetry = self._around.telemetry
        if now.log_format != before.log_format:
            level = logging.getLogger().level
            process_log_to(self._writer, log_format=now.log_format, log_level=now.log_level)
            logging.getLogger().setLevel(level)
        if now.log_level != before.log_level:
            set_level(now.log_level)
        if now != before:
            telemetry.access_log = access_log_to(
                self._writer,
                log_format=now.log_format,
                access_log=now.access_log,
                access_log_sample=now.access_log_sample,
            )
        telemetry.metrics.limit_series(now.max_series)


async def retire(before: Runtime, after: Runtime) -> dict[str, list[str]]:
    """Close what only the old runtime had; what was made, reset, kept and dropped, by kind and name."""
    told = turnover(before.parts, after.parts)._asdict()
    for part in after.parts.dropped():
        if isinstance(part, HttpService | GrpcUpstream):
            await part.aclose()
    after.parts.forget_before()
    return {how: [" ".join(named).strip() for named in parts] for how, parts in told.items()}
