"""A changed policy file is taken whole or not at all, whoever asks for it, and says what it did."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import os
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from sidecar import reloading, watching
from sidecar.cli.exec.listen import on_free_ports
from sidecar.config import load
from sidecar.daemon import Daemon
from sidecar.errors import ConfigError
from tests.kit.caller import PATIENCE
from tests.kit.running import FREE, Log, Running, one, running, with_listeners
from tests.kit.scripted import OK, reply, scripted

if TYPE_CHECKING:
    from sidecar.config import Loaded

NOWHERE = "http://127.0.0.1:1"
ADMIN = '[listen]\nhttp = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n'


def rewrite(sidecar: Running, old: str, new: str) -> None:
    text = sidecar.file.read_text()
    assert old in text
    sidecar.file.write_text(text.replace(old, new))


async def health(sidecar: Running) -> str:
    answer = json.loads((await sidecar.ask("/health")).body)
    return str(answer["checks"]["config"])


# By itself.


async def test_a_mistake_is_told_with_its_line_and_the_next_text_is_taken() -> None:
    async with scripted() as upstream, running(one(upstream.url, path="/api/*"), watched=True) as sidecar:
        good = sidecar.file.read_text()
        sidecar.file.write_text(good.replace("chain", "chian"))
        line = await sidecar.log.saying("the policy file was not taken")
        assert f"{sidecar.file}:12: routes.r.chian: unknown key (did you mean 'chain'?)" in line["message"]
        assert (await health(sidecar)).startswith("stale: ")
        assert b"sidecar_config_reload_failed 1.0" in (await sidecar.ask("/metrics")).body
        assert (await sidecar.ask("/api/x")).fields["x-sidecar-config"] == "1"
        sidecar.file.write_text(good)
        assert (await sidecar.log.saying("the policy file was taken"))["generation"] == 2
        assert await health(sidecar) == "ok"
        assert b"sidecar_config_reload_failed 0.0" in (await sidecar.ask("/metrics")).body


async def test_a_file_that_was_emptied_is_taken_only_when_somebody_says_so() -> None:
    """`command > sidecar.toml` empties it long before the command has written anything."""
    async with scripted() as upstream, running(one(upstream.url), watched=True) as sidecar:
        sidecar.file.write_text("\n")
        assert "is empty" in (await sidecar.log.saying("the policy file was not taken"))["message"]
        assert (await sidecar.ask("/x")).status == 200
        sidecar.file.write_text(FREE)
        await sidecar.log.saying("the policy file was taken")
        assert (await sidecar.ask("/x")).status == 404
        sidecar.file.write_text("")
        await sidecar.log.line(lambda line: "is empty" in line["message"] and sidecar.runtime.engine.generation == 2)
        assert sidecar.daemon._reloading is not None
        sidecar.daemon._reloading._adjust = on_free_ports  # it means the usual ones, on which somebody else may listen
        rewritten = await sidecar.daemon.reload()
        assert rewritten["generation"] == 3


async def test_a_pipe_in_the_files_place_is_a_mistake() -> None:
    async with running(one(NOWHERE), watched=True) as sidecar:
        good = sidecar.file.read_text()
        sidecar.file.unlink()
        os.mkfifo(sidecar.file)
        assert "it is a pipe" in (await sidecar.log.saying("the policy file was not taken"))["message"]
        with pytest.raises(ConfigError, match="it is a pipe"):
            await sidecar.daemon.reload()
        sidecar.file.unlink()
        sidecar.file.write_text(good)
        assert (await sidecar.log.saying("the policy file was taken"))["generation"] == 2


async def test_a_policy_that_came_through_a_pipe_is_in_use_until_the_end() -> None:
    """`sidecar run -c <(...)`: there is nothing to be read again, and that is no fault."""
    reader, writer = os.pipe()
    os.write(writer, with_listeners(one(NOWHERE)).encode())
    os.close(writer)
    daemon = Daemon(load(Path(f"/dev/fd/{reader}"), {}), {}, Log(), on_terminal=True)
    await daemon.start()
    try:
        assert daemon._reloading is not None
        await daemon._reloading.watching._look()
        assert daemon.view is not None
        assert daemon.view.checks()["config"] == "ok"
    finally:
        await daemon.aclose()
        os.close(reader)


async def test_a_secret_that_changes_is_used_by_the_next_call(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("one\n")
    secret = f'headers = {{ X-Key = {{ file = "{key}" }} }}'
    async with scripted() as upstream, running(one(upstream.url, upstream=secret), watched=True) as sidecar:
        await sidecar.ask("/1")
        assert upstream.fields()["x-key"] == "one"
        key.write_text("two\n")
        line = await sidecar.log.saying("the policy file was taken")
        assert (line["reset"], "breaker a" in line["kept"]) == (["http a", "rest r/a"], True)
        await sidecar.ask("/2")
        assert upstream.fields()["x-key"] == "two"


async def test_a_file_that_is_named_and_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    async with scripted() as upstream, running(one(upstream.url), watched=True) as sidecar:
        rewrite(sidecar, "[routes.r]", f'headers = {{ X-Key = {{ file = "{tmp_path}/key" }} }}\n[routes.r]')
        assert "No such file" in (await sidecar.log.saying("the policy file was not taken"))["message"]
        (tmp_path / "key").write_text("here\n")
        await sidecar.log.saying("the policy file was taken")
        await sidecar.ask("/")
        assert upstream.fields()["x-key"] == "here"


async def test_what_was_wrong_outside_of_the_file_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that was in use; no file changes when it is let go."""
    monkeypatch.setattr(watching, "POLL", 0.05)
    monkeypatch.setattr(watching, "AGAIN", 0.1)
    async with running(one(NOWHERE, more=ADMIN)) as other, running(one(NOWHERE, more=ADMIN), watched=True) as sidecar:
        taken = other.daemon.addresses["http"]
        rewrite(sidecar, 'http = "127.0.0.1:0"', f'http = "{taken}"')
        await sidecar.log.saying("the policy file was not taken")
        rewrite(other, 'http = "127.0.0.1:0"', 'http = ""')
        await other.daemon.reload()
        assert sidecar.daemon.view is not None
        assert await sidecar.daemon.view.wait_config(load(sidecar.file, {}).hash, PATIENCE)
        assert sidecar.daemon.addresses["http"] == taken


