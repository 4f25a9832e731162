"""What follows from a route's settings before anything is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.config.resolve import resolve
from sidecar.dialects.beamline import DECIDE
from sidecar.route_facts import (
    always_idempotent,
    asked_elsewhere,
    cannot_carry,
    idempotent_paths,
    matching,
    scope,
    slots,
)
from sidecar.wiring_llm import named_models
from tests.kit.policy_file import load
from tests.kit.stage import a_call

if TYPE_CHECKING:
    from sidecar.config.resolve import ResolvedRoute

UPSTREAMS = """
[upstreams.web]
url = "http://127.0.0.1:1"
[upstreams.router]
protocol = "router"
url = "grpc://127.0.0.1:2"
[upstreams.openai]
protocol = "openai"
url = "http://127.0.0.1:3/v1"
"""


def test_a_match_is_bytes_as_they_come_over_the_wire() -> None:
    (route,) = resolve(
        load(
            UPSTREAMS
            + """
[routes.r]
match = { host = "Shop.Local", path = "/a/*", methods = ["PUT", "GET"], headers = { X-Version = "2" } }
strip = "/a"
rewrite = "/b"
chain = ["web"]
"""
        ).settings
    ).routes
    assert matching(route) == {
        "name": "r",
        "host": b"shop.local",
        "grpc": b"",
        "path": b"/a/*",
        "methods": frozenset({b"GET", b"PUT"}),
        "headers": ((b"x-version", b"2"),),
        "strip": b"/a",
        "rewrite": b"/b",
    }


@pytest.mark.parametrize(
    ("keys", "most"),
    [
        ("", None),
        ("concurrency = { max = 5 }", 5),
        ("limits = { max_inflight = 7 }", 7),
        ("concurrency = { max = 5, queue = 2 }\nlimits = { max_inflight = 3 }", 3),
        ("concurrency = { max = 5 }\nlimits = { max_inflight = 9 }", 5),
    ],
)
def test_of_two_bounds_of_calls_at_once_the_smaller_counts(keys: str, most: int | None) -> None:
    file = f"{UPSTREAMS}[routes.r]\nmatch = {{ path = '/' }}\nchain = ['web']\n{keys}"
    (route,) = resolve(load(file).settings).routes
    found = slots(route)
    assert (None if found is None else found.max) == most
    assert found is None or found.queue == (2 if "queue" in keys else 0)


def test_the_routers_protocol_knows_what_may_be_sent_twice() -> None:
    resolved = resolve(
        load(
            UPSTREAMS
            + """
[routes.rpc]
match = { grpc = "beamline.flow.v1.*" }
chain = ["router"]
[routes.http]
match = { path = "/api/v1/messages" }
chain = ["router"]
[routes.web]
match = { path = "/web" }
chain = ["web"]
"""
        ).settings
    )
    rpc, http, web = resolved.routes
    assert DECIDE in idempotent_paths(rpc, resolved)
    assert idempotent_paths(http, resolved) == idempotent_paths(web, resolved) == frozenset()
    assert [always_idempotent(route, "router") for route in (rpc, http)] == [False, True]
    assert not always_idempotent(web, "http")


def test_a_target_whose_protocol_carries_no_call_of_the_route_says_why() -> None:
    settings = load(
        UPSTREAMS
        + """
[upstreams.rpc]
protocol = "grpc"
url = "grpc://127.0.0.1:4"
[routes.http]
match = { path = "/x" }
chain = ["web", "rpc"]
[routes.rpc]
match = { grpc = "a.B/*" }
chain = ["rpc", "web", "openai"]
"""
    ).settings
    http, rpc = resolve(settings).routes

    def why(route: ResolvedRoute, protocol: str) -> str | None:
        cannot = cannot_carry(route, settings, protocol)
        return None if cannot is None else cannot(a_call())

    assert why(http, "grpc") == "not_translatable: it carries gRPC alone, which match.grpc asks for"
    assert why(rpc, "http") == why(rpc, "openai") == "not_translatable: it carries no gRPC"
    assert why(http, "http") is why(http, "openai") is why(rpc, "grpc") is None
    assert why(http, "c-gateway") == ""


def test_a_breaker_is_named_by_the_model_that_the_file_names() -> None:
    (route,) = resolve(
        load(
            UPSTREAMS
            + """
[routes.llm]
match = { path = "/v1/*" }
chain = ["openai"]
[models.smart]
chain = ["openai/gpt-4o"]
[models.mini]
chain = ["openai/mini"]
"""
        ).settings
    ).routes
    named = named_models([route])
    (own,), (smart,) = route.targets, route.models["smart"]
    assert scope(smart, "", named) == "gpt-4o"
    assert scope(own, "gpt-4o", named) == "gpt-4o"
    assert scope(own, "another", named) == "*"
    assert asked_elsewhere(route, named) == {"gpt-4o", "mini"} - {"mini", "smart"}
