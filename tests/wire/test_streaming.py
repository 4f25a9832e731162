"""Bodies that come piece by piece, both ways, through the whole sidecar."""

from __future__ import annotations

import aiohttp
import pytest

from sidecar.standins.faults import Fault, Kind
from tests.kit.peer import listening
from tests.kit.running import one, request, running
from tests.kit.scripted import reply
from tests.kit.standin import StandIn

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.both_loops
async def test_server_sent_events_pass_one_by_one_as_they_come() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/events", "Accept: text/event-stream"))
        peer = await upstream.accept()
        await peer.request()
        peer.say(head)
        answer = await caller.head()  # before there is any event
        assert answer.fields["content-type"] == "text/event-stream"
        for number in range(3):
            event = b"data: %d\n\n" % number
            peer.say(b"%x\r\n%b\r\n" % (len(event), event))
            await caller.exactly(b"%x\r\n%b\r\n" % (len(event), event))
        peer.say(b"0\r\n\r\n")
        await caller.exactly(b"0\r\n\r\n")
        caller.send(request("/next"))  # both connections go on
        assert (await peer.request()).startswith(b"GET /next ")
        peer.say(reply(body=b"next"))
        assert (await caller.answer()).body == b"next"


@pytest.mark.both_loops
@pytest.mark.parametrize("reset", [False, True])
async def test_a_chunked_reply_that_is_cut_has_no_last_chunk(reset: bool) -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/", "X-Request-ID: i-1"))
        peer = await upstream.accept()
        await peer.request()
        peer.say(CHUNKED + b"5\r\nhello\r\n")
        assert (await caller.head()).status == 200
        await caller.exactly(b"5\r\nhello\r\n")
        (peer.reset if reset else peer.end)()
        assert await caller.ended() == b""
        assert (await sidecar.log.call("i-1"))["outcome"] == "broke"


@pytest.mark.parametrize(
    "cut_in", [b"5\r\nhel", b"5\r\nhello", b"5\r\nhello\r\n0", b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n", b"5;"]
)
async def test_wherever_the_chunks_are_cut_the_reply_does_not_look_finished(cut_in: bytes) -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/"))
        peer = await upstream.accept()
        await peer.request()
        peer.say(CHUNKED)
        assert (await caller.head()).status == 200
        peer.say(cut_in)
        peer.end()
        assert b"\r\n0\r\n" not in b"\r\n" + await caller.ended()


async def test_a_reply_shorter_than_its_length_ends_with_the_connection() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/"))
        peer = await upstream.accept()
        await peer.request()
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        assert (await caller.head()).fields["content-length"] == "10"
        peer.say(b"hello")
        await caller.exactly(b"hello")
        peer.end()
        assert await caller.ended() == b""


async def test_a_reply_that_is_longer_than_its_length_is_cut_there_and_the_rest_is_nobodys() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/"))
        peer = await upstream.accept()
        await peer.request()
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
        assert (await caller.answer()).body == b"ok"
        caller.send(request("/second"))
        again = await upstream.accept()  # the connection with the forged reply is not used again
        await again.request()
        again.say(reply(body=b"true"))
        assert (await caller.answer()).body == b"true"


async def test_a_reply_until_close_becomes_chunked_and_is_complete_only_if_closed_in_order() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        for ends_well in (True, False):
            caller.send(request("/"))
            peer = await upstream.accept()
            await peer.request()
            peer.say(b"HTTP/1.0 200 OK\r\n\r\nhello")
            assert (await caller.head()).fields["transfer-encoding"] == "chunked"
            await caller.exactly(b"5\r\nhello\r\n")
            if ends_well:
                peer.end()
                await caller.exactly(b"0\r\n\r\n")
            else:
                peer.reset()
                assert await caller.ended() == b""


async def test_to_http_1_0_a_cut_stream_ends_in_a_reset() -> None:
    """Its body ends with the connection: an orderly end would make the part look like the whole."""
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(b"GET / HTTP/1.0\r\n\r\n")
        peer = await upstream.accept()
        await peer.request()
        peer.say(CHUNKED + b"5\r\nhello\r\n")
        assert "transfer-encoding" not in (await caller.head()).fields
        await caller.exactly(b"hello")
        peer.end()
        with pytest.raises(ConnectionResetError):
            await caller.ended()


async def test_to_http_1_0_a_whole_stream_ends_with_the_connection() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(b"GET / HTTP/1.0\r\n\r\n")
        peer = await upstream.accept()
        assert b" HTTP/1.1\r\n" in await peer.request()
        peer.say(CHUNKED + b"5\r\nhello\r\n")
        await caller.head()
        await caller.exactly(b"hello")
        peer.say(b"6\r\n world\r\n0\r\n\r\n")
        assert await caller.ended() == b" world"


async def test_trailers_pass_both_ways() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X-Sum\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        )
        peer = await upstream.accept()
        head = await peer.request()
        assert b"\r\nTE: trailers\r\n" in head
        assert b"\r\nTrailer: X-Sum\r\n" in head
        assert b"\r\nTransfer-Encoding: chunked\r\n" in head
        caller.send(b"0\r\nX-Sum: 1\r\n\r\n")
        assert await peer.receive(25) == b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
        peer.say(CHUNKED.replace(b"Transfer", b"Trailer: X-Rows\r\nTransfer") + b"2\r\nok\r\n")
        await caller.head()
        await caller.exactly(b"2\r\nok\r\n")
        peer.say(b"0\r\nX-Rows: 2\r\nConnection: close\r\n\r\n")
        await caller.exactly(b"0\r\nX-Rows: 2\r\n\r\n")