async def test_a_text_that_was_refused_when_somebody_asked_is_tried_again_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "AGAIN", 0.1)
    monkeypatch.setattr(watching, "POLL", 0.05)
    async with scripted() as upstream, running(one(upstream.url, path="/api/*", more=ADMIN), watched=True) as sidecar:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            rewrite(sidecar, 'http = "127.0.0.1:0"', f'http = "127.0.0.1:{taken.getsockname()[1]}"')
            with pytest.raises(ConfigError, match=r"listen\.http"):
                await sidecar.daemon.reload()
        await sidecar.log.saying("the policy file was taken")


async def test_a_reload_by_hand_and_the_change_itself_are_one_reload() -> None:
    async with running(one(NOWHERE), watched=True) as sidecar:
        for number in range(2, 6):
            rewrite(sidecar, "[routes.r]", f"# {number}\n[routes.r]")
            assert (await sidecar.daemon.reload())["generation"] == number
        rewrite(sidecar, "[routes.r]", "# the last\n[routes.r]")
        while (line := await sidecar.log.line(lambda line: line.get("generation", 0) > 5))["generation"] < 6:
            pass
        assert line["generation"] == 6


async def test_many_at_once_are_one_after_the_other() -> None:
    async with running(one(NOWHERE)) as sidecar:
        told = await asyncio.gather(*(sidecar.daemon.reload() for _ in range(10)))
        assert [each["generation"] for each in told] == list(range(2, 12))


