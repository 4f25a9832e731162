"""A route's own parts: whose bucket a limit draws on, what the upstream is to see, whether a target may be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.engine.route import Route, key_function
from tests.kit.fakes import FakeRouteObserver, Transcript
from tests.kit.stage import a_call

if TYPE_CHECKING:
    from tests.kit.stage import Stage


def test_without_weights_the_chain_is_the_file_s_order() -> None:
    def no_dice() -> float:
        raise AssertionError

    assert Route("r", (), FakeRouteObserver("r", Transcript()), 1.0).chain(a_call(), no_dice) == ()


def outgoing(target: bytes, **told: bytes) -> bytes:
    return Route("r", (), FakeRouteObserver("r", Transcript()), 1.0, **told).outgoing(target)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "target", "seen"),
    [
        ({}, b"/a/%2F?q=/x", b"/a/%2F?q=/x"),
        ({"strip": b"/api"}, b"/api/x?y=/api", b"/x?y=/api"),
        ({"strip": b"/api"}, b"/api", b"/"),
        ({"strip": b"/api"}, b"/api?q", b"/?q"),
        ({"strip": b"/api"}, b"/apis/x", b"/apis/x"),
        ({"strip": b"/api"}, b"/api//x", b"//x"),
        ({"rewrite": b"/new", "path": b"/old/*"}, b"/old/x?y", b"/new/x?y"),
        ({"rewrite": b"/new", "path": b"/old/*"}, b"/old", b"/new"),
        ({"rewrite": b"/new", "path": b"/*"}, b"/x", b"/new/x"),
        ({"rewrite": b"/new", "path": b"/old"}, b"/old?q", b"/new?q"),
        ({"strip": b"/api", "rewrite": b"/v2"}, b"/api/x", b"/v2/x"),
        ({"strip": b"/api", "rewrite": b"/v2"}, b"/api", b"/v2"),
        ({"strip": b"/api"}, b"*", b"*"),
        ({"rewrite": b"/new", "path": b"/*"}, b"*", b"*"),
    ],
)
def test_strip_and_rewrite_change_the_path_and_never_the_query(
    told: dict[str, bytes], target: bytes, seen: bytes
) -> None:
    assert outgoing(target, **told) == seen


@given(st.binary(max_size=20), st.binary(max_size=20), st.sampled_from([b"", b"/api"]), st.sampled_from([b"", b"/v2"]))
def test_whatever_is_rewritten_stays_a_path_with_its_query(
    path: bytes, query: bytes, strip: bytes, rewrite: bytes
) -> None:
    target = b"/" + path.replace(b"?", b"") + b"?" + query
    seen = outgoing(target, strip=strip, rewrite=rewrite)
    assert seen.startswith(b"/")
    assert seen.endswith(b"?" + query)


def test_one_bucket_for_all() -> None:
    key = key_function("global")
    assert key(a_call(peer="1.2.3.4")) == key(a_call(peer="5.6.7.8")) == ""


def test_a_bucket_for_each_address() -> None:
    assert key_function("ip")(a_call(peer="1.2.3.4")) == "1.2.3.4"


def test_a_bucket_for_each_value_of_a_header() -> None:
    key = key_function("header:X-Tenant-ID")
    long, other = (key(a_call(fields={b"x-tenant-id": b"x" * 30_000 + end})) for end in (b"a", b"b"))
    assert (len(long), long == other) == (32, False)  # many keys are kept
    assert key(a_call(fields={b"x-tenant-id": b"acme"})) == "acme"
    assert key(a_call(fields={b"x-tenant-id": b"\xff"})) == "\xff"
    assert key(a_call()) == "", "without it a call shares one bucket"


def test_a_bucket_for_each_credential_and_no_credential_in_it() -> None:
    key = key_function("api_key")
    told = [
        key(a_call(fields=fields))
        for fields in (
            {b"x-api-key": b"hunter2"},
            {b"authorization": b"Bearer hunter2"},
            {b"x-api-key": b"other"},
            {b"x-api-key": b"hunter2", b"authorization": b"Bearer hunter2"},
        )
    ]
    assert len(set(told)) == 3
    assert told[0] == told[3]
    assert not any("hunter2" in name for name in told)
    assert key(a_call()) == ""


@pytest.mark.virtual_time
async def test_a_target_may_be_asked_if_it_neither_rests_nor_is_open(stage: Stage) -> None:
    plain, guarded = stage.target("a"), stage.target("b", breaker={})
    stage.route(plain, guarded)
    now = stage.clock()
    assert plain.would_admit(now)
    assert guarded.would_admit(now)
    plain.rest.rest(now + 5, "throttled")
    assert (plain.would_admit(now), plain.would_admit(now + 5)) == (False, True)
    assert guarded.service.breaker is not None
    guarded.service.breaker.force_open()
    assert not guarded.would_admit(now)
