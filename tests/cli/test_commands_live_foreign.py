"""The commands before a listener that says anything: JSON of any shape ends in a clear word, and in no traceback."""

from __future__ import annotations

import contextlib
import copy
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sidecar.cli.circuits import circuits, reset
from sidecar.cli.health import health
from sidecar.cli.log_level import log_level
from sidecar.cli.reload import reload
from sidecar.cli.status import status
from sidecar.cli.trace import trace
from sidecar.cli.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BREAKER = {"state": "open", "failure_count": 5, "recent_failures": 5, "total_calls": 9, "retry_after": 3.0}
STEP = {"kind": "wait", "target": "a", "outcome": "", "at": 0.5, "seconds": 0.25, "why": "connect_failed"}
ADDRESS = {"inflight": 0, "failures": 0, "aside": 0.0}
POOL = {"idle": 1, "active": 0, "connecting": 0, "waiting": 0}
UPSTREAM = {
    "protocol": "openai", "urls": ["http://h"], "circuit_breaker": {"a/m": "open"}, "resting": {"a/m": 3.0},
    "connections": [POOL], "channels": ["ready"], "addresses": [ADDRESS],
}  # fmt: skip
WINDOW = {"unit": "requests", "limit": 5, "seconds": 1.0, "burst": 5}
CHAIN = [{"target": "a", "ready": True}, {"target": "b", "ready": False}]
CALL = {
    "request_id": "x", "correlation_id": "y", "started": "2026", "method": "GET", "path": "/", "route": "r",
    "upstream": "a", "attempts": 2, "status_code": 200, "outcome": "ok", "generation": 1, "seconds": 1.0,
    "ttfb": 0.5, "waited": 0.25, "steps": [STEP],
}  # fmt: skip
MISTAKE = {"file": "f", "line": 1, "key": "k", "problem": "p", "allowed": "a", "nearest": "n"}

SAID: dict[str, Any] = {
    "/health": {"service": "sidecar", "status": "degraded", "version": "1", "checks": {"config": "ok", "a": "bad"}},
    "/config": {"generation": 2, "hash": "0123456789abcdef", "file": "/f"},
    "/listeners": {"http": "127.0.0.1:1"},
    "/routes": {"r": {"match": {"path": "/*", "headers": {"x": "*"}}, "chain": CHAIN, "weights": [3, 1]}},
    "/models": {"smart": {"chain": CHAIN}},
    "/upstreams": {"a": UPSTREAM},
    "/circuit-breakers": {"a/m": BREAKER},
    "/circuit-breakers/a%2Fm/reset": {**BREAKER, "state": "closed"},
    "/rate-limits": {"route r": {"key": "global", "windows": [WINDOW], "keys": 1, "max_keys": 9, "remaining": [4]}},
    "/requests/x": CALL,
    "/reload": {
        "generation": 3,
        "hash": "0123456789abcdef",
        "made": ["http a"],
        "reset": ["breaker a"],
        "kept": [],
        "dropped": [],
    },
    "/log-level": {"level": "info"},
}
REFUSED = {"error": {"message": "no", "code": "invalid_config"}, "mistakes": [MISTAKE]}

WORKS: list[Callable[[str], int]] = [
    lambda url: status(url, None),
    lambda url: health(url, None, everything=True),
    lambda url: circuits(url, None),
    lambda url: reset(None, url, None),
    lambda url: reload(url, None),
    lambda url: trace("x", url, None),
    lambda url: log_level("info", url, None),
]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


class Telling(BaseHTTPRequestHandler):
    """Answers each path with what stands in `said`."""

    protocol_version = "HTTP/1.1"
    said: dict[str, Any]
    code = 200

    def do_GET(self) -> None:
        body = json.dumps(self.said.get(self.path, {})).encode()
        self.send_response(self.code if self.path == "/reload" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the library's names

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Telling) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@st.composite
def spoilt(draw: st.DrawFn) -> dict[str, Any]:
    """What a sidecar says, with something else in one place."""
    said = copy.deepcopy(SAID)
    place: Any = said
    key: Any = draw(st.sampled_from(sorted(said)))
    while isinstance(place[key], dict | list) and place[key] and draw(st.booleans() | st.just(value=True)):
        place = place[key]
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    place[key] = draw(JSON)
    return said


def test_as_it_should_be_each_is_content(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    Telling.said, Telling.code = SAID, 200
    assert [work(url) for work in WORKS] == [0] * len(WORKS)
    Telling.said, Telling.code = {"/reload": REFUSED}, 422
    assert reload(url, None) == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(said=spoilt())
@example(said={**SAID, "/upstreams": {"a": {**UPSTREAM, "resting": {"a/m": 10**400}}}})
@example(
    said={**SAID, "/rate-limits": {"r": {**SAID["/rate-limits"]["route r"], "windows": [{**WINDOW, "limit": 10**400}]}}}
)
@example(said={**SAID, "/routes": {"r": {**SAID["/routes"]["r"], "weights": [0, 0]}}})
@example(said={**SAID, "/requests/x": {**CALL, "seconds": float("nan")}})
def test_anything_else_ends_in_a_clear_word(said: dict[str, Any], url: str, capsys: pytest.CaptureFixture[str]) -> None:
    Telling.said, Telling.code = said, 200
    for work in WORKS:
        with contextlib.suppress(Trouble):
            assert work(url) in {0, 1}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(mistakes=JSON | st.lists(st.dictionaries(st.sampled_from(sorted(MISTAKE)), JSON)))
def test_refusals_of_any_shape(mistakes: object, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    Telling.said, Telling.code = {"/reload": {**REFUSED, "mistakes": mistakes}}, 422
    with contextlib.suppress(Trouble):
        assert reload(url, None) == 2
