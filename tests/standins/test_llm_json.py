"""Values that fit a schema: held against the jsonschema package."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from sidecar.standins.llm_json import fitting

TREE: dict[str, Any] = {
    "$ref": "#/$defs/Node",
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "left": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
                "many": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
            },
            "required": ["name", "left", "many"],
            "additionalProperties": False,
        }
    },
}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a", "b"]},
        {"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 3},
        {"type": "string", "minLength": 20},
        {"type": "string", "maxLength": 2},
        {"type": "string", "format": "date-time"},
        {"type": "integer", "minimum": 7, "maximum": 9, "multipleOf": 4},
        {"type": "number", "exclusiveMinimum": 2},
        {"type": "integer", "maximum": -3},
        {"type": "number", "exclusiveMaximum": 0},
        {"type": ["string", "null"]},
        {"type": "null"},
        {"type": "boolean"},
        {"const": {"a": [1]}},
        {"oneOf": [{"type": "integer"}, {"type": "string"}]},
        {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}}, {"required": ["a"]}]},
        {"properties": {"a": True}, "required": ["a"]},
        {"items": {"type": "integer"}},
        {},
        TREE,
    ],
)
def test_it_fits(schema: dict[str, Any]) -> None:
    jsonschema.validate(fitting(schema), schema)


def test_it_is_the_same_each_time_and_text_has_the_name_of_its_member() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
    assert fitting(schema) == fitting(schema) == {"city": "city", "days": 1}
