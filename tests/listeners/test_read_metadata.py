"""From metadata to a call: what goes on, what is said to us, who may call."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.body import Messages
from sidecar.call import NO_DEADLINE, Call, Wire
from sidecar.errors import ForbiddenToken, HeaderTooLarge, InvalidRequest, LoopDetected
from sidecar.ids import Ids
from sidecar.listeners.asked import Access
from sidecar.listeners.read_metadata import MetadataReader, address_of

NOW = 100.0
METHOD = "/shop.v1.Cart/Add"


def reader(access: Access | None = None, max_headers: int = 0) -> MetadataReader:
    return MetadataReader(access or Access(), Ids(), b"1.1 sidecar-me", lambda: NOW, max_headers=max_headers)


def read(*metadata: tuple[str, str | bytes], by: MetadataReader | None = None, **told: Any) -> Call:
    asked = {"deadline": None, "peer": "ipv4:127.0.0.1:5000", "host": b"shop", "secure": False, "unary": False, **told}
    return (by or reader()).read(METHOD, metadata, Messages.of(b"m"), **asked)


def test_a_call() -> None:
    call = read(("a", "1"), ("a", "2"), ("b-bin", b"\x00\xff"), ("b-bin", b"\x01"))
    assert (call.wire, call.method, call.path, call.target) == (Wire.GRPC, b"POST", METHOD.encode(), METHOD.encode())
    assert call.headers == [(b"a", b"1"), (b"a", b"2"), (b"b-bin", b"\x00\xff"), (b"b-bin", b"\x01")]
    assert call.fields == {b"a": b"1, 2", b"b-bin": b"\x00\xff, \x01"}
    assert (call.host, call.started, call.peer, call.body.whole) == (b"shop", NOW, "127.0.0.1", b"m")
    assert (call.idempotent, call.secure, call.unary, call.retrying, call.refusal) == (False, False, False, False, None)
    assert (call.caller_deadline, call.rpc_deadline) == (NO_DEADLINE, NO_DEADLINE)
    assert call.traceparent.startswith(b"00-")


def test_what_the_listener_knows_of_it() -> None:
    call = read(secure=True, unary=True)
    assert (call.secure, call.unary) == (True, True)


@pytest.mark.parametrize(
    "name",
    [
        ":authority", ":path", "te", "content-type", "user-agent", "host", "grpc-timeout", "grpc-encoding",
        "grpc-accept-encoding", "x-sidecar-token", "x-sidecar-idempotent", "x-sidecar-retry", "x-sidecar-fallback",
        "x-sidecar-timeout",
    ],
)  # fmt: skip
def test_what_belongs_to_one_connection_or_is_said_to_us_does_not_go_on(name: str) -> None:
    call = read((name, "1s"), ("x-tenant-id", "acme"))
    assert call.headers == [(b"x-tenant-id", b"acme")]
    assert call.fields[name.encode()] == b"1s"


@pytest.mark.parametrize(
    ("sent", "ids"),
    [
        ({"x-request-id": "i-1"}, ("i-1", "i-1")),
        ({"x-correlation-id": "c-1"}, ("c-1", "c-1")),
        ({"x-request-id": "i-1", "x-correlation-id": "c-1"}, ("i-1", "c-1")),
        ({"x-request-id": "in sane", "x-correlation-id": "c-1"}, ("c-1", "c-1")),
    ],
)
def test_ids_are_those_of_the_caller(sent: dict[str, str], ids: tuple[str, str]) -> None:
    call = read(*sent.items())
    assert (call.id, call.correlation_id) == ids


def test_without_any_there_is_a_new_one() -> None:
    first, second = read(), read(("x-request-id", "no id at all"))
    assert first.id == first.correlation_id
    assert len({first.id, second.id, "no id at all"}) == 3


def test_a_trace_is_continued() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert read(("traceparent", trace)).traceparent == trace.encode()


def test_a_deadline_is_the_callers_own_and_the_earlier_of_two() -> None:
    assert read(deadline=3.0).caller_deadline == NOW + 3
    both = read(("x-sidecar-timeout", "500ms"), deadline=3.0)
    assert (both.caller_deadline, both.rpc_deadline) == (NOW + 0.5, NOW + 3)
    assert read(("x-sidecar-timeout", "5s"), deadline=3.0).caller_deadline == NOW + 3
    assert read(("x-sidecar-timeout", "5")).caller_deadline == NOW + 5
    assert read(deadline=-1.0).caller_deadline == NOW - 1, "it has passed on its way here"


def test_a_timeout_that_is_no_duration_is_refused() -> None:
    assert isinstance(read(("x-sidecar-timeout", "soon")).refusal, InvalidRequest)


def test_what_a_caller_may_wish() -> None:
    plain = read()
    assert (plain.retry, plain.fallback) == (True, True)
    assert not read(("x-sidecar-retry", "Off")).retry
    assert not read(("x-sidecar-fallback", "off")).fallback
    assert read(("x-sidecar-idempotent", "TRUE")).idempotent
    assert read(("idempotency-key", "k-1")).idempotent
    assert read(("idempotency-key", "k-1")).headers == [(b"idempotency-key", b"k-1")]


@pytest.mark.parametrize(("attempts", "retrying"), [("0", False), ("1", True), ("2", True)])
def test_a_client_that_retries_says_so(attempts: str, retrying: bool) -> None:
    assert read(("grpc-previous-rpc-attempts", attempts)).retrying is retrying


def test_with_a_token_set_nobody_calls_without_it() -> None:
    guarded = reader(Access(token=b"let-me-in"))
    assert isinstance(read(by=guarded).refusal, ForbiddenToken)
    assert isinstance(read(("x-sidecar-token", "wrong"), by=guarded).refusal, ForbiddenToken)
    assert read(("x-sidecar-token", "let-me-in"), by=guarded).refusal is None


def test_a_reload_gives_another_token() -> None:
    by = reader()
    assert read(by=by).refusal is None
    by.access = Access(token=b"let-me-in")
    assert isinstance(read(by=by).refusal, ForbiddenToken)


def test_a_call_that_went_in_a_circle() -> None:
    assert isinstance(read(("via", "1.1 sidecar-you, 1.1 sidecar-me")).refusal, LoopDetected)
    assert isinstance(read(("via", ", ".join(f"1.1 sidecar-{n}" for n in range(8)))).refusal, LoopDetected)
    assert read(("via", "1.1 sidecar-you")).refusal is None


def test_too_many_pairs() -> None:
    by = reader(max_headers=3)
    assert read(*[("a", "1")] * 3, by=by).refusal is None
    assert isinstance(read(*[("a", "1")] * 4, by=by).refusal, HeaderTooLarge)


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:127.0.0.1:5000", "127.0.0.1"),
        ("ipv6:%5B::1%5D:5000", "::1"),
        ("ipv6:[2001:db8::7]:5000", "2001:db8::7"),
        ("unix:", "unix"),
        ("unix:/run/app.sock", "unix"),
        ("unix-abstract:x", "unix-abstract"),
        ("", ""),
    ],
)
def test_where_the_caller_is(peer: str, address: str) -> None:
    assert address_of(peer) == address


def test_behind_a_trusted_proxy_its_word_counts_for_who_called() -> None:
    trusting = reader(Access(trusted=(ipaddress.ip_network("127.0.0.0/8"),)))
    assert read(("x-forwarded-for", "1.1.1.1"), by=trusting).peer == "1.1.1.1"
    assert read(("x-forwarded-for", "1.1.1.1")).peer == "127.0.0.1"


@pytest.mark.parametrize("value", ["später", "a\tb", "\x00", "\x7f"])
def test_what_c_core_reads_but_does_not_send_is_refused(value: str) -> None:
    refusal = read(("a", "1"), ("note", value)).refusal
    assert isinstance(refusal, InvalidRequest)
    assert refusal.message == "the value of the metadata note is not printable ASCII"
    assert read(("note-bin", value.encode()), ("empty", ""), ("~", " !~")).refusal is None


@given(
    st.lists(
        st.tuples(st.text("abc-:", min_size=1, max_size=8), st.text(max_size=8))
        | st.tuples(st.text("abc-", max_size=8).map(lambda name: name + "-bin"), st.binary(max_size=8)),
        max_size=8,
    )
)
def test_whatever_comes_is_a_call_with_all_that_was_sent(metadata: list[tuple[str, str | bytes]]) -> None:
    call = read(*metadata)
    texts = [value for _, value in metadata if isinstance(value, str)]
    assert (call.refusal is None) == all(text.isascii() and text.isprintable() for text in texts)
    assert set(call.fields) == {name.encode() for name, _ in metadata}
    assert [name for name, _ in call.headers] == [name.encode() for name, _ in metadata if not name.startswith(":")]
