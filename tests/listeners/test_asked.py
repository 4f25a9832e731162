"""What callers say of their calls over either protocol; how it looks from outside is in `test_read_call.py`."""

from __future__ import annotations

import ipaddress

import pytest

from sidecar.call import NO_DEADLINE
from sidecar.errors import ForbiddenToken, InvalidRequest, LoopDetected
from sidecar.ids import Ids
from sidecar.listeners.asked import Access, ids_of, wishes
from tests.kit.stage import a_call

TRUSTING = Access(trusted=(ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128")))


@pytest.mark.parametrize(
    ("peer", "chain", "caller"),
    [
        ("10.0.0.1", b"1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", b"9.9.9.9, 1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", b"1.1.1.1, 10.0.0.3", "1.1.1.1"),
        ("10.0.0.1", b"10.0.0.2", "10.0.0.2"),
        ("::1", b"1.1.1.1", "1.1.1.1"),
        ("8.8.8.8", b"1.1.1.1", "8.8.8.8"),
        ("unix", b"1.1.1.1", "unix"),
        ("10.0.0.1", b"not an address", "not an address"),
    ],
)
def test_the_nearest_address_that_is_not_trusted(peer: str, chain: bytes, caller: str) -> None:
    assert TRUSTING.caller(peer, {b"x-forwarded-for": chain}) == caller


def test_where_nobody_is_trusted_the_chain_is_not_read() -> None:
    assert Access().caller("10.0.0.1", {b"x-forwarded-for": b"1.1.1.1"}) == "10.0.0.1"
    assert TRUSTING.caller("10.0.0.1", {}) == "10.0.0.1"


def test_the_token_comes_before_the_loop() -> None:
    access = Access(token=b"secret")
    circle = {b"via": b"1.1 sidecar-me"}
    assert isinstance(access.refusal(circle, b"1.1 sidecar-me"), ForbiddenToken)
    assert isinstance(access.refusal(circle | {b"x-sidecar-token": b"secret"}, b"1.1 sidecar-me"), LoopDetected)
    assert "secret" not in repr(access)


@pytest.mark.parametrize(
    ("key", "back"), [(b"sidecar-me-r1", True), (b"sidecar-me", False), (b"sidecar-you-r1", False), (b"mine", False)]
)
def test_a_key_that_was_made_here_is_a_call_that_has_come_back(key: bytes, back: bool) -> None:
    assert isinstance(Access().refusal({b"idempotency-key": key}, b"1.1 sidecar-me"), LoopDetected) is back


def test_ids_without_any_sent_are_one_and_the_same() -> None:
    request_id, correlation_id = ids_of({}, Ids())
    assert request_id is correlation_id


def test_a_deadline_that_was_there_before_is_not_made_longer() -> None:
    call = a_call(fields={b"x-sidecar-timeout": b"9s"}, caller_deadline=105.0)
    assert wishes(call, 100.0) is None
    assert call.caller_deadline == 105.0


@pytest.mark.parametrize("text", [b"soon", b"", b"-1s", b"1.2.3", b"\xff"])
def test_what_is_no_duration_is_no_deadline(text: bytes) -> None:
    call = a_call(fields={b"x-sidecar-timeout": text})
    assert isinstance(wishes(call, 100.0), InvalidRequest)
    assert call.caller_deadline == NO_DEADLINE
