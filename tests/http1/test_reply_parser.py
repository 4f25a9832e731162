"""However a reply is cut into reads, it is the same reply."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidecar.http1.failures import ReplyUnparseable
from sidecar.http1.reply import MAX_HEAD, OneLength, stays_open
from sidecar.http1.reply_parser import ReplyParser

CHUNKED = (
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    b"HTTP/1.1 200 Very Fine\r\nTransfer-Encoding: chunked\r\nX-Empty:\r\nX-A: b c\r\n\r\n"
    b"5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 7\r\n\r\n"
)
TWICE = b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 503 Busy\r\nContent-Length: 2\r\nA: b\r\ncontent-length: 2\r\n\r\nno"


def cuts(size: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(1, size - 1), unique=True).map(sorted)


def pieces(data: bytes, at: list[int]) -> list[bytes]:
    return [data[start:end] for start, end in zip([0, *at], [*at, len(data)], strict=True)]


@given(cuts(len(CHUNKED)))
def test_a_chunked_reply_in_any_pieces(at: list[int]) -> None:
    parser = ReplyParser(lenient_length=False)
    for piece in pieces(CHUNKED, at):
        parser.feed(piece)
    assert parser.error is None
    assert parser.complete
    assert parser.final is not None
    assert (parser.final.status, parser.final.reason) == (200, b"Very Fine")
    assert parser.final.headers == [(b"Transfer-Encoding", b"chunked"), (b"X-Empty", b""), (b"X-A", b"b c")]
    assert b"".join(parser.pieces) == b"hello!"
    assert parser.trailers == [(b"X-Sum", b"7")]
    assert parser.news == [(103, [(b"Link", b"</a>")])]
    assert not parser.spent


@given(cuts(len(TWICE)))
def test_equal_lengths_are_one_in_any_pieces(at: list[int]) -> None:
    parser = ReplyParser(lenient_length=True)
    for piece in pieces(TWICE, at):
        parser.feed(piece)
    assert parser.error is None
    assert parser.complete
    assert parser.final is not None
    assert parser.final.headers == [(b"Content-Length", b"2"), (b"A", b"b")]
    assert b"".join(parser.pieces) == b"no"


@given(cuts(len(CHUNKED)), st.binary(min_size=1))
def test_what_follows_a_reply_is_never_part_of_it(at: list[int], surplus: bytes) -> None:
    parser = ReplyParser(lenient_length=False)
    for piece in pieces(CHUNKED, at)[:-1]:
        parser.feed(piece)
    parser.feed(pieces(CHUNKED, at)[-1] + surplus)
    assert b"".join(parser.pieces) == b"hello!"
    assert parser.trailers == [(b"X-Sum", b"7")]
    assert parser.spent or not surplus.strip(b"\r\n")  # llhttp skips empty lines between messages


@given(st.lists(st.binary(min_size=1), max_size=20), st.booleans())
def test_garbage_is_unparseable_or_waits_for_more(reads: list[bytes], lenient: bool) -> None:
    parser = ReplyParser(lenient_length=lenient)
    for data in reads:
        parser.feed(data)
        if parser.error is not None:
            break
    assert parser.error is None or isinstance(parser.error, ReplyUnparseable)
    assert parser.final is None or b"".join(reads).lstrip(b"\r\n").startswith(b"HTTP/1.")


def test_a_head_without_end_is_not_held_for_ever() -> None:
    held = OneLength()
    assert held.feed(b"HTTP/1.1 200 OK\r\n") == b""
    assert len(held.feed(b"x" * MAX_HEAD)) > MAX_HEAD


def test_who_keeps_a_connection() -> None:
    assert stays_open("1.1", [])
    assert not stays_open("1.0", [])
    assert stays_open("1.0", [(b"Connection", b"Keep-Alive")])
    assert not stays_open("1.1", [(b"connection", b"x, Close")])
    assert not stays_open("1.1", [(b"Connection", b"keep-alive"), (b"Connection", b"close")])
