"""The gateway's own faults, written as all stand-ins' are."""

from __future__ import annotations

import pytest

from sidecar.standins.c_gateway_faults import WELL, GatewayFault, GatewayKind


def test_a_fault_on_a_command_line_and_in_json() -> None:
    wanted = GatewayFault(GatewayKind.ROUTER_ERROR, code="policy_not_found", share=0.5)
    assert GatewayFault.parse("router-error:code=policy_not_found,share=0.5") == wanted
    assert GatewayFault.of({"kind": "router-error", "code": "policy_not_found", "share": 0.5}) == wanted
    assert GatewayFault.parse("none") == WELL


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("explode", "kind: 'explode' will not do (allowed: none, router-error, not-json, "),
        ("slow:status=500", "no figure 'status' (allowed: kind, share, code, delay, lasts)"),
        ("slow:delay=-1", "delay: -1.0 is less than nothing"),
        ("slow:delay=x", "delay: 'x' will not do (allowed: a number such as 2.0)"),
        ("dead:share=2", "share: 2.0 is not between 0 and 1"),
    ],
)
def test_a_mistake_is_told_with_what_is_allowed(text: str, told: str) -> None:
    with pytest.raises(ValueError) as error:
        GatewayFault.parse(text)
    assert told in str(error.value)
