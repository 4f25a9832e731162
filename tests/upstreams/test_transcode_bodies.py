"""Bodies held whole for a translation: nothing is lost, nothing is held too long, nothing stays open."""

from __future__ import annotations

import pytest

from sidecar.body import Body
from sidecar.call import Facts, Sign, What
from sidecar.errors import RequestTimeout, UpstreamError
from sidecar.upstreams.transcode_bodies import LONGEST_ANSWER, derived, hold, index, read
from tests.kit.gateway import OneAttempt
from tests.kit.inner import Closed, http_answer, http_call, in_pieces, still_coming


def test_a_call_said_otherwise_is_another_call() -> None:
    call = http_call(b"{}")
    call.deadline = 7.0
    other = derived(call, target=b"/there", unary=True)
    assert (other.target, other.unary, other.deadline, other.body) == (b"/there", True, 7.0, call.body)
    assert (call.target, call.unary) == (b"/api/v1/routes/decide", False)


def test_repeated_fields_are_joined() -> None:
    assert index([(b"A", b"1"), (b"b", b"2"), (b"a", b"3")]) == {b"a": b"1, 3", b"b": b"2"}


async def test_a_whole_body_costs_no_wait() -> None:
    attempt = OneAttempt()
    assert await hold(http_call(b"123"), attempt, 3) == b"123"
    assert attempt.clock_started == 0


async def test_a_body_that_is_too_long_can_be_read_by_the_next_target() -> None:
    call, attempt = http_call(still_coming(Body, b"123", b"45")), OneAttempt()
    with pytest.raises(UpstreamError) as caught:
        await hold(call, attempt, 4)
    assert (caught.value.facts.what, caught.value.facts.sign) == (What.CANNOT_CARRY, Sign.TOO_LARGE)
    assert attempt.clock_started == 0
    assert await hold(call, attempt, 5) == b"12345"


async def test_what_is_wrong_on_the_callers_side_is_raised() -> None:
    def pull() -> bytes:
        raise RequestTimeout("too slow")

    with pytest.raises(RequestTimeout):
        await hold(http_call(Body(pull, length=None)), OneAttempt(), 10)


async def test_a_whole_answer_gives_back_what_it_holds_once() -> None:
    reply = http_answer(200, b"whole")
    reply.closer = closed = Closed()
    assert await read(reply) == b"whole"
    assert await read(reply) == b"whole"
    assert closed.times == 1


async def test_an_answer_of_pieces_is_whole_afterwards() -> None:
    reply = http_answer(200, b"")
    closed = in_pieces(reply, b"one ", b"two")
    assert await read(reply) == b"one two"
    assert (reply.whole, reply.chunks, closed.times) == (b"one two", None, 1)


async def test_an_answer_without_a_body() -> None:
    reply = http_answer(204, b"")
    reply.whole = None
    assert await read(reply) == b""


@pytest.mark.parametrize(
    ("piece", "what"),
    [
        (UpstreamError(Facts(What.BROKE, detail="cut")), What.RESET),
        (UpstreamError(Facts(What.TIMED_OUT)), What.TIMED_OUT),
        (b"x" * (LONGEST_ANSWER + 1), What.UNPARSEABLE),
    ],
)
async def test_an_answer_that_does_not_come_whole_is_none(piece: bytes | Exception, what: What) -> None:
    reply = http_answer(200, b"")
    closed = in_pieces(reply, b"{", piece)
    with pytest.raises(UpstreamError) as caught:
        await read(reply)
    assert caught.value.facts.what is what
    assert (closed.times, reply.closer) == (1, None)


async def test_the_longest_answer() -> None:
    reply = http_answer(200, b"")
    in_pieces(reply, b"x" * LONGEST_ANSWER)
    assert len(await read(reply)) == LONGEST_ANSWER
