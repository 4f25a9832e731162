"""What `POST /explain` takes for the description of a call."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.admin.describing import Description, read_description
from sidecar.errors import InvalidRequest


def test_a_description() -> None:
    body = b'{"method": "post", "path": "/v1/x", "headers": {"X-A": "1", "x-a": "2"}, "model": "team/fast"}'
    assert read_description(body) == Description("POST", "/v1/x", (("X-A", "1"), ("x-a", "2")), "team/fast")
    assert read_description(b'{"method": "GET", "url": "http://a/b"}') == Description("GET", "http://a/b", (), "")
    whole = b'{"method": "GET", "path": "/", "headers": null, "model": null}'
    assert read_description(whole) == Description("GET", "/", (), "")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"[]", "the body must be {"),
        (b"null", "the body must be {"),
        (b"{}", "one of path and url is needed, and not both"),
        (b'{"method": "GET", "path": "/", "url": "/"}', "one of path and url is needed, and not both"),
        (b'{"path": "/"}', "method must be text"),
        (b'{"method": 1, "path": "/"}', "method must be text"),
        (b'{"method": "", "path": "/"}', "method must be text"),
        (b'{"method": "GET", "path": ""}', "path must be text"),
        (b'{"method": "GET", "url": null}', "url must be text"),
        (b'{"method": "GET", "path": "/", "headers": []}', 'headers must be {"name": "value"}'),
        (b'{"method": "GET", "path": "/", "headers": {"a": 1}}', 'headers must be {"name": "value"}'),
        (b'{"method": "GET", "path": "/", "model": 4}', "model must be text"),
        (b'{"method": "GET", "path": "/", "heders": {}}', "'heders' is not known here: method, path, url,"),
        (b'{"method": "GET", "path": "\\ud800"}', "the body is not JSON"),
    ],
)
def test_what_describes_no_call(body: bytes, why: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_description(body)
    assert refused.value.message.startswith(why)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["method", "path", "url", "headers", "model", "x"]), inner, max_size=5)
    ),
    max_leaves=8,
)


@given(_JSON.map(lambda document: json.dumps(document).encode()) | st.binary(max_size=40))
def test_any_body_is_a_description_or_a_clear_refusal(body: bytes) -> None:
    try:
        found = read_description(body)
    except InvalidRequest as refused:
        assert refused.message  # noqa: PT017 - whatever it says, it says something
        return
    assert found.method
    assert found.url
