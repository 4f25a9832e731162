"""What follows from a route's settings before anything is built."""

from __future__ import annotations

import pytest

from sidecar.config.resolve import resolve
from sidecar.dialects.beamline import DECIDE
from sidecar.route_facts import always_idempotent, asked_elsewhere, idempotent_paths, matching, scope, slots
from sidecar.wiring_llm import named_models
from tests.kit.policy_file import load

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
