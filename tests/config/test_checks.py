"""Keys against each other: names, addresses, chains, matches."""

from __future__ import annotations

import pytest

from tests.kit.policy_file import ROUTED, load, mistake, mistakes

TWO = """
[upstreams.api]
url = "http://127.0.0.1:1"
[upstreams.other]
url = "http://127.0.0.1:2"
[static.sorry]
"""


def route(text: str) -> str:
    return f"{TWO}[routes.r]\n{text}"


@pytest.mark.parametrize(
    ("text", "key", "problem", "nearest"),
    [
        ('chain = ["apii"]', "routes.r.chain[0]", "there is no upstream apii", "api"),
        ('chain = ["api", "static/sory"]', "routes.r.chain[1]", "there is no static answer sory", "static/sorry"),
        ('traffic = [{ upstream = "othr", weight = 1 }]',
         "routes.r.traffic[0].upstream", "there is no upstream othr", "other"),
        ('chain = ["api"]\npolicy = "defalt"', "routes.r.policy", "there is no policy defalt", "default"),
        ('chain = ["api", "other", "api"]', "routes.r.chain[2]", "api is listed twice", ""),
        ('chain = ["static/sorry", "api"]',
         "routes.r.chain[0]", "static/sorry must be the last link: it answers every call", ""),
        ("", "routes.r.chain", "names no upstream", ""),
        ("chain = []", "routes.r.chain", "names no upstream", ""),
        ("traffic = []", "routes.r.traffic", "names no upstream", ""),
        ('chain = ["api"]\ntraffic = [{ upstream = "api", weight = 1 }]',
         "routes.r.traffic", "stands beside chain: one of them must go", ""),
        ('chain = ["api"]\nstrip = "/b"',
         "routes.r.strip", "/b does not begin the path that the route matches (/a/*)", ""),
        ('chain = ["api"]\nlimits.max_headers = 129',
         "routes.r.limits.max_headers", "cannot be more than limits.max_headers, which is 128", ""),
    ],
)  # fmt: skip
def test_a_route_that_cannot_work(text: str, key: str, problem: str, nearest: str) -> None:
    found = mistake(route(f'match = {{ path = "/a/*" }}\n{text}'))
    assert (found.key, found.problem, found.nearest) == (key, problem, nearest)


def test_without_a_near_name_all_known_ones_are_told() -> None:
    assert mistake(route('match = { path = "/" }\nchain = ["zzz"]')).allowed == "api, other, static/sorry"


def test_weights_must_weigh() -> None:
    found = mistake(route('match.path = "/"\ntraffic = [{ upstream = "api", weight = 0 }]'))
    assert (found.key, found.problem) == ("routes.r.traffic[0].weight", "must be at least 1")


@pytest.mark.parametrize("match", ["", "match = {}\n"])
def test_a_route_must_match_something(match: str) -> None:
    found = mistake(route(f'{match}chain = ["api"]'))
    assert (found.key, found.problem) == ("routes.r.match", "is missing or empty")


@pytest.mark.parametrize(
    "text",
    [
        'match = { path = "/a/*" }\nchain = ["api", "other", "static/sorry"]\nstrip = "/a"\nrewrite = "/b"',
        'match = { host = "h.example" }\nchain = ["static/sorry"]\nstrip = "/any"',
        'match.methods = ["GET"]\ntraffic = [{ upstream = "api", weight = 1 }, { upstream = "other", weight = 99 }]',
        'match.path = "/x"\nchain = ["api"]\nlimits = { max_headers = 10, max_body_bytes = "1GiB" }',
    ],
)
def test_a_route_that_can_work(text: str) -> None:
    load(route(text))


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ("", "upstreams.u.url", "is missing"),
        ('url = "http://a"\nurls = ["http://b"]', "upstreams.u.urls", "stands beside url: one of them must go"),
        ('urls = ["http://a", "http://a"]', "upstreams.u.urls[1]", "is listed twice"),
        ('url = "ftp://a"', "upstreams.u.url", "cannot have the scheme ftp with protocol http"),
        ('url = "grpc://a"', "upstreams.u.url", "cannot have the scheme grpc with protocol http"),
        ('url = "http://a"\npolicy = "p"', "upstreams.u.policy", "there is no policy p"),
        ('url = "https://a"\ntls.key = "sidecar.toml"',
         "upstreams.u.tls.cert", "is missing: a key alone proves nothing"),
        ('url = "http://a"\ntls.verify = false', "upstreams.u.tls", "has no effect: no URL of this upstream is https"),
        ('url = "http://a"\nprotocol = "grpc"',
         "upstreams.u.url", "cannot have the scheme http with protocol grpc"),
        ('url = "grpc://a"\nprotocol = "router"\ntls.server_name = "b"',
         "upstreams.u.tls", "has no effect: no URL of this upstream is grpcs"),
        ('url = "unix:/a"\nprotocol = "c-gateway"',
         "upstreams.u.url", "cannot have the scheme unix with protocol c-gateway"),
        ('url = "http://a"\nheaders = { Host = "b" }', "upstreams.u.headers.Host", "cannot be set: use the key host"),
        ('url = "http://a"\nheaders = { te = "b" }', "upstreams.u.headers.te", "cannot be set: the sidecar writes it"),
        ('url = "http://a"\nheaders = { "a b" = "c" }', 'upstreams.u.headers."a b"', "is not a header name"),
        ('url = "http://a"\ndefault_headers = { A = "c", a = "c" }',
         "upstreams.u.default_headers.a", "is the same header as A: names ignore case"),
    ],
)  # fmt: skip
def test_an_upstream_that_cannot_work(text: str, key: str, problem: str) -> None:
    found = mistake(f"[upstreams.u]\n{text}")
    assert (found.key, found.problem) == (key, problem)


