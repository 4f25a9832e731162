from __future__ import annotations

import http
import time

import pytest

from sidecar.http1.reply_framing import DateLine, chunk, has_no_body, last_chunk, status_line


@pytest.mark.parametrize("status", [s.value for s in http.HTTPStatus])
def test_a_known_status_has_the_phrase_of_the_standard(status: int) -> None:
    assert status_line(status) == f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\n".encode()


def test_an_unknown_status_has_none_and_keeps_the_blank() -> None:
    assert status_line(599) == b"HTTP/1.1 599 \r\n"  # RFC 9112, section 4: the blank is not optional


def test_a_reason_that_is_given_wins() -> None:
    assert status_line(200, b"Fine") == b"HTTP/1.1 200 Fine\r\n"


def test_chunks_tell_their_size_in_hexadecimal() -> None:
    assert chunk(bytes(255)) == b"ff\r\n" + bytes(255) + b"\r\n"
    assert last_chunk() == b"0\r\n\r\n"
    assert last_chunk([(b"A", b"1"), (b"B", b"")]) == b"0\r\nA: 1\r\nB: \r\n\r\n"


def test_statuses_without_a_body() -> None:
    assert [status for status in (100, 101, 103, 200, 204, 205, 304, 404) if has_no_body(status)] == [
        100, 101, 103, 204, 304,
    ]  # fmt: skip


def test_the_date_is_made_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "time", lambda: now)
    date = DateLine()
    now = 784111777.9
    first = date()
    assert first == b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    assert date() is first
    now += 1
    assert date() == b"Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"
