"""What the admin listener answers, over a real socket."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from yarl import URL

from sidecar.admin.api import LONGEST_BODY
from sidecar.errors import Mistake

if TYPE_CHECKING:
    import aiohttp

    from tests.kit.fake_view import FakeView


async def ask(admin: aiohttp.ClientSession, path: str, method: str = "GET", **more: Any) -> tuple[int, Any]:
    async with admin.request(method, URL(path, encoded=True), **more) as answer:
        return answer.status, json.loads(await answer.read())


async def test_the_index_names_the_paths(admin: aiohttp.ClientSession) -> None:
    status, told = await ask(admin, "/", headers={"Accept": "application/json"})
    assert status == 200
    assert "/health" in told["read"]
    assert "POST /reload" in told["change"]


@pytest.mark.parametrize("path", ["/routes", "/upstreams", "/models", "/rate-limits", "/listeners"])
async def test_state_is_told_as_the_view_gives_it(admin: aiohttp.ClientSession, view: FakeView, path: str) -> None:
    asked = getattr(view, path[1:].replace("-", "_"))()
    assert await ask(admin, path) == (200, await asked if path == "/routes" else asked)
    assert await ask(admin, "/config") == (200, await view.config())


async def test_probes(admin: aiohttp.ClientSession, view: FakeView) -> None:
    async def status(path: str) -> int:
        async with admin.get(path) as answer:
            return answer.status

    assert (await status("/livez"), await status("/readyz")) == (200, 200)
    view.configured = False
    assert (await status("/livez"), await status("/readyz")) == (200, 503)
    view.configured, view.draining = True, True
    assert (await status("/livez"), await status("/readyz")) == (200, 503)


async def test_health_when_all_is_well(admin: aiohttp.ClientSession) -> None:
    status, told = await ask(admin, "/health")
    assert status == 200
    assert told.pop("timestamp").endswith("Z")
    assert told == {
        "status": "healthy",
        "service": "sidecar",
        "version": "1.2.3",
        "checks": {"config": "ok", "process": "ok", "targets": "ok"},
    }


@pytest.mark.parametrize(
    ("changes", "status", "word"),
    [
        ({"found": {"store": "circuit open"}}, 200, "degraded"),
        ({"draining": True}, 503, "unhealthy"),
        ({"servable": False}, 503, "unhealthy"),
        ({"servable": False, "found": {"store": "circuit open"}}, 503, "unhealthy"),
    ],
)
async def test_health_when_it_is_not(
    admin: aiohttp.ClientSession, view: FakeView, changes: dict[str, Any], status: int, word: str
) -> None:
    for name, value in changes.items():
        setattr(view, name, value)
    code, told = await ask(admin, "/health")
    assert (code, told["status"]) == (status, word)
    assert any(said != "ok" for said in told["checks"].values())


async def test_metrics_in_both_formats(admin: aiohttp.ClientSession) -> None:
    async with admin.get("/metrics") as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert 'sidecar_build_info{version="1.2.3"} 1.0' in await answer.text()
    async with admin.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"}) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        assert (await answer.text()).endswith("# EOF\n")


async def test_breakers_are_shown(admin: aiohttp.ClientSession, view: FakeView) -> None:
    assert await ask(admin, "/circuit-breakers") == (200, view.breakers)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("store", "store"), ("openai%2Fgpt-4o", "openai/gpt-4o"), ("openai%2fgpt-4o", "openai/gpt-4o"),
        ("openai/gpt-4o", "openai/gpt-4o"), ("odd%252Fname", "odd%2Fname"),
    ],
)  # fmt: skip
async def test_a_breaker_is_opened_and_reset_by_its_name(
    admin: aiohttp.ClientSession, view: FakeView, written: str, name: str
) -> None:
    assert await ask(admin, f"/circuit-breakers/{written}/open", "POST") == (200, view.breakers[name])
    assert view.breakers[name]["state"] == "open"
    for move in ("reset", "close"):
        view.breakers[name]["state"] = "open"
        assert await ask(admin, f"/circuit-breakers/{written}/{move}", "POST") == (200, view.breakers[name])
        assert view.breakers[name]["state"] == "closed"


async def test_a_breaker_that_is_not_there(admin: aiohttp.ClientSession) -> None:
    status, told = await ask(admin, "/circuit-breakers/nobody/open", "POST")
    assert (status, told["error"]["code"]) == (404, "not_found")


async def test_config_waits_until_that_text_is_live(admin: aiohttp.ClientSession, view: FakeView) -> None:
    waiting = asyncio.create_task(ask(admin, "/config?wait=bbbb&timeout=30s"))
    await ask(admin, "/routes")
    view.live = "bbbb"
    view.went_live.set()
    status, told = await waiting
    assert (status, told["hash"]) == (200, "bbbb")


async def test_config_that_does_not_come_is_a_504(admin: aiohttp.ClientSession) -> None:
    status, told = await ask(admin, "/config?wait=cccc&timeout=20ms")
    assert (status, told["error"]["code"], told["error"]["type"]) == (504, "deadline_exceeded", "timeout_error")


@pytest.mark.parametrize("written", ["soon", "-1s", "1.2.3", "²"])
async def test_a_timeout_that_is_none(admin: aiohttp.ClientSession, written: str) -> None:
    async with admin.get("/config", params={"wait": "cccc", "timeout": written}) as answer:
        assert answer.status == 400


@pytest.mark.parametrize(("written", "wanted"), [("a1b2", "a1b2"), ("a%2Fb+c", "a/b+c"), ("a/b", "a/b")])
async def test_a_call_is_found_by_its_id(
    admin: aiohttp.ClientSession, view: FakeView, written: str, wanted: str
) -> None:
    view.calls[wanted] = {"request_id": wanted, "steps": []}
    assert await ask(admin, f"/requests/{written}") == (200, view.calls[wanted])


async def test_a_call_that_is_forgotten(admin: aiohttp.ClientSession) -> None:
    status, told = await ask(admin, "/requests/nope")
    assert (status, told["error"]["code"]) == (404, "not_found")


async def test_reload_tells_what_changed(admin: aiohttp.ClientSession) -> None:
    assert await ask(admin, "/reload", "POST") == (200, {"generation": 3, "changed": ["routes.things"]})


async def test_reload_tells_every_mistake(admin: aiohttp.ClientSession, view: FakeView) -> None:
    view.mistakes = (
        Mistake("sidecar.toml", 3, "routes.things.chian", "unknown key", nearest="chain"),
        Mistake("sidecar.toml", 9, "listen.http", "has no port"),
    )
    status, told = await ask(admin, "/reload", "POST")
    assert (status, told["error"]["code"]) == (422, "invalid_config")
    assert [(mistake["line"], mistake["key"]) for mistake in told["mistakes"]] == [
        (3, "routes.things.chian"),
        (9, "listen.http"),
    ]
    assert told["mistakes"][0]["nearest"] == "chain"


async def test_the_log_level_is_moved(admin: aiohttp.ClientSession, view: FakeView) -> None:
    assert await ask(admin, "/log-level", "POST", json={"level": "debug"}) == (200, {"level": "debug"})
    assert view.level == "debug"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"debug"', b"{}", b'{"level": 3}', b'{"level": "loud"}', b"\xff"])
async def test_a_log_level_that_is_none(admin: aiohttp.ClientSession, view: FakeView, body: bytes) -> None:
    status, told = await ask(admin, "/log-level", "POST", data=body)
    assert (status, told["error"]["code"]) == (400, "invalid_request")
    assert view.level == "info"


async def test_a_body_is_read_only_so_far(admin: aiohttp.ClientSession) -> None:
    status, told = await ask(admin, "/log-level", "POST", data=b" " * (LONGEST_BODY + 1))
    assert (status, told["error"]["code"]) == (413, "body_too_large")


async def test_an_unknown_path(admin: aiohttp.ClientSession) -> None:
    status, told = await ask(admin, "/nowhere", headers={"X-Correlation-ID": "my-id"})
    assert status == 404
    assert told == {
        "error": {
            "type": "not_found",
            "message": "nothing is at /nowhere",
            "code": "no_route",
            "correlation_id": "my-id",
        }
    }


@pytest.mark.parametrize(("method", "path", "allow"), [("POST", "/health", "GET,HEAD"), ("GET", "/reload", "POST")])
async def test_a_wrong_method_says_which_are_right(
    admin: aiohttp.ClientSession, method: str, path: str, allow: str
) -> None:
    async with admin.request(method, path) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, allow)
        assert (await answer.json())["error"]["type"] == "method_not_allowed"


async def test_an_insane_correlation_id_is_not_repeated(admin: aiohttp.ClientSession) -> None:
    _, told = await ask(admin, "/nowhere", headers={"X-Request-ID": "<script>"})
    assert "<script>" not in str(told)
    assert told["error"]["correlation_id"]


async def test_a_bug_is_a_500_without_its_secrets(
    admin: aiohttp.ClientSession, view: FakeView, caplog: pytest.LogCaptureFixture
) -> None:
    view.bug = RuntimeError("the key is hunter2")
    with caplog.at_level(logging.ERROR):
        status, told = await ask(admin, "/routes")
    assert (status, told["error"]["code"]) == (500, "internal_error")
    assert "hunter2" not in str(told)
    assert "hunter2" in caplog.text
