"""`sidecar reload`: what changed, or every mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.cli.check import check
from sidecar.cli.reload import reload
from tests.kit.addresses import free_port
from tests.kit.asked import asked, governed

if TYPE_CHECKING:
    import pytest

NEW = """
[upstreams.new]
url = "http://h"

[routes.new]
match = { path = "/new" }
chain = ["new"]
"""


async def test_what_was_made_kept_and_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed() as sidecar:
        sidecar.file.write_text(sidecar.file.read_text().replace("[upstreams.a]", "[upstreams.a]\nvia = false"))
        told = await asked(capsys, reload, sidecar.admin, None)
        live = sidecar.daemon.view
        assert live is not None
        assert (told.code, told.err) == (0, "")
        assert told.lines[0] == f"generation 2, hash {live.loaded.hash[:12]}"
    assert told.lines[1].startswith("  reset  connections to a: opened anew")
    assert "  kept   circuit breaker a" in told.lines


async def test_what_is_made_dropped_and_left_to_the_next_start(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed() as sidecar:
        text = sidecar.file.read_text()
        taken = sidecar.daemon.addresses["admin"]
        sidecar.file.write_text(text.replace('http = "127.0.0.1:0"', f'http = "{taken}"') + NEW)
        made = await asked(capsys, reload, sidecar.admin, None)
        sidecar.file.write_text(text)
        dropped = await asked(capsys, reload, sidecar.admin, None)
    assert "  made  circuit breaker new" in made.lines
    assert "  made  connections to new" in made.lines
    assert made.lines[-1] == "  left  listen.http to the next start"
    assert "  dropped  connections to new" in dropped.lines


async def test_a_listener_that_moved_and_one_that_is_off(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed() as sidecar:
        text, port = sidecar.file.read_text(), free_port()
        sidecar.file.write_text(text.replace('http = "127.0.0.1:0"', f'http = "127.0.0.1:{port}"'))
        there = await asked(capsys, reload, sidecar.admin, None)
        sidecar.file.write_text(text.replace('http = "127.0.0.1:0"', 'http = ""'))
        off = await asked(capsys, reload, sidecar.admin, None)
    assert f"  moved  http to 127.0.0.1:{port}" in there.lines
    assert "  moved  http is off" in off.lines


async def test_nothing_to_change_is_said_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed() as sidecar:
        told = await asked(capsys, reload, sidecar.admin, None)
    assert told.code == 0
    assert told.lines[1:] == ["  kept  everything: no breaker, limit or connection to an upstream began anew"]


async def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed() as sidecar:
        told = await asked(capsys, reload, sidecar.admin, None, as_json=True)
    assert (told.code, told.document["generation"], told.document["made"]) == (0, 2, [])


async def test_a_refused_file_is_told_as_check_tells_it(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed() as sidecar:
        sidecar.file.write_text(
            '[upstreams.a]\nurl = "http://h"\ntimout = { idle = "1s" }\n[routes.r]\nchain = ["b"]\n'
        )
        of_check = await asked(capsys, check, str(sidecar.file))
        told = await asked(capsys, reload, sidecar.admin, None)
        assert sidecar.runtime.engine.generation == 1
        as_json = await asked(capsys, reload, sidecar.admin, None, as_json=True)
    assert (told.code, of_check.code) == (2, 2)
    assert told.lines == of_check.lines
    assert len(told.lines) >= 2
    assert told.err == f"{len(told.lines)} mistakes\nnothing has changed: what ran before goes on\n"
    mistakes = as_json.document["mistakes"]
    assert isinstance(mistakes, list)
    assert (as_json.code, len(mistakes)) == (2, len(told.lines))
