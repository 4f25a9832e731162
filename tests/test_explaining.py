"""Which route a described call takes, which chain, and what each target would be sent."""

from __future__ import annotations

import json

import pytest

from tests.kit.explained import chain, explained, refused, sends, source
from tests.kit.policy_file import ROUTED

FILE = """\
[upstreams.web]
url = "http://web.test:8080/base"
[upstreams.spare]
url = "http://spare.test"
[upstreams.shop]
urls = ["http://10.0.0.1", "http://10.0.0.2"]
query = { sig = "s3cret", v = "2" }

[routes.all]
match = { path = "/*", methods = ["GET", "HEAD"] }
chain = ["web", "spare", "static/sorry"]

[routes.post]
match = { path = "/form", methods = ["POST", "PUT"] }
chain = ["web"]

[routes.v2]
match = { path = "/*", headers = { X-Version = "2" }, methods = ["GET"] }
chain = ["spare"]

[routes.shop]
match = { host = "shop.test" }
traffic = [{ upstream = "shop", weight = 3 }, { upstream = "web", weight = 1 }]

[routes.api]
match = { path = "/api/*" }
chain = ["web"]
strip = "/api"
rewrite = "/v3"

[static.sorry]
"""

POSTS = """
[upstreams.a]
url = "http://a.test"
[upstreams.router]
protocol = "router"
url = "grpc://r.test:1"
[routes.a]
match = { path = "/a" }
chain = ["a", "static/sorry"]
[routes.safe]
match = { path = "/safe" }
chain = ["a"]
idempotent = true
[routes.decide]
match = { path = "/api/v1/routes/decide" }
chain = ["router"]
[routes.sorry]
match = { path = "/sorry" }
chain = ["static/sorry"]
[static.sorry]
"""


def test_the_route_and_its_place_in_the_file() -> None:
    found = explained(FILE, "GET", "/anything?x=1")
    assert found["route"] == {
        "name": "all",
        "from": "routes.all",
        "file": found["route"]["file"],
        "line": 9,
        "match": {"path": "/*", "methods": ["GET", "HEAD"]},
    }
    assert found["route"]["file"].endswith("/sidecar.toml")
    assert found["refusal"] is None
    assert (found["chain"]["by"], found["chain"]["from"], found["chain"]["line"]) == ("chain", "routes.all.chain", 11)
    assert chain(found) == ["web", "spare", "static/sorry"]
    assert [one["from"] for one in found["targets"]] == [f"routes.all.chain[{index}]" for index in range(3)]
    assert [one.get("breaker") for one in found["targets"]] == ["web", "spare", None]


@pytest.mark.parametrize(
    ("method", "url", "headers", "route"),
    [
        ("GET", "/form", (), "all"),
        ("PUT", "/form", (), "post"),
        ("GET", "/form", ("x-VERSION: 2",), "v2"),
        ("GET", "/form", ("X-Version: 3",), "all"),
        ("GET", "/api/x", (), "api"),
        ("GET", "/api", (), "api"),
        ("GET", "/apis", (), "all"),
        ("GET", "/%61pi/x", (), "all"),
        ("GET", "http://shop.test/api/x", (), "shop"),
        ("DELETE", "http://SHOP.test.:81/", (), "shop"),
        ("GET", "/api/x", ("Host: shop.test",), "shop"),
        ("OPTIONS", "*", ("Host: shop.test",), "shop"),
    ],
)
def test_what_each_condition_changes(method: str, url: str, headers: tuple[str, ...], route: str) -> None:
    assert explained(FILE, method, url, *headers)["route"]["name"] == route


def test_why_none_matches() -> None:
    found = explained(FILE, "DELETE", "/form")
    assert refused(found) == (405, "/form takes GET, HEAD, POST, PUT")
    assert found["refusal"]["allow"] == ["GET", "HEAD", "POST", "PUT"]
    assert (found["refusal"]["code"], found["refusal"]["type"]) == ("no_route", "method_not_allowed")
    assert (found["route"], found["chain"], found["policy"], found["targets"]) == (None, None, None, [])
    only = '[upstreams.a]\nurl = "http://a.test"\n[routes.r]\nmatch = { path = "/a" }\nchain = ["a"]\n'
    assert refused(explained(only, "GET", "/b")) == (404, "no route matches GET /b")
    assert refused(explained(only, "GET", "/a/")) == (404, "no route matches GET /a/")
    assert refused(explained(only, "OPTIONS", "*")) == (404, "no route matches OPTIONS *")


