"""What a gRPC status means, row by row; and that C-core still says it in the words that are read."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.call import Facts, Sign, What
from sidecar.upstreams.grpc_status import FORBIDDEN, facts_of, pushback, status_alone
from tests.kit.addresses import free_port
from tests.kit.h2_script import playing, resets
from tests.kit.peer import listening
from tests.kit.rpc import echo, rpc_service
from tests.kit.rpc_caller import ask, ask_unary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.kit.h2_peer import H2Peer, H2Stream
    from tests.kit.peer import Listening
    from tests.kit.rpc_caller import Told

NOT_THERE = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Connection refused"
REFUSED = "Stream removed (RST_STREAM (Received RST_STREAM with error code 7))"
CALM = "Stream removed (RST_STREAM (Received RST_STREAM with error code 11))"
GONE = "Stream removed (GOAWAY received; Error code: 0; Debug Text: )"
TOO_LONG = "CLIENT: Received message larger than max (11 vs. 10)"


def facts(
    code: str, detail: str = "", *, was_ready: bool = False, is_ready: bool = False, fresh: bool = False, push: str = ""
) -> Facts:
    trailers = [(b"grpc-retry-pushback-ms", push.encode())] if push else []
    return facts_of(code, detail, trailers, was_ready=was_ready, is_ready=is_ready, fresh=fresh)


@pytest.mark.parametrize(
    ("known", "what"),
    [
        (facts("UNAVAILABLE", NOT_THERE), What.NO_CONNECTION),
        (facts("UNAVAILABLE", "DNS resolution failed for nowhere.test:1"), What.NO_CONNECTION),
        (facts("UNAVAILABLE", "empty address list: "), What.NO_CONNECTION),
        (facts("UNAVAILABLE", NOT_THERE, was_ready=True), What.REPLY),
        (facts("UNAVAILABLE", NOT_THERE, push="1"), What.REPLY),  # a server's own words, of another one
        (facts("UNAVAILABLE", NOT_THERE, is_ready=True), What.REPLY),  # the same
        (facts("UNAVAILABLE", "Connection reset by peer"), What.REPLY),
        (facts("UNAVAILABLE", REFUSED, was_ready=True), What.DEAD_UNWRITTEN),
        (facts("UNAVAILABLE", REFUSED), What.DEAD_UNWRITTEN),
        (facts("UNAVAILABLE", REFUSED, was_ready=True, fresh=True), What.NO_CONNECTION),
        (facts("UNAVAILABLE", GONE, was_ready=True), What.DEAD_UNWRITTEN),
        (facts("UNAVAILABLE", REFUSED, was_ready=True, is_ready=True), What.DEAD_UNWRITTEN),
        (facts("UNAVAILABLE", GONE, was_ready=True, is_ready=True), What.REPLY),
        (facts("UNAVAILABLE", f"they said: {REFUSED}"), What.REPLY),
        (facts("UNAVAILABLE", f"{REFUSED}, they said"), What.REPLY),
        (facts("UNAVAILABLE", REFUSED.replace("7", "8")), What.REPLY),
        (facts("INTERNAL", REFUSED), What.REPLY),
        (facts("RESOURCE_EXHAUSTED", CALM, is_ready=True), What.RESET),
        (facts("RESOURCE_EXHAUSTED", CALM, is_ready=True, push="1"), What.REPLY),
        (facts("RESOURCE_EXHAUSTED", f"they said: {CALM}"), What.REPLY),
        (facts("NOT_FOUND", NOT_THERE), What.REPLY),
    ],
)
def test_whether_anything_was_sent(known: Facts, what: What) -> None:
    assert known.what is what
    assert known.status == (200 if what is What.REPLY else 0)


@pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "OUT_OF_RANGE"])
@pytest.mark.parametrize(
    "text",
    [
        TOO_LONG, "SERVER: Sent message larger than max (11 vs. 10)",
        "grpc: received message larger than max (11 vs. 10)",
        "grpc: trying to send message larger than max (11 vs. 10)",
        "gRPC message exceeds maximum size 10: 11", "Error, decoded message length too large: found 11 bytes",
        "Error, message length too large: found 11 bytes",
        "Stream removed (received metadata size exceeds hard limit (value length 35000 vs. 32768))",
    ],
)  # fmt: skip
def test_a_message_that_is_too_long(code: str, text: str) -> None:
    assert facts(code, text).sign is Sign.MESSAGE_SIZE
    assert facts("INTERNAL", text).sign is None
    assert facts(code, "quota for the day is used up").sign is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(b"0", 0.0), (b"1500", 1.5), (b"-1", FORBIDDEN), (b"", FORBIDDEN), (b"soon", FORBIDDEN), (b"1.5", FORBIDDEN)],
)
def test_when_to_come_back(value: bytes, seconds: float) -> None:
    assert pushback([(b"a", b"1"), (b"grpc-retry-pushback-ms", value)]) == seconds


def test_a_server_that_says_nothing_of_it() -> None:
    assert pushback([(b"retry-after", b"1")]) is None


@given(st.text(), st.text(), st.binary(), st.booleans(), st.booleans())
def test_whatever_is_said_has_a_meaning(code: str, text: str, push: bytes, was_ready: bool, fresh: bool) -> None:
    known = facts_of(code, text, [(b"grpc-retry-pushback-ms", push)], was_ready=was_ready, fresh=fresh)
    assert (known.what, known.grpc_code, known.detail) == (What.REPLY, code, text)
    assert known.wait is not None


def test_a_status_alone() -> None:
    known = facts("NOT_FOUND", "no")
    reply = status_alone("NOT_FOUND", "no", [(b"a", b"1")], [(b"b", b"2")], known)
    assert (reply.code, reply.message, reply.headers, reply.trailers) == (
        "NOT_FOUND",
        "no",
        [(b"a", b"1")],
        [(b"b", b"2")],
    )
    assert (reply.whole, reply.chunks, reply.facts) == (None, None, known)


# The words are C-core's own, and no promise of it.


async def of(address: str, message: bytes = b"hi", *, unary: bool = True, **options: int) -> Told:
    settings = [("grpc.enable_retries", 0), *((f"grpc.{name}", value) for name, value in options.items())]
    async with grpc.aio.insecure_channel(address, settings) as channel:
        return await (ask_unary if unary else ask)(channel, message)


def means(answer: Told, *, was_ready: bool) -> Facts:
    return facts_of(answer.code, answer.text, [], was_ready=was_ready, fresh=False)


@pytest.mark.parametrize("unary", [True, False], ids=["unary", "stream"])
class TestTheWordsOfCCore:
    async def test_where_nobody_listens(self, unary: bool) -> None:
        answer = await of(f"127.0.0.1:{free_port()}", unary=unary)
        assert means(answer, was_ready=False).what is What.NO_CONNECTION, answer.text

    async def test_a_name_that_is_none(self, unary: bool) -> None:
        answer = await of("nowhere.invalid:1", unary=unary)
        assert means(answer, was_ready=False).what is What.NO_CONNECTION, answer.text

    async def test_a_server_that_hangs_up_at_once(self, unary: bool) -> None:
        async with listening() as upstream:
            answer_soon = of(f"127.0.0.1:{upstream.port}", unary=unary)
            async with _hanging_up(upstream):
                answer = await answer_soon
        assert means(answer, was_ready=False).what is What.NO_CONNECTION, answer.text

    async def test_a_refused_stream(self, unary: bool) -> None:
        async with playing(resets(7)) as upstream:
            answer = await of(upstream.listening.address, unary=unary)
        assert means(answer, was_ready=True).what is What.DEAD_UNWRITTEN, answer.text

    async def test_a_stream_that_goaway_does_not_name(self, unary: bool) -> None:
        def goes(peer: H2Peer, _: H2Stream) -> None:
            peer.send_goaway(0)
            peer.end()

        async with playing(goes) as upstream:
            answer = await of(upstream.listening.address, unary=unary)
        assert means(answer, was_ready=True).what is What.DEAD_UNWRITTEN, answer.text

    async def test_a_stream_that_goaway_names_and_that_then_breaks_may_have_been_carried_out(self, unary: bool) -> None:
        def goes(peer: H2Peer, stream: H2Stream) -> None:
            peer.send_goaway(stream.number)
            peer.end()

        async with playing(goes) as upstream:
            answer = await of(upstream.listening.address, unary=unary)
        assert (answer.code, means(answer, was_ready=True).what) == ("UNAVAILABLE", What.REPLY), answer.text

    async def test_a_stream_that_was_reset_otherwise(self, unary: bool) -> None:
        for code, what in ((0, What.REPLY), (1, What.REPLY), (2, What.REPLY), (8, What.REPLY), (11, What.RESET)):
            async with playing(resets(code)) as upstream:
                answer = await of(upstream.listening.address, unary=unary)
            assert means(answer, was_ready=True).what is what, answer.text

    async def test_a_message_that_is_too_long_in_either_direction(self, unary: bool) -> None:
        async with rpc_service(echo) as service:
            for limit in ({"max_receive_message_length": 10}, {"max_send_message_length": 10}):
                answer = await of(service.target, b"x" * 11, unary=unary, **limit)
                assert means(answer, was_ready=True).sign is Sign.MESSAGE_SIZE, answer.text


@asynccontextmanager
async def _hanging_up(upstream: Listening) -> AsyncIterator[None]:
    async def hang_up() -> None:
        while True:
            (await upstream.accept()).end()

    task = asyncio.create_task(hang_up())
    yield
    task.cancel()
