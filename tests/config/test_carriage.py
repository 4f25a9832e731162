"""Chains that cannot carry their route's calls are refused with every target's reason."""

from __future__ import annotations

import pytest

from sidecar.config.carriage import cannot
from sidecar.settings import MatchSettings, RouteSettings
from tests.kit.policy_file import load, mistake

UPSTREAMS = """
[upstreams.web]
url = "http://127.0.0.1:1"
[upstreams.gateway]
url = "http://127.0.0.1:2"
protocol = "c-gateway"
[upstreams.backend]
url = "grpc://127.0.0.1:3"
protocol = "grpc"
[upstreams.router]
url = "grpc://127.0.0.1:4"
protocol = "router"
[upstreams.openai]
url = "http://127.0.0.1:5"
protocol = "openai"
[static.sorry]
"""


def route(text: str) -> str:
    return f"{UPSTREAMS}[routes.r]\n{text}"


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ('match.grpc = "shop.v1.*"\nchain = ["web"]', "web (http) carries no gRPC"),
        ('match.grpc = "*"\nchain = ["web", "static/sorry"]', "web (http) carries no gRPC"),
        ('match.grpc = "*"\nchain = ["openai"]', "openai (openai) carries no gRPC"),
        ('match.grpc = "shop.v1.*"\nchain = ["gateway", "web"]',
         "gateway (c-gateway) carries of gRPC only beamline.flow.v1.Router/Decide; web (http) carries no gRPC"),
        ('match.path = "/*"\nchain = ["backend"]', "backend (grpc) carries gRPC alone, which match.grpc asks for"),
        ('match.path = "/v1/*"\nchain = ["router"]',
         "router (router) carries of HTTP only POST to /api/v1/messages or /api/v1/routes/decide"),
    ],
)  # fmt: skip
def test_a_chain_none_of_whose_targets_can(text: str, reasons: str) -> None:
    found = mistake(route(text))
    assert (found.key, found.problem) == ("routes.r.chain", f"no target can carry this route's calls: {reasons}")


def test_a_split_none_of_whose_parts_can() -> None:
    found = mistake(route('match.path = "/*"\ntraffic = [{ upstream = "backend", weight = 1 }]'))
    assert found.key == "routes.r.traffic"


@pytest.mark.parametrize(
    "text",
    [
        'match.grpc = "shop.v1.*"\nchain = ["web", "backend"]',
        'match.grpc = "beamline.flow.v1.*"\nchain = ["gateway"]',
        'match.grpc = "*"\nchain = ["gateway", "router"]',
        'match.grpc = "*"\nchain = ["static/sorry"]',
        'match.path = "/api/v1/routes/decide"\nchain = ["gateway", "router"]',
        'match.path = "/*"\nchain = ["router"]',
        'match.path = "/x"\nchain = ["backend", "web"]',
    ],
)
def test_one_that_can_is_enough(text: str) -> None:
    load(route(text))


def test_a_link_with_a_mistake_of_its_own_is_told_alone() -> None:
    assert mistake(route('match.grpc = "*"\nchain = ["web", "backennd"]')).key == "routes.r.chain[1]"


def test_what_follows_from_another_mistake_is_not_told() -> None:
    misspelt = '[upstreams.u]\nurl = "grpc://a:1"\nprotocol = "gprc"\nunary = ["p.S/*"]\n'
    found = mistake(f'{misspelt}[routes.r]\nmatch.grpc = "p.*"\nchain = ["u"]')
    assert (found.key, found.nearest) == ("upstreams.u.protocol", "grpc")
    assert mistake(route('match.grpc = "/p.S/M"\nchain = ["backend"]')).key == "routes.r.match.grpc"
    assert mistake(route('match.path = "/x/*"\nstrip = "x"\nchain = ["router"]')).key == "routes.r.strip"


def asked(**told: object) -> RouteSettings:
    keys = {key: told.pop(key) for key in ("strip", "rewrite") if key in told}
    return RouteSettings.model_validate({"match": MatchSettings.model_validate(told), **keys})


@pytest.mark.parametrize(
    ("carried", "told"),
    [
        (True, {}),
        (True, {"path": "/*"}),
        (True, {"path": "/api/v1/*"}),
        (True, {"path": "/api/v1/messages"}),
        (True, {"path": "/api/v1/messages/*"}),
        (True, {"path": "/api/v1/messages", "methods": ("GET", "POST")}),
        (False, {"path": "/api/v1/messages", "methods": ("GET",)}),
        (False, {"path": "/api/v1"}),
        (False, {"path": "/api/v1/mess/*"}),
        (False, {"path": "/api/v1/messages/stream"}),
        (True, {"path": "/shop/*", "strip": "/shop"}),
        (True, {"path": "/shop/api/v1/messages", "strip": "/shop"}),
        (False, {"path": "/shop/*"}),
        (False, {"path": "/shop/v2/*", "strip": "/shop"}),
        (True, {"strip": "/shop"}),
        (True, {"path": "/decide", "rewrite": "/api/v1/routes/decide"}),
        (True, {"path": "/decide/*", "rewrite": "/api/v1/routes/decide"}),
        (True, {"path": "/any/*", "rewrite": "/api/v1"}),
        (False, {"path": "/any/*", "rewrite": "/api/v2"}),
        (False, {"path": "/any", "rewrite": "/api/v1"}),
        (False, {"path": "/any/*", "rewrite": "/api/v1/mess"}),
        (True, {"path": "/shop/*", "strip": "/shop", "rewrite": "/api/v1"}),
        (False, {"path": "/shop/x/*", "strip": "/shop", "rewrite": "/api/v1"}),
        (False, {"path": "/shop", "strip": "/shop", "rewrite": "/api/v1"}),
        (True, {"path": "/shop", "strip": "/shop", "rewrite": "/api/v1/messages"}),
    ],
)
def test_what_a_router_is_asked_over_http(carried: bool, told: dict[str, object]) -> None:
    assert (not cannot(asked(**told), "router")) is carried


@pytest.mark.parametrize(
    ("pattern", "carried"),
    [
        ("*", True),
        ("beamline.*", True),
        ("beamline.flow.v1.Router/*", True),
        ("beamline.flow.v1.Router/Decide", True),
        ("beamline.flow.v1.Router/Decide*", True),
        ("beamline.flow.v1.Router/DecideAll", False),
        ("beamline.flow.v1.RouterAdmin/*", False),
    ],
)
def test_what_c_gateway_is_asked_over_grpc(pattern: str, carried: bool) -> None:
    assert (not cannot(asked(grpc=pattern), "c-gateway")) is carried


@pytest.mark.parametrize("protocol", ["http", "openai", "anthropic"])
def test_who_speaks_http_alone(protocol: str) -> None:
    assert cannot(asked(grpc="*"), protocol) == f"({protocol}) carries no gRPC"
    assert cannot(asked(path="/*"), protocol) == ""