async def test_trailers_of_a_request_that_came_in_one_piece_pass_too_but_none_that_belongs_into_a_head() -> None:
    secret = 'headers = { X-API-Key = "k" }'
    async with listening() as upstream, running(one(upstream.url, upstream=secret)) as sidecar:
        caller = await sidecar.caller()
        caller.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n"
            b"Host: evil\r\nX-Sidecar-Token: t\r\nx-api-key: mine\r\nAuthorization: b\r\nX-Request-ID: 7\r\n\r\n"
        )
        peer = await upstream.accept()
        assert b"\r\nTransfer-Encoding: chunked\r\n" in await peer.request()
        assert await peer.receive(25) == b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
        peer.say(reply())
        assert (await caller.answer()).status == 200


async def test_trailers_of_a_reply_that_came_in_one_piece_pass_too() -> None:
    async with StandIn(fault=Fault(Kind.TRAILERS)) as upstream, running(one(upstream.url)) as sidecar:
        answer = await sidecar.ask("/")
    assert (answer.body, answer.trailers) == (b"hello world", {"x-checksum": "5eb63bbb", "x-rows": "2"})


async def test_early_hints_pass_before_the_reply() -> None:
    async with StandIn(fault=Fault(Kind.HINTS)) as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/"))
        hints = await caller.head()
        assert (hints.status, hints.fields) == (103, {"link": "</style.css>; rel=preload"})
        assert (await caller.answer()).body == b"ok\n"


