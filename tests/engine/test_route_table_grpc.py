"""Finding the one route of a gRPC call by its method; a brute-force matcher has the same opinion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.call import Wire
from sidecar.engine.route import Route
from sidecar.engine.route_table import RouteTable
from sidecar.errors import MethodNotAllowed, NoRoute
from tests.kit.fakes import FakeRouteObserver, Transcript
from tests.kit.stage import a_call

if TYPE_CHECKING:
    from sidecar.call import Call


def route(grpc: str, *, host: str = "", headers: dict[str, str] | None = None, name: str = "") -> Route:
    conditions = tuple((key.encode(), value.encode()) for key, value in (headers or {}).items())
    return Route(
        name=name or f"{host} {grpc}{'+' * len(conditions)}".strip(),
        targets=(),
        observer=FakeRouteObserver("r", Transcript()),
        deadline=1.0,
        host=host.encode(),
        grpc=grpc.encode(),
        headers=conditions,
    )


def a_grpc_call(path: bytes, host: bytes = b"", fields: dict[bytes, bytes] | None = None) -> Call:
    return a_call(b"POST", path, host=host, fields=fields, wire=Wire.GRPC)


def found(table: RouteTable[Route], path: bytes, host: bytes = b"", **fields: bytes) -> str:
    try:
        return table.match(a_grpc_call(path, host, {name.encode(): value for name, value in fields.items()})).name
    except NoRoute:
        return "none"


TABLE = RouteTable(
    [
        route("shop.v1.*"),
        route("shop.v1.Cart/*"),
        route("shop.v1.Cart/Get*"),
        route("shop.v1.Cart/Add"),
        route("shop.v1.Cart/Add", headers={"x-tenant": "acme"}),
        route("shop.*", headers={"x-tenant": "*"}),
        route("shop.*", host="beta.local"),
    ]
)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"/shop.v1.Cart/Add", "shop.v1.Cart/Add"),
        (b"/shop.v1.Cart/AddAll", "shop.v1.Cart/*"),
        (b"/shop.v1.Cart/Get", "shop.v1.Cart/Get*"),
        (b"/shop.v1.Cart/GetAll", "shop.v1.Cart/Get*"),
        (b"/shop.v1.Cart/Ge", "shop.v1.Cart/*"),
        (b"/shop.v1.CartAdmin/Get", "shop.v1.*"),
        (b"/shop.v1./", "shop.v1.*"),
        (b"/shop.v1", "none"),
        (b"/Shop.v1.Cart/Add", "none"),
        (b"//shop.v1.Cart/Add", "none"),
        (b"/", "none"),
        (b"", "none"),
    ],
)
def test_exact_beats_prefix_and_longer_beats_shorter_wherever_a_prefix_ends(path: bytes, name: str) -> None:
    assert found(TABLE, path) == name


def test_metadata_conditions_beat_none() -> None:
    assert found(TABLE, b"/shop.v1.Cart/Add", **{"x-tenant": b"acme"}) == "shop.v1.Cart/Add+"
    assert found(TABLE, b"/shop.v1.Cart/Add", **{"x-tenant": b"other"}) == "shop.v1.Cart/Add"
    assert found(TABLE, b"/shop.v2.Cart/Add", **{"x-tenant": b"other"}) == "shop.*+"
    assert found(TABLE, b"/shop.v2.Cart/Add") == "none"


def test_a_condition_that_does_not_hold_leaves_the_call_to_a_shorter_prefix() -> None:
    table = RouteTable([route("shop.v1.*", headers={"v": "1"}), route("shop.*"), route("*", headers={"v": "2"})])
    assert found(table, b"/shop.v1.Cart/Add") == "shop.*"
    assert found(table, b"/bank.v1.Account/Get", v=b"2") == "*+"
    assert found(table, b"/bank.v1.Account/Get") == "none"


@pytest.mark.parametrize("authority", [b"beta.local", b"Beta.Local:7071"])
def test_an_authority_beats_none(authority: bytes) -> None:
    assert found(TABLE, b"/shop.v1.Cart/Add", authority) == "beta.local shop.*"


def test_what_an_authority_s_routes_do_not_take_the_others_may() -> None:
    table = RouteTable([route("shop.*", host="beta.local"), route("*")])
    assert found(table, b"/bank.v1.Account/Get", b"beta.local") == "*"
    assert found(table, b"/shop.v1.Cart/Add", b"other.local") == "*"


def test_each_protocol_meets_its_own_routes_only() -> None:
    plain = Route("http", (), FakeRouteObserver("r", Transcript()), 1.0, path=b"/*")
    posts = Route("post", (), FakeRouteObserver("r", Transcript()), 1.0, path=b"/only", methods=frozenset({b"PUT"}))
    table = RouteTable([route("shop.*"), plain, posts])
    assert found(table, b"/shop.v1.Cart/Add") == "shop.*"
    assert found(table, b"/only") == "none"
    assert table.match(a_call(b"POST", b"/shop.v1.Cart/Add")).name == "http"
    with pytest.raises(NoRoute):
        RouteTable([route("*")]).match(a_call(b"POST", b"/shop.v1.Cart/Add"))


def test_the_refusal_names_the_method() -> None:
    with pytest.raises(NoRoute, match=r"^no route matches the gRPC method shop\.v9\.Cart/Add$") as refused:
        TABLE.match(a_grpc_call(b"/shop.v9.Cart/Add"))
    assert not isinstance(refused.value, MethodNotAllowed)
    assert refused.value.grpc_code == "UNIMPLEMENTED"


@dataclass(frozen=True)
class Plan:
    grpc: str
    host: str
    header: str


NAMES = st.sampled_from(["a.S/M", "a.S/N", "a.T/M", "ab.S/M", "a.S/", "a.", "a", ""])
PLANS = st.builds(
    Plan,
    grpc=st.sampled_from(["a.S/M", "a.S/N", "ab.S/M"]) | NAMES.map(lambda name: name + "*"),
    host=st.sampled_from(["", "h"]),
    header=st.sampled_from(["", "1", "*"]),
)


def takes(plan: Plan, call: Call) -> bool:
    name = call.path.decode().removeprefix("/")
    at = name.startswith(plan.grpc[:-1]) if plan.grpc.endswith("*") else name == plan.grpc
    sent = call.fields.get(b"v")
    header = not plan.header or (sent is not None and plan.header in ("*", sent.decode()))
    return at and header and (not plan.host or call.host.decode() == plan.host)


def rank(plan: Plan) -> tuple[bool, bool, int, bool]:
    """Host, then exact, then the longer prefix, then a condition."""
    return bool(plan.host), not plan.grpc.endswith("*"), len(plan.grpc), bool(plan.header)


@given(
    plans=st.lists(PLANS, max_size=8, unique_by=lambda plan: (rank(plan), plan.host, plan.grpc)),
    name=NAMES,
    host=st.sampled_from([b"h", b"i"]),
    sent=st.sampled_from([{}, {b"v": b"1"}, {b"v": b"2"}]),
)
def test_a_brute_force_matcher_agrees(plans: list[Plan], name: str, host: bytes, sent: dict[bytes, bytes]) -> None:
    call = a_grpc_call(b"/" + name.encode(), host, sent)
    table = RouteTable(
        route(plan.grpc, host=plan.host, headers={"v": plan.header} if plan.header else None, name=str(plan))
        for plan in plans
    )
    fit = [plan for plan in plans if takes(plan, call)]
    if fit:
        assert table.match(call).name == str(max(fit, key=rank))
    else:
        with pytest.raises(NoRoute):
            table.match(call)


class Counted(dict[bytes, tuple[Route, ...]]):
    """Counts how often it was asked."""

    asked = 0

    def get(self, key: bytes, default: Any = None) -> Any:
        self.asked += 1
        return super().get(key, default)


def test_a_thousand_routes_cost_no_more_than_one_for_each_length() -> None:
    table = RouteTable(route(f"service{number:04}.*") for number in range(1000))
    prefixes = table._any_host_methods.prefix
    (length,) = prefixes
    counted = prefixes[length] = Counted(prefixes[length])
    assert found(table, b"/service0999.S/M") == "service0999.*"
    assert found(table, b"/other.S/M") == "none"
    assert counted.asked == 2


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("shop.v1.Cart/*", b"/shop.v1.Cart/"),
        ("shop.*", b"/shop.v1.Cart/"),
        ("*", b"/shop.v1.Cart/"),
        ("shop.v1.Cart/Add", b"/shop.v1.Cart/Add"),
        ("shop.v1.Cart/A*", b"/shop.v1.Cart/A"),
        ("shop.v1.Ca*", b"/shop.v1.Cart/"),
        ("shop.v1.Carts/*", b""),
        ("shop.v2.*", b""),
    ],
)
def test_the_way_into_a_service_is_a_path_that_is_routed(pattern: str, path: bytes) -> None:
    table = RouteTable([route(""), route(pattern)])
    assert table.into(b"shop.v1.Cart") == path
    if path:
        assert found(table, path) == pattern