def test_an_upstream_on_a_unix_socket() -> None:
    assert load('[upstreams.u]\nurl = "unix:/run/app.sock"').settings.upstreams["u"].addresses == (
        "unix:/run/app.sock",
    )


@pytest.mark.parametrize(
    ("listen", "key"),
    [
        ('probe = "127.0.0.1:7072"', "listen.probe"),
        ('admin = "0.0.0.0:7070"', "listen.admin"),
        ('http = "unix:/a"\nadmin = "unix:/a"', "listen.admin"),
        ('http = "localhost:7072"', "listen.admin"),
    ],
)
def test_two_listeners_on_one_address(listen: str, key: str) -> None:
    found = mistake(f"[listen]\n{listen}")
    assert found.key == key
    assert "is the address of listen." in found.problem


@pytest.mark.parametrize("listen", ['http = "127.0.0.1:0"\nadmin = "127.0.0.1:0"', 'http = ""\nadmin = ""'])
def test_listeners_that_do_not_collide(listen: str) -> None:
    load(f"[listen]\n{listen}")


@pytest.mark.parametrize("section", ["upstreams", "routes", "policies", "static"])
@pytest.mark.parametrize("name", ["a/b", "", "a b", "é", "-a", "a" * 65])
def test_a_name_that_could_not_stand_in_a_header(section: str, name: str) -> None:
    assert "is not a name" in [one.problem for one in mistakes(f'[{section}."{name}"]')]


def test_two_routes_that_tie() -> None:
    text = f'{ROUTED}[routes.s]\nmatch.path = "/*"\nchain = ["a"]\n'
    found = mistake(text)
    assert (found.line, found.key) == (8, "routes.s.match")
    assert found.problem.startswith("ties with routes.r: ")


def test_a_tie_is_not_told_of_a_match_with_mistakes() -> None:
    text = f'{ROUTED}[routes.s]\nmatch = {{ path = "/*", methods = ["get"] }}\nchain = ["a"]\n'
    assert mistake(text).key == "routes.s.match.methods[0]"


@pytest.mark.parametrize(
    ("match", "key", "problem"),
    [
        ('{ path = "/v1/*", headers = { "a b" = "c" } }', 'headers."a b"', "is not a header name"),
        ('{ path = "/v1/*", grpc = "a.B/*" }',
         "grpc", "cannot stand beside path or methods: a call is one or the other"),
        ('{ grpc = "a.B" }', "grpc", "names no method"),
    ],
)  # fmt: skip
def test_a_fault_matches_as_a_route_does(match: str, key: str, problem: str) -> None:
    found = mistake(f"[faults.slow]\nmatch = {match}\nreset = true")
    assert (found.key, found.problem) == (f"faults.slow.match.{key}", problem)


def test_an_upstream_cannot_be_called_what_answers_of_the_file_are_called() -> None:
    found = mistake('[upstreams.static]\nurl = "http://127.0.0.1:1"')
    assert (found.key, found.problem.partition(":")[0]) == ("upstreams.static", "is taken")
