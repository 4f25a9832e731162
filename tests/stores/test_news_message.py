from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.stores.news_message import LONGEST, Message, digest_of, read

OPEN = Message("me", "orders", "3b1f", "open")


def changed(**what: object) -> bytes:
    return orjson.dumps({**orjson.loads(OPEN.encoded()), **what})


def test_what_one_says_another_hears() -> None:
    closed = OPEN._replace(to="closed", breaker="größe/modell")
    assert [read(message.encoded()) for message in (OPEN, closed)] == [OPEN, closed]


def test_keys_that_a_later_version_adds_do_no_harm() -> None:
    assert read(changed(why="it is down")) == OPEN


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"open orders",
        b"[]",
        b"null",
        b'"open"',
        b"\xff\xfe",
        b"{" * 1000,
        changed(v=2),
        changed(v="1"),
        changed(to="half_open"),
        changed(to=["open"]),
        changed(to=None),
        changed(breaker=7),
        changed(upstream=None),
        changed(**{"from": {}}),
        changed(breaker="x" * LONGEST),
        1,
        None,
    ],
)
def test_anything_else_is_no_message(data: object) -> None:
    assert read(data) is None


@given(st.binary(max_size=200))
def test_no_bytes_upset_it(data: bytes) -> None:
    assert read(data) is None


@given(st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.dictionaries(st.text(), inner)))
def test_nor_any_json(told: object) -> None:
    data = json.dumps({"v": 1, "to": "open", "from": told, "breaker": told, "upstream": told}).encode()
    found = read(data)
    assert (found is not None) == (isinstance(told, str) and len(data) <= LONGEST)


def test_an_upstream_is_its_protocol_and_addresses_in_any_order() -> None:
    one = digest_of("http", ("http://a:1", "http://b:1"), "here")
    assert one == digest_of("http", ("http://b:1", "http://a:1"), "there")
    assert len(one) == 32
    others = {
        digest_of("grpc", ("http://a:1", "http://b:1"), "here"),
        digest_of("http", ("http://a:1",), "here"),
        digest_of("http", ("http://a:2", "http://b:1"), "here"),
    }
    assert len(others | {one}) == 4


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080",
        "http://127.8.0.1",
        "http://[::1]:80",
        "http://localhost:80",
        "grpc://a.localhost:1",
        "unix:/run/a.sock",
    ],
)
def test_what_is_on_loopback_is_another_one_on_each_machine(url: str) -> None:
    assert digest_of("http", (url,), "here") != digest_of("http", (url,), "there")


@pytest.mark.parametrize("url", ["http://10.0.0.7", "http://orders.shop.svc:8080", "http://localhost.example"])
def test_what_is_elsewhere_is_one_for_all(url: str) -> None:
    assert digest_of("http", (url,), "here") == digest_of("http", (url,), "there")
