"""`sidecar status`: one page, and what it says of a sidecar in each state."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sidecar import __version__
from sidecar.cli.status import status
from sidecar.cli.trouble import Trouble
from tests.kit.addresses import free_port
from tests.kit.asked import asked, governed
from tests.kit.blunt import blunt, json_answer
from tests.kit.caller import PATIENCE
from tests.kit.screen import screen

MORE = """
[upstreams.openai]
protocol = "openai"
url = "http://127.0.0.1:9/v1"
[upstreams.b]
url = "http://127.0.0.1:9"
[static.sorry]
[routes.llm]
match = { path = "/v1/*", methods = ["POST"], headers = { anthropic-version = "*" } }
chain = ["openai"]
[routes.rpc]
match = { grpc = "p.S/*" }
traffic = [{ upstream = "g", weight = 3 }, { upstream = "h", weight = 1 }]
[upstreams.g]
url = "grpc://127.0.0.1:9"
protocol = "grpc"
[upstreams.h]
url = "grpc://127.0.0.1:9"
protocol = "grpc"
[routes.limited]
match = { host = "h.test", path = "/x" }
chain = ["b", "static/sorry"]
rate_limit = { per_minute = 50, per_hour = 100, key = "header:X-Tenant-ID" }
[routes.shared]
match = { path = "/y" }
chain = ["b"]
rate_limit = { per_minute = 7 }
[models.smart]
chain = ["openai/gpt-4o", "openai/gpt-4o-mini"]
"""


def words(lines: list[str]) -> list[list[str]]:
    """Each line's columns."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]


async def test_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed(MORE) as sidecar:
        sidecar.runtime.breakers()["b"].force_open()
        told = await asked(capsys, status, sidecar.admin, None)
        addresses = sidecar.daemon.addresses
        live = sidecar.daemon.view
        assert live is not None
        hashed = live.loaded.hash[:12]
    assert told.code == 0
    assert told.lines[0] == f"sidecar {__version__} is degraded"
    assert words(told.lines[1:]) == [
        ["policy", str(sidecar.file)],
        ["generation", f"1, hash {hashed}, live"],
        *([name, address] for name, address in addresses.items()),
        [],
        ["not ok", "says"],
        ["circuit_breaker b", "open"],
        [],
        ["route", "match", "chain"],
        ["llm", "POST /v1/* [anthropic-version: *]", "openai"],
        ["rpc", "p.S/*", "g 75 %, h 25 %"],
        ["limited", "h.test/x", "b (not ready) → static/sorry"],
        ["shared", "/y", "b (not ready)"],
        ["r", "/*", "a"],
        [],
        ["model", "chain"],
        ["smart", "openai/gpt-4o → openai/gpt-4o-mini"],
        [],
        ["upstream", "protocol", "breaker", "rests", "connections", "url"],
        ["openai", "openai", "3 closed", "-", "-", "http://127.0.0.1:9/v1"],
        ["b", "http", "open, until reset", "-", "-", "http://127.0.0.1:9"],
        *([name, "grpc", "closed", "-", word, "grpc://127.0.0.1:9"] for name, word in channels(told.lines)),
        ["a", "http", "closed", "-", "-", "http://127.0.0.1:9"],
        [],
        ["limit", "allows", "per", "in use"],
        ["route limited", "50 requests in 60 s, 100 requests in 3600 s", "header:X-Tenant-ID", "0 of 100000 keys"],
        ["route shared", "7 requests in 60 s", "global", "7 left"],
    ]


def channels(lines: list[str]) -> list[tuple[str, str]]:
    """A channel's state is the moment's."""
    return [(cells[0], cells[4]) for cells in words(lines) if len(cells) == 6 and cells[1] == "grpc"]


async def test_what_is_empty_takes_no_room(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed(upstream="circuit_breaker = false") as sidecar:
        told = await asked(capsys, status, sidecar.admin, None)
    assert told.lines[0] == f"sidecar {__version__} is healthy"
    heads = [cells[0] for cells in words(told.lines) if cells]
    assert not {"not ok", "model", "limit"} & set(heads)


async def test_a_limit_that_others_count_in_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    limited = 'rate_limit = { per_minute = 7, key = "ip", store = "redis" }'
    nowhere = f'[redis]\nurl = "redis://127.0.0.1:{free_port()}"\n'
    async with governed(nowhere, route=limited) as sidecar:
        async with asyncio.timeout(PATIENCE):
            while ["redis", "unreachable: Connection refused; counting locally"] not in words(
                (told := await asked(capsys, status, sidecar.admin, None)).lines
            ):
                continue
    assert told.lines[0] == f"sidecar {__version__} is degraded"
    assert words(told.lines)[-1] == ["route r", "7 requests in 60 s", "ip", "0 of 100000 keys, in redis"]


async def test_a_file_that_was_refused_makes_it_stale(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed() as sidecar:
        view = sidecar.daemon.view
        assert view is not None
        view.stale = "sidecar.toml:3: no such key"
        told = await asked(capsys, status, sidecar.admin, None)
    assert told.code == 0
    assert "STALE" in told.lines[2]
    assert ["config", "stale: sidecar.toml:3: no such key"] in words(told.lines)


async def test_unhealthy_is_1_and_the_page_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed() as sidecar:
        sidecar.runtime.breakers()["a"].force_open()
        told = await asked(capsys, status, sidecar.admin, None)
        as_json = await asked(capsys, status, sidecar.admin, None, as_json=True)
    assert (told.code, told.lines[0]) == (1, f"sidecar {__version__} is unhealthy")
    assert ["r", "/*", "a (not ready)"] in words(told.lines)
    assert (as_json.code, as_json.document["status"]) == (1, "unhealthy")


async def test_in_colours_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    async with governed() as sidecar:
        sidecar.runtime.breakers()["a"].force_open()
        with screen(monkeypatch, 100) as seen:
            assert await asyncio.to_thread(status, sidecar.admin, None) == 1
    assert f"\x1b[1;31msidecar {__version__} is unhealthy" in seen[0]
    assert "\x1b[1;31mopen, until reset" in seen[0]
    assert "\x1b[32m" not in seen[0]  # nothing is well


async def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed(MORE) as sidecar:
        document: dict[str, Any] = (await asked(capsys, status, sidecar.admin, None, as_json=True)).document
    assert set(document) == {
        "status", "timestamp", "service", "version", "checks",
        "config", "listeners", "routes", "models", "upstreams", "circuit_breakers", "rate_limits",
    }  # fmt: skip
    assert set(document["config"]) == {"file", "generation", "hash"}
    assert len(document["config"]["hash"]) == 64


async def test_a_sidecar_of_another_version_is_told_as_that(capsys: pytest.CaptureFixture[str]) -> None:
    said = {"service": "sidecar", "status": "healthy", "version": "9", "checks": {}}
    async with blunt(json_answer(said)) as there:
        with pytest.raises(Trouble, match="or one of a version that this one does not know"):
            await asked(capsys, status, there.url, None)
