"""Servers that speak HTTP/2 or gRPC wrongly, or stop in the middle: what callers are told, what is tried again."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.kit.h2_peer import framed
from tests.kit.h2_script import HEAD_ONLY, Playing, answers, cuts, playing, replies, resets
from tests.kit.peer import listening
from tests.kit.rpc import channel_to, routed
from tests.kit.rpc_caller import METHOD, ask, ask_unary, opened, told
from tests.kit.running import Running, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc.aio

    from tests.kit.h2_peer import H2Peer, H2Stream
    from tests.kit.h2_script import Act

IDEMPOTENT = "idempotent = true"
UNARY = f'unary = ["{METHOD[1:]}"]'
KNOWN = pytest.mark.parametrize("known", [UNARY, ""], ids=["known-unary", "unknown"])
OK = (("grpc-status", "0"),)


@asynccontextmanager
async def before(*acts: Act, **policy: str) -> AsyncIterator[tuple[Playing, Running, grpc.aio.Channel]]:
    """A server that plays, a sidecar before it, a caller."""
    async with (
        playing(*acts) as upstream,
        running(routed(upstream.url, **policy)) as sidecar,
        channel_to(sidecar) as channel,
    ):
        yield upstream, sidecar, channel


@KNOWN
@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"220 mail.test ESMTP\r\n", b""])
async def test_no_server_of_http_2(known: str, said: bytes) -> None:
    async with listening() as upstream:
        policy = routed(f"grpc://127.0.0.1:{upstream.port}", upstream=known)
        async with running(policy) as sidecar, channel_to(sidecar) as channel:
            asking = asyncio.create_task(ask_unary(channel))
            for _ in range(3):  # row 2: tried again
                peer = await upstream.accept()
                peer.say(said)
                peer.end()
            answer = await asking
    assert (answer.code, answer.attempts) == ("UNAVAILABLE", "3")


WRONG = {
    "no gRPC at all": (replies((":status", "200"), ("content-type", "text/html"), body=b"<html>"), "UNKNOWN"),
    "HTTP 503": (replies((":status", "503")), "UNAVAILABLE"),
    "HTTP 429": (replies((":status", "429")), "UNAVAILABLE"),
    "HTTP 401": (replies((":status", "401")), "UNAUTHENTICATED"),
    "HTTP 403": (replies((":status", "403")), "PERMISSION_DENIED"),
    "HTTP 404": (replies((":status", "404")), "UNIMPLEMENTED"),
    "HTTP 400": (replies((":status", "400")), "INTERNAL"),
    "no trailers": (replies(*HEAD_ONLY), "UNKNOWN"),
    "a message and no trailers": (replies(*HEAD_ONLY, body=framed(b"m")), "UNKNOWN"),
    "an unknown status": (replies(*HEAD_ONLY, ("grpc-status", "99")), "UNKNOWN"),
    "a status that is no number": (replies(*HEAD_ONLY, ("grpc-status", "x")), "INTERNAL"),
    "packed by nothing known": (
        replies(*HEAD_ONLY, ("grpc-encoding", "br"), body=framed(b"m", compressed=1), trailers=OK), "INTERNAL"
    ),
    "packed without a word": (replies(*HEAD_ONLY, body=framed(b"m", compressed=1), trailers=OK), "INTERNAL"),
}  # fmt: skip


@KNOWN
@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_no_reply(known: str, wrong: str) -> None:
    act, code = WRONG[wrong]
    async with before(act, upstream=known) as (upstream, _, channel):
        answer = await ask_unary(channel)
        assert (answer.code, len(upstream.calls)) == (code, 1)


@pytest.mark.parametrize(
    "act",
    [
        replies(*HEAD_ONLY, body=framed(b"much")[:-2], trailers=OK),
        replies(*HEAD_ONLY, body=b"\0\0\0", trailers=OK),
        replies(*HEAD_ONLY, trailers=OK),
        replies(*HEAD_ONLY, *OK),
    ],
    ids=["half a message", "half a frame", "no message", "a status alone"],
)
async def test_a_unary_call_has_a_message_or_an_error(act: Act) -> None:
    """C-core takes half a message for none, and none for fine; nobody sent an empty one."""
    async with before(act, upstream=UNARY) as (_, _, channel):
        answer = await ask_unary(channel)
        assert (answer.code, answer.text) == ("INTERNAL", "a: unparseable: OK without a message")
    async with before(act, answers, upstream=UNARY, route=IDEMPOTENT) as (upstream, _, channel):
        assert (await ask_unary(channel)).code == "INTERNAL"  # row 5: not at the same one
        assert len(upstream.calls) == 1
    async with before(act) as (_, _, channel):
        assert (await ask(channel, b"hi")).short == ("OK", [])


CODES = {
    "NO_ERROR": (0, "INTERNAL"), "PROTOCOL_ERROR": (1, "INTERNAL"), "INTERNAL_ERROR": (2, "INTERNAL"),
    "FLOW_CONTROL_ERROR": (3, "INTERNAL"), "STREAM_CLOSED": (5, "INTERNAL"), "CANCEL": (8, "CANCELLED"),
    "ENHANCE_YOUR_CALM": (11, "UNAVAILABLE"), "INADEQUATE_SECURITY": (12, "PERMISSION_DENIED"),
    "unknown": (99, "INTERNAL"),
}  # fmt: skip


@KNOWN
@pytest.mark.parametrize("name", CODES)
async def test_a_stream_that_is_reset_before_evidence(known: str, name: str) -> None:
    number, code = CODES[name]
    async with before(resets(number), answers, upstream=known) as (upstream, _, channel):
        assert (await ask_unary(channel)).code == code
        assert len(upstream.calls) == 1, "it may have been carried out"


@KNOWN
async def test_a_stream_that_the_server_refused_unseen_is_sent_again_and_costs_no_attempt(known: str) -> None:
    """REFUSED_STREAM promises that nothing was done (RFC 9113, section 8.7): row 3, whatever the method."""
    async with before(resets(7), answers, upstream=known) as (upstream, sidecar, channel):
        answer = await ask_unary(channel, metadata=(("x-request-id", "r"),))
        assert (answer.short, answer.attempts) == (("OK", [b"well"]), "1")
        assert len(upstream.calls) == 2
        assert sidecar.runtime.breakers()["a"].snapshot()["recent_failures"] == 0


@KNOWN
async def test_a_server_that_refuses_each_stream_is_like_one_that_is_not_there(known: str) -> None:
    async with before(resets(7), upstream=known) as (upstream, sidecar, channel):
        answer = await ask_unary(channel)
        assert answer.code == "UNAVAILABLE"
        assert len(upstream.calls) == 6  # each of three tries has one on a fresh stream that costs nothing
        assert sidecar.runtime.breakers()["a"].snapshot()["recent_failures"] == 3


@KNOWN
async def test_a_server_that_goes_away_and_names_no_stream_is_asked_again(known: str) -> None:
    def goes(peer: H2Peer, _: H2Stream) -> None:
        peer.send_goaway(0)
        peer.end()

    async with before(goes, answers, upstream=known) as (upstream, sidecar, channel):
        answer = await ask_unary(channel)
        assert (answer.short, answer.attempts) == (("OK", [b"well"]), "1")
        assert upstream.calls == [0, 1]
        assert sidecar.runtime.breakers()["a"].snapshot()["recent_failures"] == 0


@KNOWN
@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
@pytest.mark.parametrize("after", [None, b""], ids=["before the head", "behind the head"])
async def test_a_connection_that_ends_before_evidence(known: str, reset: bool, after: bytes | None) -> None:
    """Row 5: tried again only where that is safe. Of a unary call a head is no evidence."""
    for route in ("", IDEMPOTENT):
        async with before(cuts(after, reset=reset), answers, upstream=known, route=route) as (upstream, _, channel):
            answer = await ask_unary(channel)
            if route:
                assert (answer.short, upstream.calls) == (("OK", [b"well"]), [0, 1])
            else:
                assert (answer.code, answer.attempts) == ("UNAVAILABLE", "1")


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
@pytest.mark.parametrize("part", [framed(b"half")[:-2], b"\0\0"])
async def test_a_connection_that_ends_in_a_first_message(reset: bool, part: bytes) -> None:
    async with before(cuts(part, reset=reset), answers) as (_, _, channel):
        answer = await ask(channel, b"hi")
        assert (answer.short, answer.attempts) == (("UNAVAILABLE", []), "1")


def says(data: bytes) -> Act:
    """A head and these bytes, and then nothing."""

    def act(_: H2Peer, stream: H2Stream) -> None:
        stream.headers()
        stream.raw(data)

    return act


@pytest.mark.parametrize("how", ["reset", "closed", "RST_STREAM", "GOAWAY"])
@pytest.mark.parametrize("more", [b"", framed(b"half")[:-2], b"\0"], ids=["between", "in a message", "in a frame"])
async def test_a_stream_that_breaks_never_looks_finished(how: str, more: bytes) -> None:
    async with before(says(framed(b"1") + framed(b"2") + more), answers, route=IDEMPOTENT) as (
        upstream,
        sidecar,
        channel,
    ):
        rpc = opened(channel, metadata=(("x-request-id", "r"),))
        await rpc.write(b"hi")
        assert [await rpc.read(), await rpc.read()] == [b"1", b"2"]
        peer, stream = upstream.listening.peers[0], upstream.streams[0]
        if how == "RST_STREAM":
            stream.reset(2)
        elif how == "GOAWAY":
            peer.send_goaway(0, 2)
            peer.end()
        else:
            (peer.cut if how == "reset" else peer.end)()
        answer = await told(rpc)
        assert answer.short == ("INTERNAL" if how == "RST_STREAM" else "UNAVAILABLE", [])
        assert (await sidecar.log.call("r"))["outcome"] == "broke"
        assert len(upstream.calls) == 1
        failures = sidecar.runtime.breakers()["a"].snapshot()["recent_failures"]
        assert failures == 1
        assert (await ask(channel, b"next")).short == ("OK", [b"well"])


@KNOWN
@pytest.mark.parametrize("value", ["später", "a\tb", "\x01"])
async def test_a_reply_s_metadata_that_cannot_be_sent_on_are_left_out(known: str, value: str) -> None:
    odd, fine = ("odd", value), ("fine", "yes")
    good = replies(*HEAD_ONLY, odd, fine, body=framed(b"m"), trailers=(*OK, odd, ("end", "yes")))
    bad = replies(*HEAD_ONLY, ("grpc-status", "5"), odd, fine)
    async with before(good, bad, upstream=known) as (_, _, channel):
        answer = await ask_unary(channel)
        assert answer.short == ("OK", [b"m"])
        assert (answer.field("fine"), answer.field("end"), answer.field("odd")) == ("yes", "yes", None)
        answer = await ask_unary(channel)
        assert (answer.code, answer.field("fine"), answer.field("odd")) == ("NOT_FOUND", "yes", None)


@KNOWN
async def test_a_reply_whose_metadata_have_a_name_that_cannot_be_sent_on(known: str) -> None:
    """C-core shows the name, and breaks off by itself, in most places."""
    odd, fine = ("odd!", "7"), ("fine", "yes")
    acts = (
        replies(*HEAD_ONLY, odd, body=framed(b"m"), trailers=OK),
        replies(*HEAD_ONLY, body=framed(b"m"), trailers=(*OK, odd)),
        replies(*HEAD_ONLY, ("grpc-status", "5"), fine, odd),
    )
    async with before(*acts, upstream=known) as (_, _, channel):
        for _ in acts:
            answer = await ask_unary(channel)
            assert (answer.code, answer.attempts, answer.field("odd!")) in (("OK", "1", None), ("INTERNAL", "1", None))
            assert answer.messages or answer.text == "Stream removed (Illegal header key: odd!)"


@KNOWN
async def test_a_reply_s_metadata_over_the_limit_are_not_asked_for_twice(known: str) -> None:
    long = ("long", "x" * 5000)
    acts = replies(*HEAD_ONLY, long, body=framed(b"m"), trailers=OK), replies(*HEAD_ONLY, trailers=(*OK, long)), answers
    async with before(*acts, upstream=known, more="[limits]\nmax_header_bytes = '4KiB'") as (
        upstream,
        sidecar,
        channel,
    ):
        for calls in (1, 2):
            answer = await ask_unary(channel)
            assert (answer.code, answer.attempts, len(upstream.calls)) == ("RESOURCE_EXHAUSTED", "1", calls)
        assert (await ask_unary(channel)).code == "OK"
        assert sidecar.runtime.breakers()["a"].snapshot()["recent_failures"] == 0


@KNOWN
async def test_a_reply_s_message_over_the_limit_is_not_asked_for_twice(known: str) -> None:
    acts = replies(*HEAD_ONLY, body=framed(b"x" * 1001), trailers=OK), answers
    async with before(*acts, upstream=known, route=IDEMPOTENT, more="[limits]\nmax_body_bytes = 1000") as on:
        upstream, sidecar, channel = on
        answer = await ask_unary(channel)
        assert (answer.code, answer.attempts, len(upstream.calls)) == ("RESOURCE_EXHAUSTED", "1", 1)
        assert sidecar.runtime.breakers()["a"].snapshot()["recent_failures"] == 0


@KNOWN
@pytest.mark.parametrize("data", [None, b"", b"\0\0"], ids=["silence", "a head", "half a frame"])
async def test_a_server_that_stops_is_left_at_the_deadline(known: str, data: bytes | None) -> None:
    act = says(data) if data is not None else silent
    async with before(act, upstream=known, route='deadline = "1s"') as (upstream, _, channel):
        # Of a stream a head is evidence: then only the caller's own deadline counts.
        answer = await ask_unary(channel, seconds=20 if data is None or known else 1)
        assert (answer.code, answer.messages) == ("DEADLINE_EXCEEDED", [])
        assert await upstream.streams[0].was_reset() == 8, "the server hears that nobody waits"


def silent(_: H2Peer, __: H2Stream) -> None:
    """Nothing at all."""
