"""Finding the one route of a call, whatever the order of the file; a brute-force matcher has the same opinion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.engine.route import Route
from sidecar.engine.route_table import RouteTable
from sidecar.errors import MethodNotAllowed, NoRoute
from tests.kit.fakes import FakeRouteObserver, Transcript
from tests.kit.stage import a_call

if TYPE_CHECKING:
    from sidecar.call import Call


def route(
    path: str = "/*", *, host: str = "", methods: str = "", headers: dict[str, str] | None = None, name: str = ""
) -> Route:
    conditions = tuple((key.encode(), value.encode()) for key, value in (headers or {}).items())
    return Route(
        name=name or f"{methods} {host}{path}{'+' * len(conditions)}".strip(),
        targets=(),
        observer=FakeRouteObserver("r", Transcript()),
        deadline=1.0,
        host=host.encode(),
        path=path.encode(),
        methods=frozenset(methods.encode().split()),
        headers=conditions,
    )


def found(table: RouteTable[Route], method: bytes, path: bytes, host: bytes = b"", **fields: bytes) -> str:
    call = a_call(method, path, host=host, fields={name.encode(): value for name, value in fields.items()})
    try:
        return table.match(call).name
    except MethodNotAllowed as refused:
        return f"405 {' '.join(refused.allow)}"
    except NoRoute:
        return "404"


TABLE = RouteTable(
    [
        route("/*"),
        route("/api/v1/*"),
        route("/api/*"),
        route("/api/v1/exact"),
        route("/api/*", methods="POST"),
        route("/api/*", headers={"x-version": "2"}),
        route("/api/*", methods="POST", headers={"x-version": "*"}),
        route("/*", host="shop.local"),
        route("/api/v1/exact/*"),
    ]
)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "/*"),
        ("/x", "/*"),
        ("/apis", "/*"),
        ("/api", "/api/*"),
        ("/api/", "/api/*"),
        ("/api/v2/x", "/api/*"),
        ("/api/v1", "/api/v1/*"),
        ("/api/v1/x/y/z", "/api/v1/*"),
        ("/api/v1x", "/api/*"),
        ("/api/v1/exact", "/api/v1/exact"),
        ("/api/v1/exact?query=/api", "/api/v1/exact"),
        ("/api/v1/exact/", "/api/v1/exact/*"),
        ("/api/v1/exac", "/api/v1/*"),
        ("//api/v1", "/*"),
        ("/API/v1", "/*"),
    ],
)
def test_exact_beats_prefix_and_longer_beats_shorter_by_segment(path: str, name: str) -> None:
    assert found(TABLE, b"GET", path.encode()) == name


def test_a_condition_beats_none_and_more_of_them_beat_fewer() -> None:
    assert found(TABLE, b"POST", b"/api/x") == "POST /api/*"
    assert found(TABLE, b"GET", b"/api/x", **{"x-version": b"2"}) == "/api/*+"
    assert found(TABLE, b"GET", b"/api/x", **{"x-version": b"3"}) == "/api/*"
    assert found(TABLE, b"POST", b"/api/x", **{"x-version": b"3"}) == "POST /api/*+"


@pytest.mark.parametrize("host", [b"shop.local", b"SHOP.LOCAL", b"shop.local:7070"])
def test_a_host_beats_none(host: bytes) -> None:
    assert found(TABLE, b"GET", b"/api/v1/exact", host) == "shop.local/*"


def test_what_a_host_s_routes_do_not_take_the_others_may() -> None:
    table = RouteTable([route("/a", host="shop.local"), route("/*")])
    assert found(table, b"GET", b"/b", b"shop.local") == "/*"
    assert found(table, b"GET", b"/a", b"other.local") == "/*"


def test_nothing_matches() -> None:
    table = RouteTable([route("/a"), route("/b/*", headers={"x-version": "*"}), route("/c", host="shop.local")])
    for path in (b"/", b"/a/", b"/b/x", b"/c"):
        assert found(table, b"GET", path) == "404"
    with pytest.raises(NoRoute, match="no route matches GET /b"):
        table.match(a_call(b"GET", b"/b?secret=1"))


def test_only_the_method_does_not_match() -> None:
    table = RouteTable(
        [
            route("/a", methods="PUT"),
            route("/a/*", methods="GET POST"),
            route("/*", methods="TRACE"),
            route("/a", host="shop.local", methods="DELETE"),
            route("/a", methods="PATCH", headers={"x-version": "*"}),
        ]
    )
    assert found(table, b"HEAD", b"/a") == "405 GET POST PUT TRACE"
    assert found(table, b"HEAD", b"/a", **{"x-version": b"1"}) == "405 GET PATCH POST PUT TRACE"
    assert found(table, b"HEAD", b"/a/b") == "405 GET POST TRACE"
    assert found(table, b"HEAD", b"/a", b"shop.local") == "405 DELETE GET POST PUT TRACE"
    with pytest.raises(MethodNotAllowed, match=r"^/x takes TRACE$"):
        table.match(a_call(b"HEAD", b"/x"))


def test_options_of_the_server_itself() -> None:
    assert found(TABLE, b"OPTIONS", b"*") == "/*"
    assert found(RouteTable([route("/a/*")]), b"OPTIONS", b"*") == "404"
    assert found(RouteTable([route("/*", methods="GET")]), b"OPTIONS", b"*") == "405 GET"


def test_a_table_without_routes() -> None:
    assert found(RouteTable([]), b"GET", b"/") == "404"


@dataclass(frozen=True)
class Plan:
    host: str
    path: str
    methods: str
    header: str


SEGMENTS = st.lists(st.sampled_from(["a", "b", ""]), max_size=3).map(lambda parts: "/" + "/".join(parts))
PLANS = st.builds(
    Plan,
    host=st.sampled_from(["", "h"]),
    path=SEGMENTS | SEGMENTS.map(lambda path: path.rstrip("/") + "/*"),
    methods=st.sampled_from(["", "GET", "POST", "GET POST"]),
    header=st.sampled_from(["", "1", "*"]),
)


def made(plan: Plan) -> Route:
    headers = {"v": plan.header} if plan.header else None
    return route(plan.path, host=plan.host, methods=plan.methods, headers=headers, name=str(plan))


def takes(plan: Plan, call: Call, *, method: bool = True) -> bool:
    path = call.path.decode()
    at = path == plan.path
    if plan.path.endswith("/*"):
        base = plan.path[:-2]
        at = path == base or path.startswith(base + "/")
    host = not plan.host or call.host.decode() == plan.host
    sent = call.fields.get(b"v")
    header = not plan.header or (sent is not None and plan.header in ("*", sent.decode()))
    return at and host and header and (not method or not plan.methods or call.method.decode() in plan.methods.split())


def rank(plan: Plan) -> tuple[bool, bool, int, int]:
    """Host, then exact, then the longer prefix, then more conditions."""
    prefix = plan.path.endswith("/*")
    return bool(plan.host), not prefix, len(plan.path), bool(plan.methods) + bool(plan.header)


@given(
    plans=st.lists(PLANS, max_size=8, unique_by=lambda plan: (rank(plan), plan.host, plan.path)),
    path=SEGMENTS,
    method=st.sampled_from([b"GET", b"POST", b"PUT"]),
    host=st.sampled_from([b"h", b"i"]),
    sent=st.sampled_from([{}, {b"v": b"1"}, {b"v": b"2"}]),
)
def test_a_brute_force_matcher_agrees(
    plans: list[Plan], path: str, method: bytes, host: bytes, sent: dict[bytes, bytes]
) -> None:
    call = a_call(method, path.encode(), host=host, fields=sent)
    fit = [plan for plan in plans if takes(plan, call)]
    nearly = [plan for plan in plans if takes(plan, call, method=False)]
    table = RouteTable(made(plan) for plan in plans)
    if fit:
        assert table.match(call).name == str(max(fit, key=rank))
    elif nearly:
        with pytest.raises(MethodNotAllowed) as refused:
            table.match(call)
        assert list(refused.value.allow) == sorted({word for plan in nearly for word in plan.methods.split()})
    else:
        with pytest.raises(NoRoute):
            table.match(call)


class Counted(dict[bytes, tuple[Route, ...]]):
    """Counts how often it was asked."""

    asked = 0

    def __contains__(self, key: object) -> bool:
        self.asked += 1
        return super().__contains__(key)

    def get(self, key: bytes, default: Any = None) -> Any:
        self.asked += 1
        return super().get(key, default)


@pytest.mark.parametrize("path", [b"/api" + b"/a" * 10_000, b"/ap" + b"/" * 10_000])
@pytest.mark.parametrize("methods", ["", "GET"])
def test_a_path_of_many_segments_costs_no_more_than_another(path: bytes, methods: str) -> None:
    table = RouteTable([route("/api/*", methods=methods, name="api"), route("/x")])
    table._any_host.prefix = prefixes = Counted(table._any_host.prefix)
    expected = ("api" if not methods else "405 GET") if path.startswith(b"/api") else "404"
    assert found(table, b"POST", path) == expected
    assert prefixes.asked < 10