@pytest.mark.parametrize("meanwhile", ["gone", "empty", "cut short"])
async def test_a_file_that_is_written_once_more_while_it_is_read_is_read_again(
    meanwhile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same text: what was refused is not what has been seen before and after."""
    monkeypatch.setattr(watching, "AGAIN", 10 * PATIENCE)
    async with running(one(NOWHERE), watched=True) as sidecar:

        def load_meanwhile(path: Path, environ: dict[str, str], *, pipes: bool) -> Loaded:
            monkeypatch.setattr(reloading, "load", load)
            text = path.read_text()
            if meanwhile == "gone":
                path.unlink()
            else:
                path.write_text("" if meanwhile == "empty" else text[:-20])
            try:
                return load(path, environ, pipes=pipes)
            finally:
                path.write_text(text)

        monkeypatch.setattr(reloading, "load", load_meanwhile)
        rewrite(sidecar, "[routes.r]", "# changed\n[routes.r]")
        await sidecar.log.saying("the policy file was not taken")
        assert (await sidecar.log.saying("the policy file was taken"))["generation"] == 2


class Held:
    """Stands in for `load`: a reload is in the middle of it until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self._may_end = threading.Event(), threading.Event()
        monkeypatch.setattr(reloading, "load", self._load)

    def _load(self, path: Path, environ: dict[str, str], *, pipes: bool) -> Loaded:
        self.begun.set()
        self._may_end.wait(PATIENCE)
        return load(path, environ, pipes=pipes)

    def let_go(self) -> None:
        self._may_end.set()


async def test_who_asks_and_leaves_takes_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the admin listener cancels what nobody waits for. The text counted as read: it was never taken."""
    async with running(one(NOWHERE, more=ADMIN), watched=True) as sidecar:
        held = Held(monkeypatch)
        rewrite(sidecar, "[routes.r]", "# changed\n[routes.r]")
        asks, waits = (asyncio.create_task(sidecar.daemon.reload()) for _ in range(2))
        assert await asyncio.to_thread(held.begun.wait, PATIENCE)
        for each in (asks, waits):
            each.cancel()
        await asyncio.wait((asks, waits))
        held.let_go()
        assert (await sidecar.log.saying("the policy file was taken"))["generation"] == 2
        assert (await sidecar.daemon.reload())["generation"] == 3  # who waited for its turn has asked for nothing


async def test_the_end_waits_for_no_reload_and_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(one(NOWHERE)) as sidecar:
        held = Held(monkeypatch)
        asks = asyncio.create_task(sidecar.daemon.reload())
        assert await asyncio.to_thread(held.begun.wait, PATIENCE)
    await asyncio.wait((asks,), timeout=PATIENCE)
    assert asks.cancelled()
    held.let_go()


# What changes with it.


async def test_who_waits_for_a_text_hears_when_it_is_live() -> None:
    async with (
        running(one(NOWHERE, more=ADMIN), watched=True) as sidecar,
        aiohttp.ClientSession(sidecar.admin) as admin,
    ):
        rewrite(sidecar, "[routes.r]", "# changed\n[routes.r]")
        wanted = load(sidecar.file, {}).hash
        async with admin.get(f"/config?wait={wanted}&timeout=10s") as answer:
            assert (answer.status, (await answer.json())["generation"]) == (200, 2)
        async with admin.get(f"/config?wait={'0' * 64}&timeout=10ms") as answer:
            assert answer.status == 504


async def test_an_address_that_cannot_be_had_is_a_mistake_with_its_line(tmp_path: Path) -> None:
    async with running(one(NOWHERE, more=ADMIN)) as sidecar, aiohttp.ClientSession(sidecar.admin) as admin:
        rewrite(sidecar, 'http = "127.0.0.1:0"', f'http = "{sidecar.daemon.addresses["admin"]}"')
        rewrite(sidecar, 'admin = "127.0.0.1:0"', 'admin = ""')
        async with admin.post("/reload") as answer:
            assert (answer.status, (await answer.json())["next_start"]) == (200, ["listen.http"])
    async with running(one(NOWHERE, more=ADMIN)) as sidecar, aiohttp.ClientSession(sidecar.admin) as admin:
        rewrite(sidecar, 'http = "127.0.0.1:0"', 'http = "nobody.invalid:1"')
        async with admin.post("/reload") as answer:
            (mistake,) = (await answer.json())["mistakes"]
            assert (answer.status, mistake["key"], mistake["line"]) == (422, "listen.http", 4)


async def test_the_log_is_written_as_the_new_file_says() -> None:
    telemetry = '[telemetry]\naccess_log = false\nlog_level = "info"\n'
    async with scripted(OK) as upstream, running(one(upstream.url, more=telemetry)) as sidecar:
        await sidecar.ask("/", "X-Request-ID: quiet")
        rewrite(sidecar, telemetry, '[telemetry]\naccess_log = true\nlog_level = "warning"\nmax_series = 7\n')
        await sidecar.daemon.reload()
        await sidecar.ask("/", "X-Request-ID: told")
        await sidecar.log.call("told")
        assert not any(line.get("request_id") == "quiet" for line in sidecar.log.lines)
        assert logging.getLogger().level == logging.WARNING


async def test_a_log_level_set_by_hand_stays_unless_the_file_says_another() -> None:
    async with running(one(NOWHERE, more='[telemetry]\nlog_level = "info"')) as sidecar:
        view = sidecar.daemon.view
        assert view is not None
        view.set_log_level("debug")
        rewrite(sidecar, "[routes.r]", "# changed\n[routes.r]")
        await sidecar.daemon.reload()
        assert logging.getLogger().level == logging.DEBUG
        rewrite(sidecar, '"info"', '"error"')
        await sidecar.daemon.reload()
        assert logging.getLogger().level == logging.ERROR


async def test_the_format_of_the_log_may_change(tmp_path: Path) -> None:
    file = tmp_path / "sidecar.toml"
    file.write_text(with_listeners(one(NOWHERE)))
    lines: list[bytes] = []
    log = Log()
    log.write = lines.append  # type: ignore[assignment,method-assign]  # console lines are no JSON
    daemon = Daemon(load(file, {}), {}, log, on_terminal=True)
    await daemon.start()
    try:
        file.write_text('[telemetry]\nlog_format = "console"\n' + file.read_text())
        await daemon.reload()
        logging.getLogger("sidecar").info("as a person reads it")
        assert lines[0].startswith(b"{")
        assert b"as a person reads it" in lines[-1]
        assert not lines[-1].startswith(b"{")
    finally:
        await daemon.aclose()


async def test_a_failed_reload_tells_events_and_metrics_and_leaves_nothing() -> None:
    async with running(one(NOWHERE, path="/api/*")) as sidecar:
        before = sidecar.runtime
        rewrite(sidecar, NOWHERE, "http://127.0.0.1:2")
        rewrite(sidecar, 'http = "127.0.0.1:0"', 'http = "nobody.invalid:1"')
        with pytest.raises(ConfigError):
            await sidecar.daemon.reload()
        assert sidecar.runtime is before
        assert b'sidecar_config_reloads_total{result="failure"} 1' in (await sidecar.ask("/metrics")).body


# What it is adjusted by.


async def test_what_the_file_says_is_adjusted_each_time(tmp_path: Path) -> None:
    file = tmp_path / "sidecar.toml"
    file.write_text(one(NOWHERE, more='[listen]\nhttp = "nobody.invalid:1"'))

    def adjust(loaded: Loaded) -> Loaded:
        listen = loaded.settings.listen.model_copy(update={"http": "127.0.0.1:0", "grpc": "", "admin": ""})
        return dataclasses.replace(loaded, settings=loaded.settings.model_copy(update={"listen": listen}))

    daemon = Daemon(load(file, {}), {}, Log(), on_terminal=True, adjust=adjust)
    await daemon.start()
    try:
        before = daemon.addresses
        file.write_text(file.read_text() + "idempotent = true\n")
        assert (await daemon.reload())["generation"] == 2
        assert daemon.addresses == before
    finally:
        await daemon.aclose()


async def test_what_a_caller_must_bring_changes_with_the_file() -> None:
    async with scripted(reply(body=b"in")) as upstream, running(one(upstream.url, more=FREE)) as sidecar:
        rewrite(sidecar, "[listen]\n", '[listen]\nhttp_token = "let-me-in"\n')
        await sidecar.daemon.reload()
        assert (await sidecar.ask("/")).status == 403
        assert (await sidecar.ask("/", "X-Sidecar-Token: let-me-in")).body == b"in"


async def test_an_error_of_ours_leaves_what_is_live_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted() as upstream, running(one(upstream.url, path="/api/*"), watched=True, bug=True) as sidecar:
        with monkeypatch.context() as patch:
            patch.setattr("sidecar.reloading.build", lambda *_: 1 / 0)
            rewrite(sidecar, "[routes.r]", "# changed\n[routes.r]")
            assert "ZeroDivisionError" in (await sidecar.log.saying("could not be taken"))["exception"]
        assert (await health(sidecar)).startswith("stale: an error of ours")
        assert (await sidecar.ask("/api/x")).status == 200
        assert (await sidecar.daemon.reload())["generation"] == 2
        assert await health(sidecar) == "ok"
