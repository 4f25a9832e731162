"""Our errors as a gRPC status with the details that gRPC clients read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.refusal import LONGEST_TEXT, status_of
from sidecar.errors import (
    CircuitOpen,
    DeadlineExceeded,
    Draining,
    IdempotencyMismatch,
    InternalError,
    MethodNotAllowed,
    NoRoute,
    Overloaded,
    RateLimited,
    Refused,
    UpstreamConnectFailed,
)
from tests.kit.stage import a_call

if TYPE_CHECKING:
    from collections.abc import Iterator

NEVER_OURS = {
    "INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "DATA_LOSS",
}  # fmt: skip
"""Statuses that mean something to the application, so that no library or proxy may make them (gRFC A54)."""


def refusals(of: type[Refused] = Refused) -> Iterator[type[Refused]]:
    yield of
    for below in of.__subclasses__():
        yield from refusals(below)


def details(refusal: Refused) -> tuple[error_details_pb2.ErrorInfo, list[str]]:
    """The `ErrorInfo`, and the types of all details."""
    _, _, trailers = status_of(refusal, a_call())
    status = status_pb2.Status.FromString(dict(trailers)[b"grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info, [detail.type_url.rpartition(".")[2] for detail in status.details]


@pytest.mark.parametrize("kind", sorted(refusals(), key=str))
def test_a_status_of_ours_is_never_one_of_the_application_s(kind: type[Refused]) -> None:
    refusal = kind("no", allow=()) if issubclass(kind, MethodNotAllowed) else kind("no")
    code, text, trailers = status_of(refusal, a_call())
    assert code == kind.grpc_code
    # The caller's own Idempotency-Key has said that a call is another one: that is a word of the application's.
    assert code not in NEVER_OURS or kind is IdempotencyMismatch
    status = status_pb2.Status.FromString(dict(trailers)[b"grpc-status-details-bin"])
    assert (code_pb2.Code.Name(status.code), status.message, text) == (code, "no", "no")
    info, kinds = details(refusal)
    assert (info.reason, info.domain, kinds) == (kind.label.upper(), "sidecar", ["ErrorInfo"])


def test_the_details_name_the_call() -> None:
    call = a_call(route="r", upstream="router")
    call.correlation_id = "corr-1"
    _, _, trailers = status_of(UpstreamConnectFailed(), call)
    info = error_details_pb2.ErrorInfo()
    status_pb2.Status.FromString(dict(trailers)[b"grpc-status-details-bin"]).details[0].Unpack(info)
    assert dict(info.metadata) == {"correlation_id": "corr-1", "request_id": "1", "route": "r", "upstream": "router"}


def test_before_there_is_a_route_none_is_named() -> None:
    info, _ = details(NoRoute())
    assert dict(info.metadata) == {"correlation_id": "1", "request_id": "1"}


def test_a_full_limit_tells_its_numbers() -> None:
    detail: dict[str, object] = {"error": "x", "limit_per_minute": 50, "limit_per_hour": None, "retry_after": 2}
    info, _ = details(RateLimited(detail=detail))
    assert (info.metadata["limit_per_minute"], "limit_per_hour" in info.metadata) == ("50", False)


@pytest.mark.parametrize(
    ("refusal", "pushback"),
    [
        (RateLimited(retry_after=1.2501), b"1251"),
        (Overloaded(retry_after=1), b"1000"),
        (Draining(retry_after=0), b"0"),
        (CircuitOpen(retry_after=1.5), None),
        (RateLimited(), None),
        (DeadlineExceeded(), None),
    ],
)
def test_when_to_come_back(refusal: Refused, pushback: bytes | None) -> None:
    _, _, trailers = status_of(refusal, a_call())
    assert dict(trailers).get(b"grpc-retry-pushback-ms") == pushback
    status = status_pb2.Status.FromString(dict(trailers)[b"grpc-status-details-bin"])
    later = error_details_pb2.RetryInfo()
    told = len(status.details) > 1 and status.details[1].Unpack(later)
    assert told is (refusal.retry_after is not None)
    if refusal.retry_after is not None:
        assert 0 <= later.retry_delay.ToMilliseconds() - refusal.retry_after * 1000 < 1


@given(st.text(max_size=2000))
def test_whatever_a_caller_s_words_are_the_status_fits_into_its_metadata(words: str) -> None:
    _, text, trailers = status_of(InternalError(words), a_call())
    assert len(text) <= LONGEST_TEXT
    assert sum(len(name) + len(value) for name, value in trailers) < 8192 / 2
