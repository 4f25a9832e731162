"""`sidecar health [--all]`: well or not, and what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.cli.health import health, live
from sidecar.cli.trouble import Trouble
from tests.kit.addresses import free_port
from tests.kit.asked import NOWHERE, asked, governed
from tests.kit.blunt import answer, blunt, json_answer
from tests.kit.running import one, running

if TYPE_CHECKING:
    from pathlib import Path

BESIDE = """
[static.sorry]
[routes.fixed]
match = { path = "/fixed" }
chain = ["static/sorry"]
"""


async def test_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed() as sidecar:
        told = await asked(capsys, health, sidecar.admin, None)
    assert (told.code, told.out, told.err) == (0, "healthy\n", "")


async def test_degraded_serves_and_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed(BESIDE) as sidecar:
        sidecar.runtime.breakers()["a"].force_open()
        told = await asked(capsys, health, sidecar.admin, None)
        as_json = await asked(capsys, health, sidecar.admin, None, as_json=True)
    assert told.code == 0
    assert told.lines == ["degraded", "check              says", "circuit_breaker a  open"]
    assert (as_json.code, as_json.document["status"]) == (0, "degraded")


async def test_unhealthy_is_1(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed() as sidecar:
        sidecar.runtime.breakers()["a"].force_open()
        told = await asked(capsys, health, sidecar.admin, None)
        as_json = await asked(capsys, health, sidecar.admin, None, as_json=True)
    assert told.code == 1
    assert told.lines[0] == "unhealthy"
    assert told.lines[-1].split("  ")[-1] == "no target of any route can be tried"
    assert (as_json.code, as_json.document["status"]) == (1, "unhealthy")


async def test_every_check_and_every_upstream(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed() as sidecar:
        told = await asked(capsys, health, sidecar.admin, None, everything=True)
        as_json = await asked(capsys, health, sidecar.admin, None, everything=True, as_json=True)
    assert told.code == 0
    assert {line.split("  ")[0] for line in told.lines} >= {"config", "circuit_breaker a", "process", "targets"}
    assert told.lines[-1].split() == ["a", "http", "closed", "-", "-", "http://127.0.0.1:9"]
    assert set(as_json.document) >= {"status", "checks", "upstreams", "circuit_breakers"}


@pytest.mark.parametrize("said", [{}, {"status": "UP"}, {"service": "search", "status": "healthy", "checks": {}}])
async def test_that_another_service_is_well_does_not_count(
    said: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    async with blunt(json_answer(said)) as there:
        with pytest.raises(Trouble, match="is no sidecar") as raised:
            await asked(capsys, health, there.url, None, as_json=True)
    assert raised.value.code == 1


async def test_what_a_check_says_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    said = {"service": "sidecar", "status": "degraded", "checks": {"target x\x1b[2J": "rests: \x9b31m\r\nok"}}
    async with blunt(json_answer(said)) as there:
        told = await asked(capsys, health, there.url, None)
    assert told.lines[-1] == r"target x\x1b[2J  rests: \x9b31m\r\nok"


async def test_it_lives_whatever_its_upstreams_do_and_while_it_drains(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed() as sidecar:
        sidecar.runtime.breakers()["a"].force_open()
        assert (await asked(capsys, health, sidecar.admin, None)).code == 1
        told = await asked(capsys, live, sidecar.admin)
        as_json = await asked(capsys, live, sidecar.admin, as_json=True)
        caller = await sidecar.caller()
        sidecar.daemon.stop()
        draining = await asked(capsys, live, sidecar.admin)
        await caller.close()
    assert (told.code, told.out, told.err) == (0, "alive\n", "")
    assert as_json.document == {"status": "alive"}
    assert (draining.code, draining.out) == (0, "alive\n")


async def test_any_listener_tells_that_it_lives_and_none_wants_a_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A container's file may have the admin listener off, on a unix socket, or behind a token."""
    listen = f"""
[listen]
http = "127.0.0.1:0"
http_token = "callers-token"
admin = "unix:{tmp_path}/admin.sock"
probe = "0.0.0.0:0"
[admin]
token = "admins-token"
"""
    async with running(one(NOWHERE, path="/shop/*", more=listen)) as sidecar:
        addresses = sidecar.daemon.addresses
        assert addresses["probe"].startswith("0.0.0.0:")
        for address in (sidecar.url, addresses["admin"], addresses["probe"]):
            assert (await asked(capsys, live, address)).out == "alive\n"


