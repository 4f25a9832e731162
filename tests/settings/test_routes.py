"""`[routes.NAME]`."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sidecar.settings import MatchSettings, RouteSettings


def test_a_route_says_nothing_by_itself() -> None:
    route = RouteSettings()
    assert (route.chain, route.traffic, route.idempotent, route.policy) == ((), (), False, "default")
    assert (route.rate_limit, route.concurrency, route.deadline) == (None, None, 300)


@pytest.mark.parametrize("grpc", ["p.v1.Service/Method", "p.v1.*", "p.S/*", "*", "Service/Method"])
def test_a_grpc_match(grpc: str) -> None:
    assert MatchSettings(grpc=grpc).grpc == grpc


@pytest.mark.parametrize("grpc", ["", "/S/M", "a b", "p.*.S", "p.S/M/N", "1p"])
def test_what_is_no_grpc_match(grpc: str) -> None:
    with pytest.raises(ValidationError):
        MatchSettings(grpc=grpc)
