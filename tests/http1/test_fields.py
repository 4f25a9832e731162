from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidecar.http1.fields import HOP_BY_HOP, REMADE_OF_REQUEST, forwardable, tokens

names = st.sampled_from([b"Host", b"X-One", b"x-one", b"Connection", b"TE", b"Keep-Alive", b"X-Two", b"Upgrade"])
values = st.sampled_from([b"", b"a", b"close", b"X-One, x-two", b"keep-alive", b"b ", b"Host"])


def test_what_is_for_one_connection_stays_here() -> None:
    headers = [(name.title(), b"x") for name in sorted(HOP_BY_HOP)]
    onward, index = forwardable([*headers, (b"X-Mine", b"y")])
    assert onward == [(b"X-Mine", b"y")]
    assert set(index) == HOP_BY_HOP | {b"x-mine"}


def test_connection_names_more_of_it_wherever_it_stands() -> None:
    headers = [(b"X-Hop", b"1"), (b"Connection", b"close, x-hop"), (b"x-HOP", b"2"), (b"X-End", b"3")]
    assert forwardable(headers)[0] == [(b"X-End", b"3")]


def test_framing_is_made_anew_for_each_hop_and_of_a_request_the_host_too() -> None:
    headers = [(b"Host", b"a"), (b"Content-Length", b"0"), (b"Expect", b"100-continue"), (b"X-Mine", b"1")]
    assert forwardable(headers)[0] == [headers[0], headers[2], headers[3]]
    onward, index = forwardable(headers, REMADE_OF_REQUEST)
    assert onward == [headers[3]]
    assert set(index) == {b"host", b"content-length", b"expect", b"x-mine"}, "they can still be read"


def test_order_and_spelling_stay_and_repeated_fields_are_joined_in_the_index() -> None:
    headers = [(b"x-A", b"1 "), (b"X-b", b""), (b"X-a", b"2")]
    onward, index = forwardable(headers)
    assert onward == headers
    assert index == {b"x-a": b"1, 2", b"x-b": b""}


def test_tokens_are_lower_case_and_never_empty() -> None:
    assert tokens(b" A ,,b, ,C-d") == {b"a", b"b", b"c-d"}


@given(st.lists(st.tuples(names, values)))
def test_nothing_is_made_up_and_nothing_else_is_lost(headers: list[tuple[bytes, bytes]]) -> None:
    onward, index = forwardable(headers)
    named = tokens(b",".join(value for name, value in headers if name == b"Connection"))
    assert onward == [pair for pair in headers if pair[0].lower() not in HOP_BY_HOP | named]
    assert set(index) == {name.lower() for name, _ in headers}
