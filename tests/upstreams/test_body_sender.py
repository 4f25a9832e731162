"""A request body that is still on its way while its reply is awaited, and sent again from what was kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.kit.peer import Peer, listening
from tests.kit.running import QUICK, one, running
from tests.kit.scripted import OK, reply

if TYPE_CHECKING:
    import pytest

PUT = b"PUT / HTTP/1.1\r\nHost: a\r\n"


async def received(peer: Peer, head: bytes, body: bytes) -> None:
    assert head in await peer.request()
    assert await peer.receive(len(body)) == body


async def test_what_was_kept_is_sent_again_whole_in_the_same_framing() -> None:
    chunked = b"\r\nTransfer-Encoding: chunked\r\n"
    async with listening() as upstream, running(one(upstream.url, more=QUICK)) as sidecar:
        caller = await sidecar.caller()
        caller.send(PUT + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        peer = await upstream.accept()
        await received(peer, chunked, b"5\r\nhello\r\n")
        caller.send(b"6\r\n world\r\n0\r\n\r\n")
        await received_rest(peer, b"6\r\n world\r\n0\r\n\r\n")
        peer.say(reply("503 No"))
        await received(peer, chunked, b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        peer.say(OK)
        answer = await caller.answer()
        assert (answer.status, answer.fields["x-sidecar-attempts"]) == (200, "2")


async def received_rest(peer: Peer, body: bytes) -> None:
    assert await peer.receive(len(body)) == body


async def test_an_attempt_that_failed_half_way_is_followed_by_one_from_the_start() -> None:
    async with listening() as upstream, running(one(upstream.url, more=QUICK)) as sidecar:
        caller = await sidecar.caller()
        caller.send(PUT + b"Content-Length: 10\r\n\r\n01234")
        first = await upstream.accept()
        await received(first, b"\r\nContent-Length: 10\r\n", b"01234")
        first.reset()
        second = await upstream.accept()
        await received(second, b"\r\nContent-Length: 10\r\n", b"01234")
        caller.send(b"56789")
        await received_rest(second, b"56789")
        second.say(OK)
        assert (await caller.answer()).status == 200


async def test_a_body_longer_than_the_buffer_is_streamed_and_sent_once() -> None:
    small = QUICK + "replay_buffer = 4\n"
    async with listening() as upstream, running(one(upstream.url, more=small)) as sidecar:
        caller = await sidecar.caller()
        caller.send(PUT + b"Content-Length: 10\r\n\r\n01234")
        first = await upstream.accept()
        await received(first, b"\r\nContent-Length: 10\r\n", b"01234")
        first.reset()
        answer = await caller.answer()
        assert (answer.status, answer.fields["x-sidecar-replay"]) == (502, "off")
        assert upstream.pending() == 0


async def test_a_long_early_answer_that_is_held_does_not_take_the_next_attempts_body() -> None:
    small = QUICK + "replay_buffer = 8\n"
    async with listening() as upstream, running(one(upstream.url, more=small)) as sidecar:
        caller = await sidecar.caller()
        caller.send(PUT + b"Content-Length: 15\r\n\r\n01234")
        first = await upstream.accept()
        await received(first, b"\r\nContent-Length: 15\r\n", b"01234")
        first.say(reply("503 No", body=b"x" * 200_000)[:-1])
        second = await upstream.accept()
        await received(second, b"\r\nContent-Length: 15\r\n", b"01234")
        caller.send(b"56789")  # beyond the replay buffer: who reads it, drops it
        await received_rest(second, b"56789")
        caller.send(b"abcde")
        await received_rest(second, b"abcde")
        second.say(OK)
        assert (await caller.answer()).status == 200


async def test_expect_is_asked_again_only_of_who_has_not_had_the_body_yet() -> None:
    async with listening() as upstream, running(one(upstream.url, more=QUICK)) as sidecar:
        caller = await sidecar.caller()
        caller.send(PUT + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        first = await upstream.accept()
        await received(first, b"\r\nExpect: 100-continue\r\n", b"")
        first.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        await caller.exactly(b"HTTP/1.1 100 Continue\r\n\r\n")
        caller.send(b"hello")
        await received_rest(first, b"hello")
        first.reset()
        second = await upstream.accept()
        head = await second.request()
        assert b"\r\nExpect:" not in head
        await received_rest(second, b"hello")
        second.say(OK)
        assert (await caller.answer()).status == 200  # and 100 came once


async def test_a_bug_while_a_body_is_passed_on_is_ours_and_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("sidecar.http1.client.ClientConnection.end_body", broken)
    async with listening() as upstream, running(one(upstream.url), bug=True) as sidecar:
        caller = await sidecar.caller()
        caller.send(PUT + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await upstream.accept()
        caller.send(b"0\r\n\r\n")
        answer = await caller.answer()
        assert (answer.status, json.loads(answer.body)["error"]["code"]) == (500, "internal_error")
        assert "ZeroDivisionError" in (await sidecar.log.saying("internal error"))["exception"]
        assert sidecar.runtime.breakers()["a"].snapshot()["recent_failures"] == 0
