"""The built-in paths of the http listener answer as the admin listener does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sidecar.admin.answers import builtin

if TYPE_CHECKING:
    import aiohttp

    from tests.kit.fake_view import FakeView


async def test_the_http_listener_answers_the_same(admin: aiohttp.ClientSession, view: FakeView) -> None:
    answer = builtin(view)
    for path in ("/health", "/circuit-breakers", "/livez", "/readyz"):
        found = answer(path.encode(), b"")
        assert found
        async with admin.get(path) as there:
            assert (there.status, there.headers["Content-Type"].encode()) == found[:2]
            if path != "/health":  # it tells the time
                assert await there.read() == found[2]
    metrics = answer(b"/metrics", b"application/openmetrics-text;version=1.0.0")
    assert metrics
    assert metrics[1].startswith(b"application/openmetrics-text")


async def test_built_in_health_follows_the_process(view: FakeView) -> None:
    view.draining = True
    found = builtin(view)(b"/health", b"")
    assert found
    status, content_type, body = found
    assert (status, content_type, json.loads(body)["status"]) == (503, b"application/json", "unhealthy")


@pytest.mark.parametrize("path", [b"/", b"/healthz", b"/health/", b"/config", b"/reload", b"", b"/metrics/x"])
async def test_nothing_else_is_built_in(view: FakeView, path: bytes) -> None:
    assert builtin(view)(path, b"*/*") is None
