"""Texts of JSON as models write them."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.tool_arguments import parsed
from tests.kit.messages import anything


@given(st.dictionaries(st.text(max_size=5), anything))
def test_an_object_is_itself(value: dict[str, object]) -> None:
    written = orjson.dumps(value)
    assert parsed(written.decode()) == orjson.loads(written)


@pytest.mark.parametrize("nothing", ["", " \n", "{}", "null", " null "])
def test_no_arguments(nothing: str) -> None:
    assert parsed(nothing) == {}


@pytest.mark.parametrize(
    "text",
    ['{"a":', "read it", "{'a': 1}", '{"a": NaN}', '{"a": ' + "9" * 5000 + "}", '{"a": "\\ud83d"}', '{"a": 1} {}'],
)
def test_what_is_no_json(text: str) -> None:
    with pytest.raises(ValueError, match="are no JSON"):
        parsed(text)


@pytest.mark.parametrize("text", ["[]", '"a"', "7", "true"])
def test_what_is_no_object(text: str) -> None:
    with pytest.raises(ValueError, match="are no object"):
        parsed(text)


def test_a_surrogate_pair_is_one_letter() -> None:
    assert parsed('{"a":"\\ud83d\\ude00"}') == {"a": "😀"}


def test_numbers_are_not_rounded() -> None:
    assert parsed('{"a": 18446744073709551615, "b": -9223372036854775808}') == {"a": 2**64 - 1, "b": -(2**63)}
    for digits in ("18446744073709551616", "-9223372036854775809", "9" * 300):
        with pytest.raises(ValueError, match="more than 64 bits"):
            parsed(f'{{"a": {digits}}}')
    assert parsed('{"a": "18446744073709551616", "b": 1.1234567890123456789}')["a"] == "18446744073709551616"


def test_what_could_not_be_written_again_is_too_deep() -> None:
    with pytest.raises(ValueError, match="nested too deep"):
        parsed('{"a":' * 300 + "1" + "}" * 300)
    assert parsed('{"a":' * 240 + "1" + "}" * 240)
    assert parsed('{"a":[' + "[]," * 300 + "[]]}")


@given(st.text() | st.text('{}[]":,0123456789eE+-. nultrufase\\'))
def test_every_text_is_an_object_or_a_value_error(text: str) -> None:
    try:
        found = parsed(text)
    except ValueError:
        return
    orjson.dumps(found)
