"""However the bytes are cut, the same requests come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.errors import HeaderTooLarge, InvalidRequest, Refused
from sidecar.http1.intake import HEAD_PIECE, Intake, ServerLimits

if TYPE_CHECKING:
    from sidecar.http1.request import Request
    from sidecar.http1.server import ServerConnection


@dataclass
class NoConnection:
    """All that an `Intake` asks of its connection."""

    paused: int = 0

    def body_waits(self) -> None:
        self.paused += 1

    def body_taken(self) -> None:
        pass


def intake(limits: ServerLimits | None = None) -> Intake:
    return Intake(cast("ServerConnection", NoConnection()), limits or ServerLimits())


Parsed = tuple[object, ...]


def told(request: Request) -> Parsed:
    return (
        request.method, request.target, request.host, request.version, request.headers, request.onward,
        request.length, request.upgrade, request.expects_continue, request.keep_alive, request.complete,
        request.trailers, request.read() if request.arrived else b"",
    )  # fmt: skip


def parse(pieces: list[bytes]) -> tuple[list[Parsed], str]:
    """What came out: the requests, each served at once as a connection would, and how it ended."""
    parser = intake()
    done: list[Parsed] = []
    serving: Request | None = None
    try:
        for piece in pieces:
            data = piece
            while data:
                parser.take(data)
                while parser.waiting or serving is not None:
                    serving = serving or parser.waiting.popleft()
                    if not serving.complete:
                        break
                    done.append(told(serving))
                    serving = None
                data = parser.release()
    except Refused as refused:
        before = [request for request in [serving, *parser.waiting] if request is not None and request.complete]
        return [*done, *map(told, before)], refused.label
    return done, "in a body" if parser.receiving else "in a head" if parser.in_head else "between"


heads = st.sampled_from([
    b"GET /a?b HTTP/1.1\r\nHost: here\r\nX-A: 1\r\nx-a:  2 \r\n",
    b"POST http://there/x HTTP/1.1\r\nHost: here\r\nCookie: a=b\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n",
    b"PUT / HTTP/1.1\r\nhost: [::1]:80\r\nExpect: 100-continue\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n",
    b"POST / HTTP/1.0\r\nConnection: keep-alive\r\n",
])  # fmt: skip
bodies = st.one_of(
    st.just(b"\r\n"),
    st.binary(max_size=40).map(lambda body: b"Content-Length: %d\r\n\r\n" % len(body) + body),
    st.lists(st.binary(min_size=1, max_size=20), max_size=3).map(
        lambda chunks: (
            b"Transfer-Encoding: chunked\r\n\r\n"
            + b"".join(b"%x;x=y\r\n%b\r\n" % (len(piece), piece) for piece in chunks)
            + b"0\r\nX-Sum: 1\r\n\r\n"
        )
    ),
)
messages = st.lists(st.tuples(heads, bodies).map(b"".join), min_size=1, max_size=4).map(b"".join)
broken = st.tuples(messages, st.sampled_from([b"", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost", b"!"])).map(
    b"".join
)


@settings(max_examples=300, deadline=None)
@given(broken, st.data())
def test_however_it_is_cut(data: bytes, draw: st.DataObject) -> None:
    cuts = sorted(draw.draw(st.sets(st.integers(1, len(data)), max_size=12)))
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert parse([piece for piece in pieces if piece]) == parse([data])


def test_a_later_byte_is_no_tls_handshake() -> None:
    """What looks like one may be a body's."""
    body = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na\x16"
    assert parse([body[:-1], body[-1:] + b"!"]) == parse([body + b"!"])


@settings(max_examples=50, deadline=None)
@given(broken)
def test_byte_by_byte(data: bytes) -> None:
    assert parse([bytes([byte]) for byte in data]) == parse([data])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_nonsense_is_refused_or_waited_for(data: bytes) -> None:
    done, _ = parse([data])
    assert done == []


def test_what_follows_a_waiting_request_is_kept_unparsed() -> None:
    parser = intake()
    get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    count = 10 * HEAD_PIECE // len(get)
    parser.take(get * count)
    assert len(parser.waiting) <= HEAD_PIECE // len(get)
    served = 0
    while parser.waiting:
        served += len(parser.waiting)
        parser.waiting.clear()
        parser.take(parser.release())
    assert served == count


def test_a_body_asks_for_a_pause_beyond_the_mark() -> None:
    connection = NoConnection()
    parser = Intake(cast("ServerConnection", connection), ServerLimits())
    parser.take(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n" + bytes(60_000))
    assert connection.paused == 0
    parser.take(bytes(60_000))
    assert connection.paused > 0


@pytest.mark.parametrize("size", [900, 1100, 5000, 40_000])
@pytest.mark.parametrize("step", [100, 1000, 100_000])
def test_the_limit_holds_however_the_head_is_cut(size: int, step: int) -> None:
    parser = intake(ServerLimits(max_header_bytes=1000))
    data = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nX: %b\r\n\r\n" % (b"y" * (size - 40))
    try:
        for start in range(0, len(data), step):
            parser.take(data[start : start + step])
    except HeaderTooLarge:
        assert size > 1000
    else:
        assert size < 1000
        assert parser.waiting


def test_a_request_that_breaks_in_its_body_is_still_receiving() -> None:
    parser = intake()
    with pytest.raises(InvalidRequest):
        parser.take(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    assert parser.receiving is parser.waiting[0]