def test_what_the_listener_refuses_takes_no_route() -> None:
    found = explained(FILE, "GET", "http://api.example.com/x")
    assert found["refusal"]["code"] == "forbidden_host"
    assert found["route"] is None
    assert refused(explained(FILE, "BREW", "/"))[0] == 501


def test_our_own_paths_are_answered_here_unless_a_route_takes_them() -> None:
    only = ROUTED.replace('"/*"', '"/a"')
    found = explained(only, "GET", "/health")
    assert (found["answered_here"], found["refusal"], found["route"]) == (True, None, None)
    assert found["notes"] == ["no route takes it: the sidecar answers this path itself"]
    assert explained(only, "POST", "/health")["refusal"]["status"] == 404
    assert explained(ROUTED, "GET", "/health")["route"]["name"] == "r"


def test_the_upstream_is_asked_below_its_own_path() -> None:
    assert sends(explained(FILE, "GET", "/a/b?q=%20")) == [
        "http://web.test:8080/base + /a/b?q=%20",
        "http://spare.test + /a/b?q=%20",
    ]
    found = explained(FILE, "POST", "/api/things/é?q=/api")
    assert sends(found) == ["http://web.test:8080/base + /v3/things/%C3%A9?q=/api"]
    assert source(found["policy"]["strip"]) == ("/api", "28 routes.api.strip")
    assert source(found["policy"]["rewrite"]) == ("/v3", "29 routes.api.rewrite")
    assert "strip" not in explained(FILE, "GET", "/")["policy"]


def test_traffic_has_its_shares() -> None:
    found = explained(FILE, "GET", "http://shop.test/")
    assert (found["chain"]["by"], found["chain"]["from"]) == ("traffic", "routes.shop.traffic")
    assert [(one["target"], one["share"]) for one in found["targets"]] == [("shop", 0.75), ("web", 0.25)]
    assert found["targets"][0]["urls"] == ["http://10.0.0.1", "http://10.0.0.2"]
    assert found["targets"][0]["query"] == {"sig": "***", "v": "2"}
    assert "share" not in explained(FILE, "GET", "/")["targets"][0]


def test_nothing_secret_is_told() -> None:
    file = """
[listen]
http_token = "t0ken"
[upstreams.web]
url = "${WEB}"
headers = { X-API-Key = "k3y" }
api_key = "cr3d"
[upstreams.redis]
url = "http://ok.test"
rate_limit = { per_minute = "${MOST}" }
[routes.r]
match = { path = "/*", headers = { X-API-Key = "s3cret", X-Plain = "shown" } }
chain = ["web", "redis"]
"""
    environ = {"WEB": "http://inner.test/base", "MOST": "50"}
    found = explained(file, "GET", "/x?key=1", "X-API-Key: s3cret", "X-Plain: shown", environ=environ)
    told = json.dumps(found)
    for secret in ("t0ken", "inner", "k3y", "cr3d", "s3cret"):
        assert secret not in told
    assert found["route"]["match"]["headers"] == {"X-API-Key": "***", "X-Plain": "shown"}
    assert sends(found) == ["*** + /x?key=1", "http://ok.test + /x?key=1"]
    assert source(found["targets"][1]["policy"]["rate_limit"]["per_minute"]) == (
        "***",
        "10 upstreams.redis.rate_limit.per_minute",
    )
    assert found["request"]["headers"] == ["host", "x-api-key", "x-plain"]
    assert found["notes"] == ["callers must send X-Sidecar-Token: listen.http_token is set"]


