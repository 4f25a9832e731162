"""Takes a changed policy file while calls go on.

All that can fail comes first: the file is read, the runtime built, the listeners
that move are opened. Then one assignment, and what only the old configuration had
is retired. One reload at a time, whoever asked for it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sidecar.config import load
from sidecar.config.files import digest
from sidecar.config.outside import outside
from sidecar.errors import ConfigError, Mistake
from sidecar.parts import turnover
from sidecar.policy.breaker import Breaker
from sidecar.runtime import Closing, Runtime, build
from sidecar.telemetry.process_log import set_level
from sidecar.telemetry.start import access_log_to, process_log_to
from sidecar.view import exposure
from sidecar.watching import Seen, Watching, look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sidecar.config import Loaded
    from sidecar.listening import Listening, Move
    from sidecar.settings import Settings
    from sidecar.settings.operations import TelemetrySettings
    from sidecar.surroundings import Surroundings
    from sidecar.telemetry.log_writer import LogWriter
    from sidecar.telemetry.tracing import Tracing
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
        tracing: Tracing,
    ) -> None:
        self._around = around
        self._writer = writer
        self._view = view
        self._listening = listening
        self._adjust = adjust
        self._tracing = tracing
        self._lock = asyncio.Lock()
        self._asked: asyncio.Task[dict[str, Any]] | None = None
        """A reload that somebody has asked for, under way. It holds the lock."""
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
        """Read the policy file again and swap its runtime in; what changed. Raises `ConfigError`: nothing changed.

        Who has asked may leave (a caller of the admin listener): a reload that has begun goes on to its end.
        """
        await self._lock.acquire()
        self._asked = asyncio.get_running_loop().create_task(self._read_again(), name="reload")
        self._asked.add_done_callback(self._answered)
        return await asyncio.shield(self._asked)

    def _answered(self, _task: asyncio.Task[dict[str, Any]]) -> None:
        self._asked = None
        self._lock.release()

    async def _read_again(self) -> dict[str, Any]:
        self._seen = await asyncio.to_thread(look, list(self._watched()))
        return await self._reload(by_itself=False)

    async def aclose(self) -> None:
        """The process ends: no reload is under way any more."""
        if self._asked is not None:
            self._asked.cancel()
            await asyncio.wait((self._asked,))

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
            # What was read, not what was seen before: of a file that is written again meanwhile it may be a part.
            text = self._seen[str(view.loaded.path)] if error.text is None else error.text
            self._have_read(text, files, refused=True)
            mistakes = [str(mistake) for mistake in error.mistakes]
            view.reloaded("failure", mistakes=[asdict(mistake) for mistake in error.mistakes])
            telemetry.reloaded("failure", before.engine.generation, mistakes=mistakes)
            log.error("the policy file was not taken: %s", error)  # noqa: TRY400 - the mistakes say it all
            raise
        except Exception as error:
            view.stale = f"an error of ours: {error!r}"
            ours = Mistake(str(view.loaded.path), 0, "", "an error of ours: see the log")
            view.reloaded("failure", mistakes=[asdict(ours)])
            telemetry.reloaded("failure", before.engine.generation)
            raise
        view.reloaded("success", difference=changed)
        told = {key: value for key, value in changed.items() if key != "generation"}
        telemetry.reloaded("success", view.runtime.engine.generation, **told)
        log.info("the policy file was taken", extra={"fields": changed})
        async with view.went_live:
            view.went_live.notify_all()
        return changed

    async def _swap(self, before: Runtime, *, by_itself: bool) -> dict[str, Any]:
        view = self._view
        # Reading and checking take tens of milliseconds, in which calls go on.
        loaded = await asyncio.to_thread(load, view.loaded.path, self._around.environ, pipes=False)
        self._seen = {**self._seen, str(loaded.path): loaded.hash}
        loaded = self._adjust(loaded)
        if by_itself and not loaded.text.strip():
            raise ConfigError([Mistake(str(loaded.path), 0, "", EMPTY)])
        runtime, move = await self._made(loaded, before)
        # From here on only a bug can fail, and nothing waits until the new runtime is live.
        runtime.engine.draining = before.engine.draining
        view.loaded, view.stale = loaded, ""
        view.switch.runtime = runtime
        self._have_read(loaded.hash, loaded.files)
        changed: dict[str, Any] = {"generation": runtime.engine.generation, "hash": loaded.hash}
        try:
            runtime.begin()
            if move is not None:
                self._listening.take(move, runtime)
            self._tell_otherwise(before.settings.telemetry, loaded.settings.telemetry)
        finally:
            changed |= await retire(before, runtime)
            self._drop_series(before.settings, loaded.settings)
        if move is not None and move.doors:
            changed["moved"] = {name: view.addresses.get(name, "") for name in move.doors}
        if move is not None and move.later:
            changed["next_start"] = move.later
            log.warning("some changes count from the next start: %s", ", ".join(move.later))
        await self._tracing.become(loaded.settings.telemetry.otlp)
        if (warning := exposure(runtime)) and warning != exposure(before):
            log.warning(warning)
        return changed

    async def _made(self, loaded: Loaded, before: Runtime) -> tuple[Runtime, Move | None]:
        """What the file wants, built and its listeners open. Raises `ConfigError`; whatever fails, nothing is left."""
        runtime: Runtime | None = None
        try:
            runtime = await build(loaded.settings, self._around, before, loaded.files)
            return runtime, await self._move(loaded)
        except BaseException as error:
            if runtime is not None:
                await runtime.discard()
            self._drop_series(loaded.settings, before.settings)
            if isinstance(error, OSError):
                raise outside(loaded, error) from error
            raise

    async def _move(self, loaded: Loaded) -> Move | None:
        """What becomes of the listeners; nothing once the process drains: then no door opens again."""
        move = None if self._view.draining else await self._listening.prepare(loaded.settings)
        if move is None or not self._view.draining:
            return move
        await self._listening.forget(move)
        return None

    def _drop_series(self, gone: Settings, left: Settings) -> None:
        """What only the one names is in no live runtime any more."""
        self._around.telemetry.retire(gone.routes.keys() - left.routes.keys(), _targets(gone) - _targets(left))

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
    dropped = after.parts.dropped()
    after.parts.forget_before()
    for part in dropped:
        if isinstance(part, Breaker):
            part.listeners = ()  # calls under way still move it, and another may have its name
    closing = [part.aclose() for part in dropped if isinstance(part, Closing)]
    # All of them: also where one fails, or the process ends meanwhile.
    for failed in filter(None, await asyncio.shield(asyncio.gather(*closing, return_exceptions=True))):
        log.error("a part of the configuration before could not be closed", exc_info=failed)
    return {how: [" ".join(named).strip() for named in parts] for how, parts in told.items()}


def _targets(settings: Settings) -> set[str]:
    """By the names that metrics have for them."""
    return {*settings.upstreams, *(f"static/{name}" for name in settings.static)}
