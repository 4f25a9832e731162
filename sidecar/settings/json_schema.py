"""The JSON Schema of the policy file as it is written, for editors.

Pydantic tells what a value is once read. In the file a `${NAME}` may stand for
any value that is no table, so each gets that as a further shape.
"""

from __future__ import annotations

from typing import Any

from sidecar.settings.root import Settings

_WHOLE = {"type": "string", "pattern": r"^\$\{[^}]+\}$", "description": "A variable: ${NAME} or ${NAME:-default}."}
_WITHIN = {"type": "string", "pattern": r"\$\{", "description": "Text with a variable: ${NAME} or ${NAME:-default}."}


def json_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12."""
    schema = Settings.model_json_schema()
    tables = {name: _table(table) for name, table in schema.pop("$defs").items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sidecar.toml",
        **_table(schema),
        "$defs": tables,
    }


def _table(schema: dict[str, Any]) -> dict[str, Any]:
    properties = {name: _property(value) for name, value in schema["properties"].items()}
    return {**_without(schema, "title"), "properties": properties}


def _property(schema: dict[str, Any]) -> dict[str, Any]:
    """Without what pydantic makes up: a title from the name, the absent value null, defaults of whole tables."""
    told: dict[str, Any] = {key: schema[key] for key in ("description", "default") if key in schema}
    if isinstance(told.get("default"), dict) or told.get("default", 0) is None:
        del told["default"]
    return {**told, **_value(_without(schema, "title", "description", "default"))}


def _value(schema: dict[str, Any]) -> dict[str, Any]:
    """A value, and the variable that may stand for it."""
    shapes = _shapes(schema)
    if any(shape == {"type": "string"} for shape in shapes):
        return _one_of(shapes)
    if all("$ref" in shape or shape.get("type") == "object" for shape in shapes):
        return _one_of(shapes)
    text = any(shape.get("type") == "string" for shape in shapes)
    return _one_of([*shapes, _WITHIN if text else _WHOLE])


def _shapes(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The shapes of a value, one by one: nested choices laid flat, elements widened, null left out."""
    if "anyOf" in schema:
        return [shape for choice in schema["anyOf"] for shape in _shapes(choice)]
    if schema.get("type") == "null":
        return []
    if "items" in schema:
        schema = {**schema, "items": _value(schema["items"])}
    if isinstance(schema.get("additionalProperties"), dict):
        schema = {**schema, "additionalProperties": _value(schema["additionalProperties"])}
    return [schema]


def _one_of(shapes: list[dict[str, Any]]) -> dict[str, Any]:
    return shapes[0] if len(shapes) == 1 else {"anyOf": shapes}


def _without(schema: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in keys}
