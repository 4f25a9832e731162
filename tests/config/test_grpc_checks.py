"""Keys that mean nothing to gRPC, or to gRPC alone, are mistakes that say so."""

from __future__ import annotations

import pytest

from tests.kit.policy_file import load, mistake

CALLED = """
[upstreams.u]
url = "grpc://127.0.0.1:1"
protocol = "grpc"
[routes.r]
chain = ["u"]
"""


@pytest.mark.parametrize(
    "pattern", ["*", "p.*", "p.S*", "p.S/*", "p.S/Get*", "p.S/Get", "S/Get", "_p.S_1/Get_1", "grpc.health.v1.Health/*"]
)
def test_a_method_or_a_beginning_of_it(pattern: str) -> None:
    load(f'{CALLED}match.grpc = "{pattern}"')


@pytest.mark.parametrize("pattern", ["p.S", "p", "/Get", "/*", "p.S/"])
def test_what_no_method_could_meet(pattern: str) -> None:
    found = mistake(f'{CALLED}match.grpc = "{pattern}"')
    assert (found.key, found.problem) == ("routes.r.match.grpc", "names no method")


@pytest.mark.parametrize("pattern", ["", "/p.S/Get", "p.S/Get/x", "*.S", "p.S/*x", "p S/Get"])
def test_what_has_not_its_form_at_all(pattern: str) -> None:
    assert mistake(f'{CALLED}match.grpc = "{pattern}"').key == "routes.r.match.grpc"


@pytest.mark.parametrize("key", ["strip", "rewrite"])
def test_a_method_s_name_is_no_path_to_change(key: str) -> None:
    found = mistake(f'{CALLED}match.grpc = "*"\n{key} = "/a"')
    assert (found.key, found.problem) == (f"routes.r.{key}", "has no effect on gRPC calls: a method's name is no path")


def test_the_router_s_methods_are_known() -> None:
    found = mistake('[upstreams.u]\nurl = "grpc://a:1"\nprotocol = "router"\nunary = ["p.S/*"]')
    assert (found.key, found.problem) == (
        "upstreams.u.unary",
        "has no effect with protocol router: its methods are known",
    )


def test_a_host_cannot_be_asked_for_since_it_is_not_told() -> None:
    found = mistake(f'{CALLED}match = {{ grpc = "*", host = "a.test" }}')
    assert (found.key, found.problem.partition(":")[0]) == ("routes.r.match.host", "cannot stand beside grpc")


@pytest.mark.parametrize("protocol", ["grpc", "router"])
@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('health = { path = "/healthz" }', "health"),
        ("pool = { max = 3 }", "pool"),
        ("reuse = false", "reuse"),
        ("finish = true", "finish"),
        ('host = "caller"', "host"),
        ("forwarded = true", "forwarded"),
        ('proxy = "http://127.0.0.1:3128"', "proxy"),
    ],
)
def test_what_has_a_meaning_for_http_alone(protocol: str, text: str, key: str) -> None:
    found = mistake(f'[upstreams.u]\nurl = "grpc://a:1"\nprotocol = "{protocol}"\n{text}')
    assert found.key == f"upstreams.u.{key}"
    assert found.problem.startswith(f"has no effect with protocol {protocol}: ")


@pytest.mark.parametrize("protocol", ["http", "c-gateway"])
@pytest.mark.parametrize("text", ['unary = ["p.S/*"]', 'keepalive = { time = "10s" }'])
def test_what_has_a_meaning_for_grpc_alone(protocol: str, text: str) -> None:
    found = mistake(f'[upstreams.u]\nurl = "http://a:1"\nprotocol = "{protocol}"\n{text}')
    assert found.key == f"upstreams.u.{text.partition(' ')[0]}"
    assert found.problem == f"has no effect with protocol {protocol}: it is for gRPC"


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ('unary = ["p.S/Get", "p.S"]', "upstreams.u.unary[1]", "names no method"),
        ('headers = { "a!" = "b" }', 'upstreams.u.headers."a!"', "is no name that gRPC metadata of ours can have"),
        ('headers = { Grpc-Timeout = "1S" }',
         "upstreams.u.headers.Grpc-Timeout", "is no name that gRPC metadata of ours can have"),
        ('default_headers = { User-Agent = "b" }',
         "upstreams.u.default_headers.User-Agent", "is no name that gRPC metadata of ours can have"),
        ('headers = { a = "é" }', "upstreams.u.headers.a", "gRPC metadata can hold printable ASCII only"),
    ],
)  # fmt: skip
def test_an_upstream_that_cannot_work(text: str, key: str, problem: str) -> None:
    found = mistake(f'[upstreams.u]\nurl = "grpc://a:1"\nprotocol = "grpc"\n{text}')
    assert (found.key, found.problem) == (key, problem)


def test_methods_have_fixed_names() -> None:
    found = mistake('[upstreams.u]\nurls = ["grpc://a:1", "grpc://a:2/base"]\nprotocol = "grpc"')
    assert (found.key, found.problem) == (
        "upstreams.u.urls[1]",
        "cannot have a path with protocol grpc: methods have fixed names",
    )


def test_certificates_are_always_verified() -> None:
    found = mistake('[upstreams.u]\nurl = "grpcs://a:1"\nprotocol = "grpc"\ntls = { verify = false }')
    assert (found.key, found.problem) == (
        "upstreams.u.tls.verify",
        "gRPC always verifies: name the authority in tls.ca",
    )


@pytest.mark.parametrize(
    "text",
    [
        'urls = ["grpc://a:1", "grpcs://b", "unix:/run/b.sock"]\ntls.server_name = "b"',
        'url = "grpc://a:1/"\nunary = ["p.S/*"]\nkeepalive = {}\nvia = false',
        'url = "grpc://a:1"\nheaders = { X-API-Key = "k", trace-bin = "x" }\ndefault_headers = { a = "" }\npool = {}',
    ],
)
def test_an_upstream_that_can_work(text: str) -> None:
    load(f'[upstreams.u]\nprotocol = "grpc"\n{text}')
