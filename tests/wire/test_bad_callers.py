"""Callers that send what nobody should: nothing of it goes upstream, and the next caller is served (rule 15)."""

from __future__ import annotations

import time

import pytest

from tests.kit.peer import listening
from tests.kit.refused import refusal
from tests.kit.running import one, request, running
from tests.kit.scripted import reply, scripted

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
HASTY = '[limits]\nheader_timeout = "100ms"\nbody_timeout = "100ms"\n'


@pytest.mark.both_loops
@pytest.mark.parametrize(
    "sent",
    [
        HEAD
        + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        HEAD + b"Content-Length: 5, 5\r\n\r\nhello",
        HEAD + b"Content-Length: +5\r\n\r\nhello",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 0x5\r\n\r\nhello",
        HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n",
        HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"X: a\nY: b\r\n\r\n",
        HEAD + b" folded: yes\r\n\r\n",
        HEAD + b"X\x00Y: 1\r\n\r\n",
        HEAD + b"X: a\x00b\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_a_request_with_two_meanings_or_none_is_refused_whole(sent: bytes) -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(sent)
        assert refusal(await caller.answer()) == (400, "invalid_request")
        assert await caller.ended() == b""  # what came behind it was not read as a request
        assert upstream.pending() == 0


@pytest.mark.parametrize(
    "size",
    [
        b"zz\r\n",
        b"-5\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"\r\n",
        b"5\nhello\r\n",
        b"f" * 17 + b"\r\n",
    ],
)
async def test_a_bad_chunk_size_ends_the_upload_without_an_end(size: bytes) -> None:
    """The upstream has the head by then; it must not take the part for the whole."""
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(CHUNKED + b"2\r\nok\r\n")
        peer = await upstream.accept()
        await peer.request()
        assert await peer.receive(7) == b"2\r\nok\r\n"
        caller.send(size)
        assert refusal(await caller.answer()) == (400, "invalid_request")
        assert await peer.ended()
        assert await caller.ended() == b""


async def test_a_chunk_longer_than_it_said_is_refused_too() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(CHUNKED)
        peer = await upstream.accept()
        await peer.request()
        caller.send(b"2\r\nokay\r\n0\r\n\r\n")
        assert refusal(await caller.answer()) == (400, "invalid_request")


@pytest.mark.parametrize(
    "flood",
    [
        b"A: b\r\n" * 129,
        b"A: " + b"b" * 33_000 + b"\r\n",
        b"".join(b"Name-%d: %b\r\n" % (number, b"x" * 300) for number in range(120)),
    ],
)
async def test_a_flood_of_fields(flood: bytes) -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + flood + b"\r\n")
        assert refusal(await caller.answer()) == (431, "header_too_large")
        assert upstream.pending() == 0


@pytest.mark.both_loops
@pytest.mark.parametrize("bomb", [b"A: b\r\n", b"x" * 4096], ids=["fields", "one field"])
async def test_a_head_that_never_ends_is_cut_off_long_before_it_costs_memory(bomb: bytes) -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        sent = 0
        while not caller.reader._buffer and sent < 64 << 20:  # type: ignore[attr-defined]  # has an answer come?
            caller.send(bomb * 16)
            sent += len(bomb) * 16
            await caller.writer.drain()
        assert refusal(await caller.answer()) == (431, "header_too_large")
        assert sent < 8 << 20  # most of it in the sockets' own buffers
        assert upstream.pending() == 0


async def test_trailers_that_never_end() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(CHUNKED)
        peer = await upstream.accept()
        await peer.request()
        caller.send(b"0\r\n" + b"A: b\r\n" * 200)
        assert refusal(await caller.answer()) == (431, "header_too_large")
        assert await peer.ended()


@pytest.mark.parametrize("so_far", [b"G", b"GET / HTTP/1.1\r\nHost: a\r\nX: "])
async def test_a_slow_head_is_answered_408(so_far: bytes) -> None:
    async with listening() as upstream, running(one(upstream.url, more=HASTY)) as sidecar:
        caller = await sidecar.caller()
        began = time.monotonic()
        caller.send(so_far)
        assert refusal(await caller.answer()) == (408, "request_timeout")
        assert time.monotonic() - began > 0.09
        assert await caller.ended() == b""
        assert upstream.pending() == 0


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 10\r\n\r\n01234", b"Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n"]
)
async def test_a_slow_body_is_answered_408_and_the_upstream_sees_no_end_of_it(framing: bytes) -> None:
    async with listening() as upstream, running(one(upstream.url, more=HASTY)) as sidecar:
        caller = await sidecar.caller()
        caller.send(HEAD + framing)
        peer = await upstream.accept()
        await peer.request()
        assert refusal(await caller.answer()) == (408, "request_timeout")
        sent = await peer.reader.read()
        assert b"01234" in sent
        assert b"\r\n0\r\n" not in sent


async def test_a_body_shorter_than_its_length_leaves_with_its_caller() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(HEAD + b"X-Request-ID: i-1\r\nContent-Length: 10\r\n\r\n01234")
        peer = await upstream.accept()
        await peer.request()
        caller.writer.write_eof()
        assert await peer.reader.read() == b"01234"
        assert (await sidecar.log.call("i-1"))["outcome"] == "caller_left"


async def test_a_body_longer_than_its_length_is_the_next_request_or_none() -> None:
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(HEAD + b"Content-Length: 5\r\n\r\nhello and more\r\n\r\n")
        assert (await caller.answer()).status == 200
        assert (await caller.answer()).status in (400, 501)
        assert await caller.ended() == b""
        assert upstream.bodies == [b"hello"]


async def test_one_bad_connection_does_not_touch_another() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        good, bad = await sidecar.caller(), await sidecar.caller()
        good.send(request("/"))
        peer = await upstream.accept()
        await peer.request()
        bad.send(b"\x00" * 1000)
        assert (await bad.answer()).status in (400, 501)
        peer.say(reply(body=b"well"))
        assert (await good.answer()).body == b"well"
