"""The JSON Schema of the policy file as it is written, for editors.

Pydantic tells what a value is once read. In the file a `${NAME}` may stand for
any value that is no table, so each gets that as a further shape; defaults are
told as one writes them, and what protocols have instead in the descriptions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sidecar.settings.protocols import PRESETS
from sidecar.settings.root import Settings
from sidecar.settings.values import DURATION, SIZE, Frozen
from sidecar.settings.written import by_protocol, duration, size

if TYPE_CHECKING:
    from collections.abc import Iterator

_WHOLE = {"type": "string", "pattern": r"^\$\{[^}]+\}$", "description": "A variable: ${NAME} or ${NAME:-default}."}
_WITHIN = {"type": "string", "pattern": r"\$\{", "description": "Text with a variable: ${NAME} or ${NAME:-default}."}
_PRESET = {
    "RetrySettings": "retry",
    "TimeoutSettings": "timeout",
    "CircuitBreakerSettings": "circuit_breaker",
    "PoolSettings": "pool",
    "UpstreamSettings": "upstream",
}
"""Whose keys a protocol may have values of its own for, and where those stand in a preset."""
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum"}
"""Pydantic's words for JSON Schema's. It loses them where a validator turns text into the number."""


def json_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12."""
    schema = Settings.model_json_schema()
    models = {model.__name__: model for model in _models(Frozen)}
    tables = {name: _table(table, models[name]) for name, table in schema.pop("$defs").items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sidecar.toml",
        **_table(schema, Settings),
        "$defs": tables,
    }


def _models(kind: type[Frozen]) -> Iterator[type[Frozen]]:
    for model in kind.__subclasses__():
        yield model
        yield from _models(model)


def _table(schema: dict[str, Any], model: type[Frozen]) -> dict[str, Any]:
    properties = {
        key: _property(value, _by_protocol(model.__name__, key), _bounds(model.model_fields[key].metadata))
        for key, value in schema["properties"].items()
    }
    return {**_without(schema, "title"), "description": _prose(schema["description"]), "properties": properties}


def _bounds(metadata: list[Any]) -> dict[str, float]:
    """What a number of the key must be, whichever way it is written."""
    found = ((word, getattr(each, sign, None)) for each in metadata for sign, word in _BOUNDS.items())
    return {word: bound for word, bound in found if bound is not None}


def _by_protocol(table: str, key: str) -> dict[str, Any]:
    """What protocols have in place of the default."""
    found: dict[str, Any] = {}
    for protocol, preset in PRESETS.items():
        own = getattr(preset, _PRESET[table]) if table in _PRESET else {}
        if key in own:
            found[protocol] = own[key]
        elif key == "deadline" and preset.deadline != PRESETS["http"].deadline:
            found[protocol] = preset.deadline
        elif (table, key) == ("UpstreamSettings", "concurrency") and preset.concurrency:
            wait = cast("float", preset.concurrency["max_wait"])
            found[protocol] = {**preset.concurrency, "max_wait": duration(wait)}
    return found


def _property(schema: dict[str, Any], own: dict[str, Any], bounds: dict[str, float]) -> dict[str, Any]:
    """Without what pydantic makes up: a title from the name, the absent value null, defaults of whole tables."""
    told: dict[str, Any] = {key: schema[key] for key in ("description", "default") if key in schema}
    told["description"] = _prose(told["description"])
    if isinstance(told.get("default"), dict) or told.get("default", 0) is None:
        del told["default"]
    value = _bounded(_value(_without(schema, "title", "description", "default")), bounds)
    if "default" in told:
        told["default"] = _written(told["default"], value)
    if own:
        told["description"] += f" {by_protocol({name: _written(each, value) for name, each in own.items()})}."
    return {**told, **value}


def _bounded(value: dict[str, Any], bounds: dict[str, float]) -> dict[str, Any]:
    if "anyOf" in value:
        return {**value, "anyOf": [_bounded(shape, bounds) for shape in value["anyOf"]]}
    if value.get("type") not in {"integer", "number"}:
        return value
    weaker = ("minimum",) if "exclusiveMinimum" in bounds else ()
    return {**_without(value, *_BOUNDS, *weaker), **bounds}


def _prose(text: str) -> str:
    """A docstring is wrapped for those who read the source."""
    return " ".join(text.split())


def _written(default: Any, schema: dict[str, Any]) -> Any:
    """As one writes it in the file."""
    patterns = {shape.get("pattern") for shape in schema.get("anyOf", [])}
    if isinstance(default, str | dict):
        return default
    if DURATION in patterns:
        return duration(default)
    return size(default) if SIZE in patterns else default


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
