"""Each policy value that counts for a call, and who says so."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.explained import explained, source

FILE = """\
[limits]
max_body_bytes = "1MiB"

[policies.default]
deadline = "30s"
[policies.default.retry]
tries = 2
[policies.calm]
circuit_breaker = false
rate_limit = { per_second = 9 }
[policies.calm.timeout]
idle = "1m"

[upstreams.gateway]
protocol = "c-gateway"
url = "http://gateway.test"
policy = "calm"
timeout = { connect = "250ms" }
[upstreams.web]
url = "http://web.test"
reuse = false
pool = { max = 7 }
[upstreams.rpc]
protocol = "grpc"
url = "grpc://rpc.test:1"

[routes.r]
match = { path = "/*" }
chain = ["gateway", "web"]
policy = "calm"
rate_limit = { burst = 3 }
concurrency = { max = 9, queue = 5 }
limits = { max_inflight = 4, max_headers = 20 }
retry = { jitter = 0 }
[routes.twice]
match = { path = "/twice" }
chain = ["web"]
idempotent = true
rate_limit = false
[routes.rpc]
match = { grpc = "*" }
chain = ["rpc"]
"""


def policy(method: str = "POST", url: str = "/", *headers: str, file: str = FILE) -> Any:
    return explained(file, method, url, *headers)["policy"]


def targets(url: str = "/", method: str = "POST", file: str = FILE) -> Any:
    return [one["policy"] for one in explained(file, method, url)["targets"]]


def test_a_routes_values() -> None:
    found = policy()
    assert source(found["deadline"]) == (30.0, "5 policies.default.deadline")
    assert source(found["rate_limit"]["per_second"]) == (9, "10 policies.calm.rate_limit.per_second")
    assert source(found["rate_limit"]["burst"]) == (3, "31 routes.r.rate_limit.burst")
    assert source(found["rate_limit"]["key"]) == ("global", "built in")
    assert source(found["concurrency"]["max"]) == (4, "33 routes.r.limits.max_inflight")
    assert source(found["concurrency"]["queue"]) == (5, "32 routes.r.concurrency.queue")
    assert source(found["limits"]["max_headers"]) == (20, "33 routes.r.limits.max_headers")
    assert source(found["limits"]["max_body_bytes"]) == (1 << 20, "2 limits.max_body_bytes")
    assert source(found["limits"]["max_header_bytes"]) == (32 << 10, "built in")
    assert source(policy(url="/twice")["rate_limit"]) == (False, "39 routes.twice.rate_limit")
    assert source(policy(url="/twice")["concurrency"]) == (False, "built in")


def test_a_targets_values() -> None:
    gateway, web = targets()
    assert source(gateway["retry"]["tries"]) == (2, "7 policies.default.retry.tries")
    assert source(gateway["retry"]["jitter"]) == (0.0, "34 routes.r.retry.jitter")
    assert source(gateway["timeout"]["connect"]) == (0.25, "18 upstreams.gateway.timeout.connect")
    assert source(gateway["timeout"]["idle"]) == (60.0, "12 policies.calm.timeout.idle")
    assert source(gateway["circuit_breaker"]) == (False, "9 policies.calm.circuit_breaker")
    assert source(gateway["concurrency"]["max"]) == (1, "protocol c-gateway")
    assert source(gateway["rate_limit"]) == (False, "built in")
    assert source(gateway["reuse"]) == (False, "protocol c-gateway")
    assert source(web["reuse"]) == (False, "21 upstreams.web.reuse")
    assert source(web["via"]) == (True, "built in")
    assert source(web["pool"]["max"]) == (7, "22 upstreams.web.pool.max")
    assert source(web["timeout"]["idle"]) == (300.0, "built in")
    assert "first_token" not in web["timeout"]
    assert source(web["circuit_breaker"]["failure_threshold"]) == (5, "built in")


def test_what_has_no_meaning_for_grpc_is_not_told() -> None:
    (rpc,) = targets("a.B/C", "GRPC")
    assert {"pool", "reuse", "finish"}.isdisjoint(rpc)
    assert source(rpc["timeout"]["attempt"]) == (0.0, "protocol grpc")


@pytest.mark.parametrize(
    ("method", "url", "headers", "says"),
    [
        ("GET", "/", (), (True, "method GET")),
        ("PUT", "/twice", (), (True, "method PUT")),
        ("POST", "/twice", (), (True, "38 routes.twice.idempotent")),
        ("POST", "/", (), (False, "built in")),
        ("POST", "/", ("Idempotency-Key: 1",), (True, "header Idempotency-Key")),
        ("POST", "/", ("X-Sidecar-Idempotent: true",), (True, "header X-Sidecar-Idempotent")),
        ("POST", "/", ("X-Sidecar-Idempotent: no",), (False, "built in")),
        ("GRPC", "a.B/C", (), (False, "built in")),
        ("GRPC", "a.B/C", ("idempotency-key: 1",), (True, "header Idempotency-Key")),
    ],
)
def test_who_says_that_it_may_be_sent_twice(
    method: str, url: str, headers: tuple[str, ...], says: tuple[bool, str]
) -> None:
    assert source(policy(method, url, *headers)["idempotent"]) == says


def test_what_the_routers_protocol_knows_may_be_sent_twice() -> None:
    file = """
[upstreams.router]
protocol = "router"
url = "grpc://router.test:1"
[routes.r]
match = { grpc = "*" }
chain = ["router"]
"""
    assert source(policy("GRPC", "beamline.flow.v1.Router/Decide", file=file)["idempotent"]) == (
        True,
        "protocol router",
    )
    assert source(policy("GRPC", "shop.Cart/Add", file=file)["idempotent"]) == (False, "built in")
    assert source(policy("GRPC", "shop.Cart/Add", file=file)["deadline"]) == (60.0, "protocol router")


def test_the_longest_deadline_of_the_protocols_counts() -> None:
    unset = FILE.replace('deadline = "30s"\n', "")
    assert source(policy(file=unset)["deadline"]) == (300.0, "built in")
    assert source(policy("GRPC", "a.B/C", file=unset)["deadline"]) == (0.0, "protocol grpc")
    llm = """
[upstreams.web]
url = "http://web.test"
[upstreams.openai]
protocol = "openai"
url = "http://openai.test/v1"
[routes.llm]
match = { path = "/*" }
chain = ["web", "openai"]
"""
    assert source(policy(file=llm)["deadline"]) == (600.0, "protocol openai")
