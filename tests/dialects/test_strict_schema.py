"""Which schemas OpenAI takes as strict."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.strict_schema import fits_strict


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "schema",
    [
        closed(),
        closed(a={"type": "string"}, properties={"type": "integer"}),
        closed(a={"type": "array", "items": closed(b={"type": "number"})}),
        closed(a={"anyOf": [closed(), {"type": "null"}]}),
        {**closed(a={"$ref": "#/$defs/A"}), "$defs": {"A": closed()}},
    ],
)
def test_a_closed_schema_fits(schema: dict[str, Any]) -> None:
    assert fits_strict(schema)


OPEN: dict[str, Any] = {"type": "object", "properties": {}}
OPTIONAL = {**closed(a={}), "required": []}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        OPEN,
        OPTIONAL,
        {"type": "array", "items": closed()},
        {"anyOf": [closed()], **closed()},
        {**closed(), "properties": None, "additionalProperties": None},
        {**closed(), "required": "a"},
        closed(a=OPEN),
        closed(a=True),
        closed(a={"allOf": [closed()]}),
        closed(a={"items": OPTIONAL}),
        closed(a={"anyOf": [OPEN]}),
        closed(a={"anyOf": {}}),
        {**closed(), "$defs": {"A": OPEN}},
        {**closed(), "definitions": []},
    ],
)
def test_any_other_does_not(schema: dict[str, Any]) -> None:
    assert not fits_strict(schema)


values = st.recursive(
    st.none() | st.booleans() | st.just("object"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "required", "additionalProperties", "items", "anyOf", "$defs"]),
            inner,
        )
    ),
)


@given(st.dictionaries(st.sampled_from(["type", "properties", "required", "anyOf", "$defs"]), values))
def test_no_json_is_too_odd_to_be_judged(schema: dict[str, Any]) -> None:
    assert fits_strict(schema) in (True, False)
