"""`sidecar health [--all]`: well or not, and what is not."""

from __future__ import annotations

import pytest

from sidecar.cli.health import health
from sidecar.cli.trouble import Trouble
from tests.kit.asked import asked, governed
from tests.kit.blunt import blunt, json_answer

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