def test_what_the_caller_asks_of_us() -> None:
    found = explained(FILE, "GET", "/", "X-Sidecar-Retry: off", "X-Sidecar-Fallback: off", "X-Sidecar-Timeout: 2s")
    assert {key: found["request"][key] for key in ("retry", "fallback", "deadline")} == {
        "retry": False, "fallback": False, "deadline": 2.0,
    }  # fmt: skip
    assert found["notes"] == [
        "the caller's own deadline counts: 2s",
        "X-Sidecar-Retry: off: no target is tried twice",
        "X-Sidecar-Fallback: off: only the first target that can carry it is tried",
    ]


def test_a_deadline_of_the_callers_that_comes_after_the_routes_counts_for_nothing() -> None:
    assert explained(FILE, "GET", "/", "X-Sidecar-Timeout: 1h")["notes"] == []
    off = '[upstreams.a]\nurl = "http://a.test"\n[routes.r]\nmatch = { path = "/a" }\nchain = ["a"]\ndeadline = "0s"\n'
    notes = explained(off, "GET", "/a", "X-Sidecar-Timeout: 1h")["notes"]
    assert notes == ["the caller's own deadline counts: 60m"]


def test_what_is_not_idempotent_is_sent_once() -> None:
    def once(*described: str) -> bool:
        return any("it is not sent again" in note for note in explained(POSTS, "POST", *described)["notes"])

    assert once("/a")
    assert not once("/a", "Idempotency-Key: k")
    assert not once("/safe")
    assert not once("/api/v1/routes/decide")  # the Router's decides may be repeated
    assert not once("/sorry")


def test_a_model_means_nothing_where_no_provider_is() -> None:
    found = explained(FILE, "GET", "/", model="smart")
    assert found["notes"] == ["the model counts for nothing: all leads to no LLM provider"]
    assert found["llm"] is None


GRPC = """\
[upstreams.router]
protocol = "router"
url = "grpc://router.test:50051"
[upstreams.gateway]
protocol = "c-gateway"
url = "http://gateway.test"
[routes.rpc]
match = { grpc = "beamline.flow.v1.*" }
chain = ["router", "gateway"]
[routes.http]
match = { path = "/api/*" }
chain = ["gateway", "router"]
"""


def test_a_grpc_call_and_the_target_that_carries_one_method_of_it() -> None:
    found = explained(GRPC, "GRPC", "beamline.flow.v1.Router/Decide")
    assert (found["route"]["name"], found["request"]["wire"]) == ("rpc", "grpc")
    assert sends(found) == [
        "grpc://router.test:50051 + /beamline.flow.v1.Router/Decide",
        "http://gateway.test + /api/v1/routes/decide",
    ]
    other = explained(GRPC, "GRPC", "beamline.flow.v1.RouterAdmin/DeletePolicy")
    assert chain(other) == ["router", "(gateway)"]
    assert other["targets"][1]["skipped"] == "not_translatable: it carries HTTP and Decide"
    assert explained(GRPC, "GRPC", "shop.Cart/Add")["refusal"] == {
        "grpc_code": "UNIMPLEMENTED",
        "code": "no_route",
        "type": "not_found",
        "message": "no route matches the gRPC method shop.Cart/Add",
    }


def test_a_decide_crosses_over_and_nothing_else_does() -> None:
    found = explained(GRPC, "POST", "/api/v1/routes/decide")
    assert sends(found)[1] == "grpc://router.test:50051 + /beamline.flow.v1.Router/Decide"
    assert source(found["policy"]["idempotent"]) == (False, "built in")
    assert source(found["targets"][1]["policy"]["idempotent"]) == (True, "protocol router")
    assert chain(explained(GRPC, "GET", "/api/v1/things")) == ["gateway", "(router)"]


def test_of_a_huge_file_the_one_route_is_found() -> None:
    routes = "".join(f'[routes.r{n}]\nmatch = {{ path = "/r{n}/*" }}\nchain = ["web"]\n' for n in range(1500))
    found = explained(f'[upstreams.web]\nurl = "http://web.test"\n{routes}', "GET", "/r1234/x")
    assert (found["route"]["name"], found["route"]["line"]) == ("r1234", 3 + 3 * 1234)
