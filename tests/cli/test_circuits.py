"""`sidecar circuits` and `sidecar reset [NAME]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.cli.circuits import circuits, reset
from sidecar.cli.trouble import Trouble
from tests.kit.asked import LISTEN, NOWHERE, asked, governed
from tests.kit.blunt import blunt, json_answer
from tests.kit.running import one, running

if TYPE_CHECKING:
    from tests.kit.running import Running

BREAKS_AT_ONCE = 'circuit_breaker = { failure_threshold = 1, recovery_first = "60s" }'
LLM = """
[upstreams.openai]
protocol = "openai"
url = "http://127.0.0.1:9/v1"
[routes.llm]
match = { path = "/v1/*" }
chain = ["openai"]
[models.smart]
chain = ["openai/gpt-4o", "openai/gpt-4o-mini"]
"""


def state(sidecar: Running, name: str) -> str:
    return sidecar.runtime.breakers()[name].state


async def test_open_ones_are_listed_and_that_is_fine(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed(upstream=BREAKS_AT_ONCE) as sidecar:
        told = await asked(capsys, circuits, sidecar.admin, None)
        assert told.code == 0
        assert told.lines == [
            "name  state   recent failures  failures  calls  opened at  retry after",
            "a     closed  0                0         0      -          -",
        ]
        await sidecar.ask()
        told = await asked(capsys, circuits, sidecar.admin, None)
    assert told.code == 0
    name, state, recent, failures, calls, opened, left, unit = told.lines[1].split()
    assert (name, state, recent, failures, calls) == ("a", "open", "1", "1", "1")
    assert opened.endswith("Z")
    assert (55 < float(left) <= 60, unit) == (True, "s")


async def test_one_that_was_opened_by_hand_stays_so(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed() as sidecar:
        sidecar.runtime.breakers()["a"].force_open()
        told = await asked(capsys, circuits, sidecar.admin, None)
    assert told.lines[1].endswith("until reset")


async def test_json_is_what_the_listener_says(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed() as sidecar:
        told = await asked(capsys, circuits, sidecar.admin, None, as_json=True)
    assert told.document == {"a": {"state": "closed", "failure_count": 0, "recent_failures": 0, "total_calls": 0}}


async def test_a_policy_without_breakers(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed(upstream="circuit_breaker = false") as sidecar:
        assert (await asked(capsys, circuits, sidecar.admin, None)).out.startswith("no circuit breakers")
        assert (await asked(capsys, reset, None, sidecar.admin, None)).out == "no circuit breaker to reset\n"
        with pytest.raises(Trouble, match="there is none at all"):
            await asked(capsys, reset, "a", sidecar.admin, None)


async def test_one_is_reset_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed(LLM) as sidecar:
        for name in ("a", "openai/gpt-4o"):
            sidecar.runtime.breakers()[name].force_open()
        told = await asked(capsys, reset, "openai/gpt-4o", sidecar.admin, None)
        assert (told.code, told.lines) == (0, ["name           was   is", "openai/gpt-4o  open  closed"])
        assert (state(sidecar, "a"), state(sidecar, "openai/gpt-4o")) == ("open", "closed")


async def test_all_are_reset_without_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed(LLM) as sidecar:
        sidecar.runtime.breakers()["a"].force_open()
        told = await asked(capsys, reset, None, sidecar.admin, None, as_json=True)
        assert set(told.document) == {"a", "openai/*", "openai/gpt-4o", "openai/gpt-4o-mini"}
        assert state(sidecar, "a") == "closed"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("openai", "near it: openai/*, openai/gpt-4o, openai/gpt-4o-mini"),
        ("openai/gpt4o", "near it: openai/gpt-4o, openai/gpt-4o-mini, openai/*"),
        ("opnai/gpt-4o-mini", "near it: openai/gpt-4o-mini"),
        ("zzz", "there are openai/*, openai/gpt-4o, openai/gpt-4o-mini, a"),
        ("", "there are openai/*"),
    ],
)
async def test_an_unknown_name_is_told_with_those_near_it(
    name: str, near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with governed(LLM) as sidecar:
        with pytest.raises(Trouble, match=f"there is no circuit breaker '{name}'; ") as raised:
            await asked(capsys, reset, name, sidecar.admin, None)
    assert near in str(raised.value)
    assert raised.value.code == 2


@pytest.mark.parametrize("model", ["accounts/x/models/y", "ft:gpt-4o:me::1", "50%2Foff %", "a/../b", "é", "x?y#z"])
async def test_any_model_may_be_part_of_a_name(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"openai/{model}"
    async with governed(LLM.replace("openai/gpt-4o-mini", name)) as sidecar:
        sidecar.runtime.breakers()[name].force_open()
        assert (await asked(capsys, reset, name, sidecar.admin, None)).code == 0
        assert state(sidecar, name) == "closed"


async def test_another_service_is_no_sidecar(capsys: pytest.CaptureFixture[str]) -> None:
    async with blunt(json_answer({"status": "UP"})) as there:
        with pytest.raises(Trouble, match="is no sidecar"):
            await asked(capsys, circuits, there.url, None)


async def test_the_http_listener_lists_them_and_resets_none(capsys: pytest.CaptureFixture[str]) -> None:
    async with running(one(NOWHERE, path="/only", more=LISTEN)) as sidecar:
        assert (await asked(capsys, circuits, sidecar.url, None)).lines[1].startswith("a ")
        with pytest.raises(Trouble, match=r"is .* the admin listener, or another one") as raised:
            await asked(capsys, reset, None, sidecar.url, None)
    assert raised.value.code == 2


async def test_one_that_a_reload_has_dropped_meanwhile_is_no_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    gone = (
        json_answer({"a": {"state": "open"}}),
        json_answer({"error": {"message": "none", "code": "not_found", "correlation_id": "c"}}, "404 No"),
    )
    async with blunt(gone[0], then=gone[1]) as there:
        told = await asked(capsys, reset, None, there.url, None)
    assert (told.code, told.out) == (0, "no circuit breaker to reset\n")
