"""What a gRPC caller gets beside the upstream's metadata: in front of the messages, or with a status alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sidecar.call import Facts, Reply, What
from sidecar.dialects.refusal import status_of
from sidecar.errors import BodyTooLarge, NoRoute, RateLimited, UpstreamReset
from sidecar.listeners.metadata import ReplyMetadata
from sidecar.quota import Quota
from tests.kit.stage import a_call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sidecar.call import Call, Headers

METADATA = ReplyMetadata(lambda: 10.5, lambda: 1_000_000.0)
OURS = [
    (b"x-sidecar-request-id", b"1"),
    (b"x-correlation-id", b"1"),
    (b"x-request-id", b"1"),
    (b"x-sidecar-attempts", b"2"),
    (b"x-sidecar-config", b"7"),
    (b"x-sidecar-route", b"r"),
    (b"x-sidecar-upstream", b"router"),
]


def called(**told: Any) -> Call:
    return a_call(started=10.0, **{"route": "r", "upstream": "router", "attempts": 2, "generation": 7, **told})


def replied(headers: Headers | None = None, message: bytes | None = b"", code: str = "OK") -> Reply:
    """A reply with one message; without it, a status alone."""
    headers = headers or []
    reply = Reply(200, b"", headers, Facts(What.REPLY, grpc_code=code), dict(headers), whole=message)
    reply.code = code
    return reply


async def one_message() -> AsyncIterator[bytes]:
    yield b"m"


def test_the_upstream_s_own_come_first_and_ours_beside_them() -> None:
    theirs = [(b"a", b"1"), (b"a", b"2"), (b"b-bin", b"\x00\xff")]
    assert METADATA.initial(called(), replied(theirs)) == [*theirs, *OURS]
    assert METADATA.trailing(called(), replied(theirs)) == []


def test_an_answer_from_the_policy_file_is_called_so() -> None:
    told = dict(METADATA.initial(called(upstream="static/sorry"), replied()))
    assert told[b"x-sidecar-upstream"] == b"static"


def test_of_a_stream_too() -> None:
    reply = replied(message=None)
    reply.chunks = one_message()
    assert METADATA.initial(called(), reply) == OURS
    reply.trailers = [(b"checksum", b"1")]
    assert METADATA.trailing(called(), reply) == [(b"checksum", b"1")]


def test_what_an_upstream_says_in_our_name_is_replaced_but_not_its_request_id() -> None:
    theirs = [(name, b"theirs") for name, _ in OURS] + [(b"x-sidecar-error-category", b"theirs")]
    assert METADATA.initial(called(), replied(theirs)) == [
        (b"x-request-id", b"theirs"),
        *(pair for pair in OURS if pair[0] != b"x-request-id"),
    ]
    alone = replied(theirs, None, "NOT_FOUND")
    assert METADATA.initial(called(), alone) == [(b"x-request-id", b"theirs")]
    alone.trailers = theirs
    assert [value for name, value in METADATA.trailing(called(), alone) if name == b"x-request-id"] == [b"theirs"]


def test_a_status_alone_has_all_of_it_behind() -> None:
    alone = replied([(b"a", b"1")], None, "NOT_FOUND")
    alone.trailers = [(b"grpc-status-details-bin", b"\x08\x05")]
    assert METADATA.initial(called(), alone) == [(b"a", b"1")]
    assert METADATA.trailing(called(), alone) == [
        (b"grpc-status-details-bin", b"\x08\x05"),
        *OURS,
        (b"x-sidecar-error-category", b"invalid_request"),
    ]


def test_an_empty_stream_that_ended_well_has_no_category() -> None:
    assert METADATA.trailing(called(), replied(message=None)) == OURS


def test_a_stream_that_ended_with_an_error_says_what_kind_it_is() -> None:
    reply = replied(code="UNAVAILABLE")
    assert METADATA.trailing(called(), reply) == [(b"x-sidecar-error-category", b"server")]


@pytest.mark.parametrize(
    ("code", "category"),
    [
        ("CANCELLED", "unknown"), ("UNKNOWN", "server"), ("INVALID_ARGUMENT", "invalid_request"),
        ("DEADLINE_EXCEEDED", "server"), ("NOT_FOUND", "invalid_request"), ("ALREADY_EXISTS", "invalid_request"),
        ("PERMISSION_DENIED", "auth"), ("RESOURCE_EXHAUSTED", "rate_limit"),
        ("FAILED_PRECONDITION", "invalid_request"), ("ABORTED", "invalid_request"),
        ("OUT_OF_RANGE", "invalid_request"), ("UNIMPLEMENTED", "server"), ("INTERNAL", "server"),
        ("UNAVAILABLE", "server"), ("DATA_LOSS", "server"), ("UNAUTHENTICATED", "auth"), ("BANANA", "unknown"),
    ],
)  # fmt: skip
def test_what_is_not_ok_has_its_category(code: str, category: str) -> None:
    assert dict(METADATA.trailing(called(), replied(code=code)))[b"x-sidecar-error-category"] == category.encode()


def test_the_caller_is_told_to_leave_retrying_to_us_unless_the_upstream_has_said_so() -> None:
    call = called(should_retry=False)
    reply = replied(message=None, code="UNAVAILABLE")
    assert dict(METADATA.trailing(call, reply))[b"x-should-retry"] == b"false"
    reply.trailers = [(b"x-should-retry", b"true")]
    assert [value for name, value in METADATA.trailing(call, reply) if name == b"x-should-retry"] == [b"true"]
    early = replied([(b"x-should-retry", b"true")], None, "UNAVAILABLE")
    assert b"x-should-retry" not in dict(METADATA.trailing(call, early))
    assert b"x-should-retry" not in dict(METADATA.trailing(called(), replied(message=None, code="UNAVAILABLE")))
    assert b"x-should-retry" not in dict(METADATA.trailing(call, replied(message=None)))


def test_messages_too_long_to_send_again_are_told() -> None:
    call = called(replay_off=True)
    assert dict(METADATA.trailing(call, replied(code="UNAVAILABLE")))[b"x-sidecar-replay"] == b"off"
    assert b"x-sidecar-replay" not in dict(METADATA.trailing(call, replied()))


def test_a_rate_limit_tells_what_is_left() -> None:
    call = called(quotas=[Quota(50, 60.0, 49, 1.2)])
    assert METADATA.initial(call, replied())[len(OURS) :] == [
        (b"ratelimit-policy", b'"minute";q=50;w=60'),
        (b"ratelimit", b'"minute";r=49;t=2'),
        (b"x-ratelimit-limit-minute", b"50"),
        (b"x-ratelimit-remaining-minute", b"49"),
        (b"x-ratelimit-reset-minute", b"1000002"),
    ]


def test_what_is_left_of_tokens_is_told_as_tokens() -> None:
    call = called(quotas=[Quota(600, 60.0, 100, 50.0, "tokens")])
    assert METADATA.initial(call, replied())[len(OURS) :] == [
        (b"ratelimit-policy", b'"tokens-per-minute";q=600;qu="tokens";w=60'),
        (b"ratelimit", b'"tokens-per-minute";r=100;t=50'),
    ]


def test_server_timing_when_asked_for() -> None:
    timed = ReplyMetadata(lambda: 10.5, lambda: 0.0, server_timing=True)
    assert dict(timed.initial(called(), replied()))[b"server-timing"] == b'total;dur=500.0;desc="attempts=2"'


def test_a_refusal_carries_its_details_and_the_ids() -> None:
    call, refusal = called(upstream="", attempts=0), RateLimited(retry_after=2)
    _, _, trailers = status_of(refusal, call)
    pairs = METADATA.refusal(call, trailers, refusal)
    assert pairs[:2] == trailers
    assert pairs[2:] == [
        *((name, b"0" if name == b"x-sidecar-attempts" else value) for name, value in OURS[:-1]),
        (b"x-sidecar-error-category", b"rate_limit"),
    ]


def test_a_refusal_before_there_is_a_configuration_or_a_route() -> None:
    names = [name for name, _ in METADATA.refusal(a_call(), [], NoRoute())]
    assert names == [
        b"x-sidecar-request-id",
        b"x-correlation-id",
        b"x-request-id",
        b"x-sidecar-attempts",
        b"x-sidecar-error-category",
    ]


def test_a_refusal_is_of_the_same_kind_as_over_http() -> None:
    def kind(refusal: BodyTooLarge | NoRoute) -> bytes:
        return dict(METADATA.refusal(called(), [], refusal))[b"x-sidecar-error-category"]

    assert (kind(BodyTooLarge()), kind(NoRoute())) == (b"invalid_request", b"invalid_request")


def test_after_failed_attempts_a_refusal_says_so_but_never_where_it_says_when_to_come_back() -> None:
    call = called(should_retry=False)
    assert (b"x-should-retry", b"false") in METADATA.refusal(call, [], UpstreamReset())
    assert (b"x-should-retry", b"false") not in METADATA.refusal(call, [], RateLimited())
    assert (b"x-should-retry", b"false") not in METADATA.refusal(called(), [], UpstreamReset())


def test_many_reloads_leave_nothing_behind() -> None:
    metadata = ReplyMetadata(lambda: 0.0, lambda: 0.0)
    for generation in range(1, 10_500):
        assert (b"x-sidecar-config", b"%d" % generation) in metadata.initial(called(generation=generation), replied())
    assert len(metadata._names) < 10_000
