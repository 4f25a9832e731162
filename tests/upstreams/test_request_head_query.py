"""Parameters of the file behind the caller's own, and heads without the ids that providers did not ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.upstreams.request_head import Additions, HeadWriter
from tests.kit.stage import a_call

if TYPE_CHECKING:
    from sidecar.call import Headers

AZURE = Additions(authority=b"h", query=b"api-version=2024-10-21&subscription%20key=k%26")


def head(additions: Additions, target: bytes = b"/v1", sent: Headers | None = None, **wishes: Any) -> list[bytes]:
    """The lines of the head that is written for a call with these fields."""
    headers = sent or []
    fields = {name.lower(): value for name, value in headers}
    call = a_call(path=target, fields=fields, headers=headers, traceparent=b"00-1-2-01", **wishes)
    return HeadWriter(additions, b"/base").write(call, length=None, chunked=False).split(b"\r\n")


@pytest.mark.parametrize(
    ("asked", "went"),
    [
        (b"/v1", b"/base/v1?api-version=2024-10-21&subscription%20key=k%26"),
        (b"/v1?", b"/base/v1?api-version=2024-10-21&subscription%20key=k%26"),
        (b"/v1?a=%20+&b&a=?", b"/base/v1?a=%20+&b&a=?&api-version=2024-10-21&subscription%20key=k%26"),
        (b"/v1?&&a", b"/base/v1?a&api-version=2024-10-21&subscription%20key=k%26"),
    ],
)
def test_it_stands_behind_the_callers_own(asked: bytes, went: bytes) -> None:
    assert head(AZURE, asked)[0] == b"GET %b HTTP/1.1" % went


@pytest.mark.parametrize(
    "theirs", [b"api-version=1", b"api-version", b"api%2Dversion=1", b"subscription+key=x", b"subscription%20key"]
)
def test_of_a_name_that_both_say_the_files_counts(theirs: bytes) -> None:
    line = head(AZURE, b"/v1?x=1&%b&%b&y" % (theirs, theirs))[0]
    assert line == b"GET /base/v1?x=1&y&api-version=2024-10-21&subscription%20key=k%26 HTTP/1.1"


@pytest.mark.parametrize("theirs", [b"API-Version=1", b"api-versions=1", b"xapi-version=1", b"x=api-version=1"])
def test_another_name_is_another_parameter(theirs: bytes) -> None:
    assert b"?%b&api-version=2024" % theirs in head(AZURE, b"/v1?" + theirs)[0]


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#"), max_size=40))
def test_a_server_reads_each_of_ours_once_and_as_the_file_says(asked: str) -> None:
    target = head(AZURE, b"/v1?" + asked.encode())[0].split(b" ")[1].decode()
    read = parse_qsl(target.partition("?")[2], keep_blank_values=True)
    assert [pair for pair in read if pair[0] in ("api-version", "subscription key")] == [
        ("api-version", "2024-10-21"),
        ("subscription key", "k&"),
    ]


def test_it_stands_behind_what_the_route_made_of_the_target() -> None:
    assert head(AZURE, b"/v1/x?y", outgoing=b"/x?y")[0].startswith(b"GET /base/x?y&api-version=")


def test_a_request_signed_for_aws_gets_no_query_of_ours() -> None:
    assert head(AZURE, b"/v1?X-Amz-Signature=a")[0] == b"GET /base/v1?X-Amz-Signature=a HTTP/1.1"
    assert head(AZURE, sent=[(b"Authorization", b"AWS4-HMAC-SHA256 x")])[0] == b"GET /base/v1 HTTP/1.1"


def test_a_check_asks_as_calls_do() -> None:
    told = HeadWriter(AZURE, b"/base").check(b"/models", (b"api-key", b"k"))
    assert told == (
        b"GET /base/models?api-version=2024-10-21&subscription%20key=k%26 HTTP/1.1\r\nHost: h\r\napi-key: k\r\n\r\n"
    )


def test_what_may_be_a_key_is_not_shown() -> None:
    assert "2024" not in repr(AZURE)


NO_IDS = Additions(authority=b"h", ids=False)


def test_providers_get_no_ids_of_ours() -> None:
    assert head(NO_IDS) == [b"GET /base/v1 HTTP/1.1", b"Host: h", b"", b""]


def test_they_get_those_that_the_caller_sent_as_it_sent_them() -> None:
    sent = [(b"x-request-ID", b"not sane"), (b"X-Correlation-ID", b"c"), (b"traceparent", b"any"), (b"X-Other", b"o")]
    assert head(NO_IDS, sent=sent)[2:-2] == [b"x-request-ID: not sane", b"X-Correlation-ID: c", b"traceparent: any",
                                             b"X-Other: o"]  # fmt: skip


def test_what_callers_say_to_us_ends_here_all_the_same() -> None:
    assert head(NO_IDS, sent=[(b"X-Sidecar-Token", b"t"), (b"a", b"b")])[2:-2] == [b"a: b"]


def test_via_and_forwarded_are_asked_for_apart() -> None:
    told = Additions(authority=b"h", ids=False, via=b"1.1 sidecar-x", forwarded=True)
    assert head(told, peer="10.0.0.1", host=b"me")[2:-2] == [
        b"Via: 1.1 sidecar-x",
        b"X-Forwarded-For: 10.0.0.1",
        b"X-Forwarded-Host: me",
        b"X-Forwarded-Proto: http",
    ]
