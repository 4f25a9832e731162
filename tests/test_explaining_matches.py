"""An explanation is what happens: for any call the same route and the same targets as those of a built runtime."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.call import Wire
from sidecar.described import described
from sidecar.errors import MethodNotAllowed, NoRoute
from sidecar.explaining import Explainer
from sidecar.runtime import build
from sidecar.surroundings import Surroundings
from sidecar.telemetry.start import telemetry_to
from tests.kit.policy_file import load
from tests.kit.running import Log, running
from tests.kit.stage import a_call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.engine.route import Route
    from sidecar.engine.route_table import RouteTable

FILE = """
[listen]
http = "127.0.0.1:0"
grpc = ""
admin = ""
[upstreams.a]
url = "http://127.0.0.1:1"
[upstreams.b]
url = "http://127.0.0.1:1"
[upstreams.gateway]
protocol = "c-gateway"
url = "http://127.0.0.1:1"
[upstreams.rpc]
protocol = "grpc"
url = "grpc://127.0.0.1:1"
[upstreams.openai]
protocol = "openai"
url = "http://127.0.0.1:1/v1"
api_key = "ours"
[upstreams.anthropic]
protocol = "anthropic"
url = "http://127.0.0.1:1/v1"

[routes.root]
match = { path = "/*", methods = ["GET"] }
chain = ["a"]
[routes.a]
match = { path = "/a/*" }
chain = ["a", "b", "static/sorry"]
[routes.ab]
match = { path = "/a/b" }
chain = ["b"]
[routes.ab-below]
match = { path = "/a/b/*", methods = ["POST", "PUT"] }
chain = ["b", "rpc", "gateway"]
[routes.a-v2]
match = { path = "/a/*", headers = { X-V = "2" } }
chain = ["b", "a"]
[routes.a-any]
match = { path = "/a/*", methods = ["POST"], headers = { X-V = "*" } }
traffic = [{ upstream = "a", weight = 1 }, { upstream = "b", weight = 2 }]
[routes.host]
match = { host = "shop.test", path = "/a/*" }
chain = ["a"]
strip = "/a"
[routes.host-rest]
match = { host = "shop.test", methods = ["DELETE"] }
chain = ["a"]
[routes.llm]
match = { path = "/v1/*" }
chain = ["openai", "anthropic"]
[routes.anthropic]
match = { path = "/v1/*", headers = { anthropic-version = "*" } }
chain = ["anthropic", "openai"]
[models.smart]
chain = ["anthropic/claude", "openai/gpt-4o", "static/sorry"]
[models."a/b"]
chain = ["openai/mini"]
[static.sorry]
"""

LOADED = load(FILE)

_PARTS = [
    "/",
    "a",
    "b",
    "/a",
    "/a/b",
    "v1",
    "/v1/chat/completions",
    "/v1/messages",
    "/v1/files",
    "%61",
    "*",
    "?/a",
    "é",
]
_PATHS = st.lists(st.sampled_from(_PARTS), max_size=4).map(lambda parts: "/" + "".join(parts).removeprefix("/"))
_METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
_HEADERS = st.dictionaries(
    st.sampled_from(["X-V", "x-v", "Anthropic-Version", "X-Other"]), st.sampled_from(["1", "2", "*"]), max_size=2
)


@pytest.fixture(scope="module")
def table() -> Iterator[RouteTable[Route]]:
    log = Log()
    runtime = asyncio.run(build(LOADED.settings, Surroundings(telemetry_to(log, version="0"), {}, b"1.1 sidecar-test")))
    yield runtime.engine.table
    asyncio.run(runtime.aclose())
    log.close()


def _by(table: RouteTable[Route], method: str, target: bytes, host: str, headers: dict[str, str]) -> str:
    fields: dict[bytes, bytes] = {}
    for name, value in headers.items():
        key = name.lower().encode()
        fields[key] = fields[key] + b", " + value.encode() if key in fields else value.encode()
    path = target.partition(b"?")[0]
    call = a_call(method.encode(), path, host=host.encode(), fields=fields, wire=Wire.HTTP)
    try:
        return table.match(call).name
    except MethodNotAllowed as refused:
        return f"405 {refused.allow}"
    except NoRoute:
        return "404"


@given(_METHODS, _PATHS, st.sampled_from(["127.0.0.1", "shop.test", "SHOP.test:80"]), _HEADERS)
@example("POST", "/a/b/c", "shop.test", {"X-V": "2", "x-v": "2"})
@example("PUT", "/", "127.0.0.1", {})
def test_the_route_explained_is_the_one_that_is_taken(
    table: RouteTable[Route], method: str, path: str, host: str, headers: dict[str, str]
) -> None:
    call = described(method, path, [("Host", host), *headers.items()], LOADED.settings)
    told = Explainer.of(LOADED).explain(call)
    refusal = told["refusal"]
    if refusal is None:
        found = told["route"]["name"]
    else:
        found = f"405 {tuple(refusal['allow'])}" if refusal["status"] == 405 else str(refusal["status"])
    assert found == _by(table, method, call.target, host, headers)


@given(_METHODS, _PATHS, _HEADERS, st.sampled_from(["", "smart", "a/b", "gpt-4o", "mini", "unheard"]))
@example("POST", "/v1/chat/completions", {}, "smart")
@example("POST", "/v1/files", {"Anthropic-Version": "1"}, "smart")
def test_the_targets_explained_are_those_that_are_tried(
    table: RouteTable[Route], method: str, path: str, headers: dict[str, str], model: str
) -> None:
    call = described(method, path, list(headers.items()), LOADED.settings)
    told = Explainer.of(LOADED).explain(call, model)
    if told["refusal"] is not None or told["chain"]["by"] == "list":
        return
    route = next(one for one in table.routes if one.name == told["route"]["name"])
    targets = route.chain(call, lambda: 0.0)
    assert [one["target"] for one in told["targets"]] == [target.name for target in targets]
    for one, target in zip(told["targets"], targets, strict=True):
        cannot = target.cannot(call) if target.cannot is not None else ""
        assert one.get("skipped") == (cannot or None)
        assert one.get("breaker") == (target.service.breaker and target.service.breaker.name)


async def test_a_caller_is_told_the_same_route() -> None:
    asked = [
        ("POST", "/a/b", ("Host: 127.0.0.1",)),
        ("GET", "/a/b?x", ("Host: shop.test", "X-V: 2")),
        ("POST", "/a/x", ("Host: localhost", "X-V: 3")),
        ("GET", "/%61/b", ("Host: 127.0.0.1",)),
    ]
    explainer = Explainer.of(LOADED)
    async with running(FILE) as sidecar:
        for method, target, fields in asked:
            pairs = [(name, value.strip()) for name, _, value in (field.partition(":") for field in fields)]
            told = explainer.explain(described(method, target, pairs, LOADED.settings))
            answer = await sidecar.ask(target, *fields, "X-Sidecar-Retry: off", method=method)
            assert answer.fields["x-sidecar-route"] == told["route"]["name"]
