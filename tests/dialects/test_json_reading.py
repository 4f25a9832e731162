"""Bodies of which orjson says that they are none, though clients and servers read them."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.json_reading import parsed


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": [1, 2.5, "\xc3\xa9"]}', {"a": [1, 2.5, "é"]}),
        (b'{"a": "cut \\ud83d"}', {"a": "cut ?"}),
        (b'{"\\ude00": "\\ud83d\\ude00"}', {"?": "😀"}),
        (b"[NaN, Infinity, -Infinity, 1e999, 1.5]", [None, None, None, None, 1.5]),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
    ],
)
def test_what_clients_read_is_read(body: bytes, value: Any) -> None:
    assert parsed(body) == value


@pytest.mark.parametrize("body", [b"", b"{", b'{"a": "\xff"}', b"nan", b"[1] [2]", b"\xef\xbb\xbf", b"[" * 100_000])
def test_what_nobody_reads_is_no_json(body: bytes) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        parsed(body)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
)


@given(ANYTHING)
def test_whatever_python_writes_can_be_written_again(value: Any) -> None:
    assert orjson.loads(orjson.dumps(parsed(json.dumps(value).encode()))) is not ...
