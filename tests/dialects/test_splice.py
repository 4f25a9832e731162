"""Another model in a body whose other bytes stay as they were sent."""

from __future__ import annotations

import json
import time
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.dialects.splice import with_model


@pytest.mark.parametrize(
    ("body", "spliced"),
    [
        (b'{"model":"a"}', b'{"model":"NEW"}'),
        (b' {\r\n\t"model" \n:\t"a" , "n": 1}\n', b' {\r\n\t"model" \n:\t"NEW" , "n": 1}\n'),
        (b'{"messages":[],"model":"a"}', b'{"messages":[],"model":"NEW"}'),
        (b'{"x":1.0e5,"model":"a","y":"\xc3\xa9 \\u00e9"}', b'{"x":1.0e5,"model":"NEW","y":"\xc3\xa9 \\u00e9"}'),
        # The value may be anything.
        (b'{"model":null}', b'{"model":"NEW"}'),
        (b'{"model": -1.5e3 }', b'{"model": "NEW" }'),
        (b'{"model":"a\\"b\\\\","n":1}', b'{"model":"NEW","n":1}'),
        (b'{"model":"","n":1}', b'{"model":"NEW","n":1}'),
        (b'{"model":{"model":["]}",{}]},"n":[1]}', b'{"model":"NEW","n":[1]}'),
        (b'{"model":[],"n":[1]}', b'{"model":"NEW","n":[1]}'),
        # Only the top-level key.
        (b'{"a":{"model":"x"},"model":"a"}', b'{"a":{"model":"x"},"model":"NEW"}'),
        (b'{"model":"a","tools":[{"model":"x"}]}', b'{"model":"NEW","tools":[{"model":"x"}]}'),
        (b'{"a":[{"b":["}}",{}]}],"model":"a"}', b'{"a":[{"b":["}}",{}]}],"model":"NEW"}'),
        (b'{"a":"model","model":"model"}', b'{"a":"model","model":"NEW"}'),
        (b'{"a":["model"],"model":"a"}', b'{"a":["model"],"model":"NEW"}'),
        # What looks like the key, inside strings.
        (b'{"a":"\\"model\\":1","model":"a"}', b'{"a":"\\"model\\":1","model":"NEW"}'),
        (b'{"\\"model":1,"model":"a"}', b'{"\\"model":1,"model":"NEW"}'),
        (b'{"a":"{\\\\","model":"a"}', b'{"a":"{\\\\","model":"NEW"}'),
        (b'{"a":"[\\\\\\"{","model":"a"}', b'{"a":"[\\\\\\"{","model":"NEW"}'),
        # Every spelling, and every one of several.
        (b'{"mod\\u0065l":"a"}', b'{"mod\\u0065l":"NEW"}'),
        (b'{"\\u006D\\u006f\\u0064\\u0065\\u006C":"a"}', b'{"\\u006D\\u006f\\u0064\\u0065\\u006C":"NEW"}'),
        (b'{"model":"a","n":1,"model":"b"}', b'{"model":"NEW","n":1,"model":"NEW"}'),
        (b'{"model":"a","m\\u006fdel":"b"}', b'{"model":"NEW","m\\u006fdel":"NEW"}'),
        # None yet.
        (b"{}", b'{"model":"NEW"}'),
        (b" { \n} ", b' {"model":"NEW" \n} '),
        (b'{"n":1}', b'{"model":"NEW","n":1}'),
        (b'{"Model":1,"models":2}', b'{"model":"NEW","Model":1,"models":2}'),
        (b'{"a":{"model":1}}', b'{"model":"NEW","a":{"model":1}}'),
    ],
)
def test_only_the_model_changes(body: bytes, spliced: bytes) -> None:
    orjson.loads(body)
    assert with_model(body, "NEW") == spliced


@pytest.mark.parametrize("model", ["org/model:1", 'quote " and \\', "naïve\n", ""])
def test_a_name_of_any_letters_is_written_as_json(model: str) -> None:
    assert orjson.loads(with_model(b'{"model":"a"}', model)) == {"model": model}


def test_a_body_of_images_is_searched_in_no_time() -> None:
    """The worst place is the end: all depths before it are counted."""
    image = b'{"type":"image_url","image_url":{"url":"data:image/png;base64,' + b"iVBORw0K" * 2_000_000 + b'"}}'
    body = b'{"messages":[{"role":"user","content":[' + image + b"," + image + b']}],"model":"a"}'
    began = time.process_time()
    assert with_model(body, "NEW").endswith(b']}],"model":"NEW"}')
    assert time.process_time() - began < 1  # 0.1 s; the barest loop over each character takes 1 s


KEYS = st.sampled_from(["model", '"model', 'model"', "\\", "a", '{"model":1', "", "é"]) | st.text(max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
)
SPACE = st.sampled_from([b"", b"", b" ", b"\n\t"])


@st.composite
def spelled(draw: st.DrawFn, text: str) -> bytes:
    """A string in one of its many spellings."""
    plain = json.dumps(text, ensure_ascii=draw(st.booleans())).encode()
    if draw(st.booleans()) and all("a" <= letter <= "z" for letter in text):
        return b'"' + b"".join(b"\\u%04x" % ord(c) if draw(st.booleans()) else c.encode() for c in text) + b'"'
    return plain


@st.composite
def written(draw: st.DrawFn, value: Any, hole: bytes) -> tuple[bytes, bytes]:
    """A value as JSON, twice: as it is, and with all values of its own key `model` replaced by `hole`."""
    if isinstance(value, str):
        text = draw(spelled(value))
        return text, text
    if isinstance(value, list):
        items = [draw(written(item, b""))[0] for item in value]
        text = b"[" + b",".join(items) + draw(SPACE) + b"]"
        return text, text
    if not isinstance(value, dict):
        text = orjson.dumps(value)
        return text, text
    pairs = list(value.items())
    if draw(SPACE):
        pairs += pairs[:1]
    plain, holed = [], []
    for key, item in pairs:
        name = draw(SPACE) + draw(spelled(key)) + draw(SPACE) + b":" + draw(SPACE)
        text, _ = draw(written(item, b""))
        after = draw(SPACE)
        plain.append(name + text + after)
        holed.append(name + (hole if key == "model" and hole else text) + after)
    first = draw(SPACE)
    return b"{" + first + b",".join(plain) + b"}", b"{" + first + b",".join(holed) + b"}"


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.text(max_size=8), st.data())
@example({"a": "\\", "model": "x"}, "m", None)
def test_a_parser_sees_the_new_model_and_all_else_as_it_was(
    document: dict[str, Any], model: str, data: st.DataObject | None
) -> None:
    name = orjson.dumps(model)
    body, expected = data.draw(written(document, name)) if data else (orjson.dumps(document), b"")
    spliced = with_model(body, model)
    assert orjson.loads(spliced) == {**orjson.loads(body), "model": model}
    if "model" in document:
        assert spliced == (expected or spliced)
    else:
        assert spliced.replace(b'"model":' + name, b"", 1).replace(b"{,", b"{", 1) == body
