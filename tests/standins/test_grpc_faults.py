"""Faults of a gRPC stand-in, as people write them and as callers meet them."""

from __future__ import annotations

import pytest
from grpc import StatusCode

from sidecar.standins.grpc_faults import Fault, Kind


def test_a_code_is_named() -> None:
    fault = Fault.parse("fail:code=ABORTED,share=0.5,message=extension_timeout")
    assert fault == Fault(Kind.FAIL, share=0.5, code="ABORTED", message="extension_timeout")
    assert (fault.status(), fault.trailers()) == (StatusCode.ABORTED, ())


@pytest.mark.parametrize(
    ("text", "status", "pushback"),
    [
        ("throttle", StatusCode.RESOURCE_EXHAUSTED, "1000"),
        ("throttle:pushback=0.25", StatusCode.RESOURCE_EXHAUSTED, "250"),
        ("unavailable:pushback=0", StatusCode.UNAVAILABLE, "0"),
        ("unavailable:pushback=-1", StatusCode.UNAVAILABLE, "-1"),
        ("unavailable:pushback=-0.0001", StatusCode.UNAVAILABLE, "-1"),
    ],
)
def test_it_says_when_to_come_back(text: str, status: StatusCode, pushback: str) -> None:
    fault = Fault.parse(text)
    assert (fault.status(), fault.trailers()) == (status, (("grpc-retry-pushback-ms", pushback),))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("reset", "kind: 'reset' will not do (allowed: none, fail, slow, dead, throttle, unavailable)"),
        ("fail:code=OK", "code: 'OK' will not do (allowed: CANCELLED, UNKNOWN, "),
        ("fail:code=14", "code: '14' will not do (allowed: CANCELLED, UNKNOWN, "),
        ("fail:status=503", "no figure 'status' (allowed: kind, share, code, "),
        ("fail:share=1.5", "share: 1.5 is not between 0 and 1"),
        ("slow:delay=-1", "delay: -1.0 is less than nothing"),
        ("dead:lasts=nan", "lasts: nan is less than nothing"),
        ("throttle:pushback=nan", "pushback: nan is no time"),
    ],
)
def test_a_mistake_is_told_with_what_is_allowed(text: str, told: str) -> None:
    with pytest.raises(ValueError) as error:
        Fault.parse(text)
    assert told in str(error.value)