@pytest.fixture
def told_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No upstream is taken for one that never says 100 because the machine pauses."""
    monkeypatch.setattr("sidecar.upstreams.body_sender.CONTINUE_PATIENCE", 3600)


@pytest.mark.usefixtures("told_in_time")
async def test_expect_100_continue_goes_end_to_end() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        peer = await upstream.accept()
        assert b"\r\nExpect: 100-continue\r\n" in await peer.request()
        peer.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        await caller.exactly(b"HTTP/1.1 100 Continue\r\n\r\n")
        caller.send(b"hello")
        assert await peer.receive(5) == b"hello"
        peer.say(reply(body=b"thanks"))
        assert (await caller.answer()).body == b"thanks"


@pytest.mark.usefixtures("told_in_time")
async def test_who_expects_100_may_be_refused_before_sending_anything() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        peer = await upstream.accept()
        await peer.request()
        peer.say(reply("403 No"))
        answer = await caller.answer()
        assert (answer.status, answer.fields["connection"]) == (403, "close")
        assert await caller.ended() == b""
        assert await peer.ended()


async def test_an_upstream_that_never_says_100_gets_the_body_all_the_same() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        peer = await upstream.accept()
        await peer.request()
        await caller.exactly(b"HTTP/1.1 100 Continue\r\n\r\n")
        caller.send(b"hello")
        assert await peer.receive(5) == b"hello"
        peer.say(reply())
        assert (await caller.answer()).status == 200


@pytest.mark.both_loops
async def test_a_reply_may_begin_while_the_request_still_comes() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        peer = await upstream.accept()
        await peer.request()
        peer.say(CHUNKED)
        assert (await caller.head()).status == 200
        for piece in (b"1\r\na\r\n", b"1\r\nb\r\n", b"0\r\n\r\n"):  # an echo, piece by piece
            caller.send(piece)
            assert await peer.receive(len(piece)) == piece
            peer.say(piece)
            await caller.exactly(piece)
        caller.send(request("/next"))
        assert (await peer.request()).startswith(b"GET /next ")


async def test_an_early_whole_reply_ends_the_request_to_the_upstream() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234")
        peer = await upstream.accept()
        await peer.request()
        peer.say(reply("413 Too Long", body=b"enough"))
        answer = await caller.answer()
        assert (answer.status, answer.body) == (413, b"enough")
        caller.send(b"56789" + request("/next"))  # the little that was left is thrown away
        again = await upstream.accept()
        assert (await again.request()).startswith(b"GET /next ")


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/1", method="POST", body=b"one") + request("/2") + request("/3"))
        peer = await upstream.accept()
        for number in (b"1", b"2", b"3"):
            assert (await peer.request()).split(b" ")[1] == b"/" + number
            if number == b"1":
                assert await peer.receive(3) == b"one"
            peer.say(reply(body=number))
        assert [(await caller.answer()).body for _ in range(3)] == [b"1", b"2", b"3"]


@pytest.mark.parametrize(
    ("method", "said", "seen"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "1000"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", None),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: x\r\n\r\n", "7"),
    ],
)
async def test_replies_without_a_body_end_at_their_head(method: str, said: bytes, seen: str | None) -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/", method=method))
        peer = await upstream.accept()
        await peer.request()
        peer.say(said)
        assert (await caller.answer(to=method)).fields.get("content-length") == seen
        caller.send(request("/next"))
        assert (await peer.request()).startswith(b"GET /next ")
        peer.say(reply(body=b"next"))
        assert (await caller.answer()).body == b"next"


async def test_a_head_request_with_a_body_that_comes_later_ends_at_the_head_of_its_reply_too() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
        peer = await upstream.accept()
        await peer.request()
        caller.send(b"hello")
        assert await peer.receive(5) == b"hello"
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        assert (await caller.answer(to="HEAD")).fields["content-length"] == "1000"


async def test_options_for_the_server_as_a_whole() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("*", method="OPTIONS"))
        peer = await upstream.accept()
        assert (await peer.request()).startswith(b"OPTIONS * HTTP/1.1\r\n")
        peer.say(reply("204 No Content"))
        assert (await caller.answer()).status == 204


async def test_a_client_with_all_comfort_sees_nothing_of_us() -> None:
    async with StandIn() as upstream, running(one(upstream.url)) as sidecar:
        body = bytes(range(256)) * 4096
        async with aiohttp.ClientSession() as session:
            async with session.post(sidecar.url + "/x?y=z", data=body) as answer:
                told = await answer.json()
                assert (told["method"], told["path"], told["body_bytes"]) == ("POST", "/x?y=z", len(body))
            async with session.get(sidecar.url + "/e", headers={"Accept": "text/event-stream"}) as answer:
                assert (await answer.text()).endswith("event: done\ndata: {}\n\n")
