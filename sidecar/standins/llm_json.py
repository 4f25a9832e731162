"""A value that fits a JSON schema, the same for the same schema: what a model answers when it must answer JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sidecar.llm import Document

FORMATS = {
    "date": "2026-01-02",
    "date-time": "2026-01-02T03:04:05Z",
    "time": "03:04:05Z",
    "duration": "P1D",
    "email": "person@example.org",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "https://example.org/",
}
DEEPEST = 8
"""A schema that refers to itself is followed so far; below it optional members are left out."""


def fitting(schema: object, name: str = "value") -> Any:
    """Knows what both providers allow in structured output: types, enum, const, anyOf, allOf, `$ref` into the schema
    itself, limits of numbers, lengths. Text without a format is the `name` of its member.
    """
    root = schema if isinstance(schema, dict) else {}
    return Fitting(root).value(root, name, 0)


class Fitting:
    """One schema, whose `$ref`s are looked up in `root`."""

    def __init__(self, root: Document) -> None:
        self._root = root

    def value(self, schema: object, name: str, depth: int) -> Any:
        if not isinstance(schema, dict):
            return name
        if isinstance(reference := schema.get("$ref"), str) and depth < 4 * DEEPEST:
            return self.value(self._at(reference), name, depth + 1)
        if "const" in schema:
            return schema["const"]
        if isinstance(allowed := schema.get("enum"), list) and allowed:
            return allowed[0]
        for word in ("anyOf", "oneOf"):
            if isinstance(choices := schema.get(word), list) and choices:
                return self.value(self._choice(choices, depth), name, depth + 1)
        if isinstance(every := schema.get("allOf"), list):
            return self.value(self._merged(schema, every), name, depth + 1)
        return self._typed(schema, name, depth)

    def _at(self, reference: str) -> object:
        found: object = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")  # noqa: PLW2901  (RFC 6901, section 4)
            found = found.get(step) if isinstance(found, dict) else None
        return found

    def _choice(self, choices: list[object], depth: int) -> object:
        """The first, but the one that ends it when it goes deep."""
        nulls = [one for one in choices if isinstance(one, dict) and one.get("type") == "null"]
        return nulls[0] if nulls and depth >= DEEPEST else choices[0]

    def _merged(self, schema: Document, every: list[object]) -> Document:
        merged = {key: value for key, value in schema.items() if key != "allOf"}
        for one in every:
            while isinstance(one, dict) and isinstance(one.get("$ref"), str):
                one = self._at(one["$ref"])  # noqa: PLW2901  (a reference is what it leads to)
            if isinstance(one, dict):
                for key, value in one.items():
                    both = merged.get(key)
                    if isinstance(both, dict) and isinstance(value, dict):
                        merged[key] = {**both, **value}
                    elif isinstance(both, list) and isinstance(value, list):
                        merged[key] = [*both, *value]
                    else:
                        merged[key] = value
        return merged

    def _typed(self, schema: Document, name: str, depth: int) -> Any:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = "null" if "null" in kind and depth >= DEEPEST else next(iter(kind), None)
        if kind is None:
            kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                least = schema.get("minItems", 0 if depth >= DEEPEST else 1)
                return [self.value(schema.get("items"), name, depth + 1) for _ in range(least)]
            case "string":
                text = FORMATS.get(str(schema.get("format")), name)
                return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]
            case "integer" | "number":
                return number(schema)
            case "boolean":
                return True
            case _:
                return None

    def _object(self, schema: Document, depth: int) -> Document:
        members = schema.get("properties")
        if not isinstance(members, dict):
            return {}
        required = schema.get("required", [])
        wanted = [key for key in members if depth < DEEPEST or key in required]
        return {key: self.value(members[key], key, depth + 1) for key in wanted}


def number(schema: Document) -> Any:
    """The least that fits, or 1."""
    step = schema.get("multipleOf", 1)
    if "minimum" in schema:
        least = schema["minimum"]
    elif "exclusiveMinimum" in schema:
        least = schema["exclusiveMinimum"] + step
    elif "maximum" in schema:
        least = min(step, schema["maximum"])
    elif "exclusiveMaximum" in schema:
        least = min(step, schema["exclusiveMaximum"] - step)
    else:
        least = step
    return -(-least // step) * step if step != 1 else least
