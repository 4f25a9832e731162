"""Each failure is one fact of the decision table."""

from __future__ import annotations

import pytest

from sidecar.call import What
from sidecar.http1.failures import (
    ConnectFailed,
    ConnectionDied,
    ExchangeFailed,
    PoolFull,
    ReplyCut,
    ReplyStalled,
    ReplyUnparseable,
)


@pytest.mark.parametrize(
    ("failure", "what"),
    [
        (ConnectFailed("x"), What.NO_CONNECTION),
        (PoolFull("x"), What.OVERLOADED),
        (ConnectionDied("x", reused=True, written=False), What.DEAD_UNWRITTEN),
        (ConnectionDied("x", reused=True, written=True), What.DEAD_WRITTEN),
        (ConnectionDied("x", reused=False, written=True), What.RESET),
        (ConnectionDied("x", reused=False, written=False), What.RESET),
        (ReplyCut("x"), What.RESET),
        (ReplyUnparseable("x"), What.UNPARSEABLE),
        (ReplyStalled("x"), What.TIMED_OUT),
    ],
)
def test_which_fact_it_is(failure: ExchangeFailed, what: What) -> None:
    assert (failure.what, failure.detail, str(failure)) == (what, "x", "x")