async def test_the_address_is_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with governed() as sidecar:
        monkeypatch.setenv("SIDECAR_LISTEN_ADMIN", sidecar.daemon.addresses["admin"])
        assert (await asked(capsys, live, None)).code == 0


@pytest.mark.parametrize("admin", ["", "unix:{folder}/admin.sock"])
async def test_where_the_usual_address_is_silent_the_files_own_listeners_are_asked(
    admin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a container: nobody told the health check that the mounted file has no admin listener, or where."""
    listen = f"""
[listen]
http = "127.0.0.1:0"
admin = "{admin.format(folder=tmp_path)}"
probe = "0.0.0.0:{free_port()}"
"""
    monkeypatch.setenv("SIDECAR_LISTEN_ADMIN", f"127.0.0.1:{free_port()}")
    file = tmp_path / "mounted.toml"
    file.write_text(listen + "[routes.a_mistake]\n")  # one that came later, and was not taken
    async with running(one(NOWHERE, path="/*", more=listen)):
        assert (await asked(capsys, live, None, str(file))).out == "alive\n"
        monkeypatch.setenv("SIDECAR_ADMIN", f"127.0.0.1:{free_port()}")
        with pytest.raises(Trouble, match="Connection refused"):  # an address that was told is the one that counts
            await asked(capsys, live, None, str(file))


@pytest.mark.parametrize("text", ["[listen]\nprobe = 1\n", "[listen\n", None, '[listen]\nprobe = "127.0.0.1:{port}"\n'])
async def test_a_file_that_leads_nowhere_leaves_the_first_answer(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("SIDECAR_LISTEN_ADMIN", usual)
    if text is not None:
        silent = 'admin = ""\nhttp = ""\n'
        (tmp_path / "mounted.toml").write_text(text.format(port=free_port()) + silent)
    with pytest.raises(Trouble, match=usual) as raised:
        await asked(capsys, live, None, str(tmp_path / "mounted.toml"))
    assert raised.value.code == 1


async def test_all_addresses_together_are_given_the_time_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sidecar.cli.health.LIVE_PATIENCE", 0.05)
    async with blunt(b"", hangs=True) as stuck, running(one(NOWHERE)) as sidecar:
        monkeypatch.setenv("SIDECAR_LISTEN_ADMIN", stuck.url)
        (tmp_path / "mounted.toml").write_text(f'[listen]\nhttp = "{sidecar.url.removeprefix("http://")}"\n')
        with pytest.raises(Trouble, match="no word within the time"):
            await asked(capsys, live, None, str(tmp_path / "mounted.toml"))


async def test_who_does_not_answer_does_not_live(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Trouble, match="Connection refused") as nobody:
        await asked(capsys, live, f"127.0.0.1:{free_port()}")
    assert nobody.value.code == 1
    monkeypatch.setattr("sidecar.cli.health.LIVE_PATIENCE", 0.05)
    async with blunt(b"", hangs=True) as there:
        with pytest.raises(Trouble, match="no word within the time") as stuck:
            await asked(capsys, live, there.url)
    assert stuck.value.code == 1


@pytest.mark.parametrize(
    "said", [answer(b"<html>hello"), answer(b"ok\n", "404 Not Found"), answer(b"not ok\n", "503 Service Unavailable")]
)
async def test_that_somebody_else_lives_does_not_count(said: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    async with blunt(said) as there:
        with pytest.raises(Trouble, match="is no sidecar") as raised:
            await asked(capsys, live, there.url)
    assert raised.value.code == 1


async def test_one_asks_for_all_or_for_one_thing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Trouble, match="choose") as raised:
        await asked(capsys, live, None, everything=True)
    assert raised.value.code == 2
    with pytest.raises(Trouble, match="goes with --live") as raised:
        await asked(capsys, health, None, None, "sidecar.toml")
    assert raised.value.code == 2
