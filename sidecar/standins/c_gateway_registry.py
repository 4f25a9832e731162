"""c-gateway's registry of blocks: manifests by type and version, and what it takes for a JSON Schema."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidecar.standins import c_gateway_wire as wire
from sidecar.standins.c_gateway_json import loads

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 64
"""Blocks that it holds."""
DEEPEST = 64
"""Levels of a schema."""
TYPE_KEPT = 127
TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})


@dataclass(slots=True)
class Registry:
    """The blocks known. `clock` gives seconds since 1970."""

    clock: Callable[[], float]
    blocks: dict[tuple[bytes, bytes], object] = field(default_factory=dict)

    def write(self, kind: bytes, version: bytes, body: bytes) -> wire.Answer:
        """POST and PUT are the same: 201 when it is new. Its errors tell no ids."""
        manifest = loads(body)
        if not isinstance(manifest, dict):
            return refused(400, b"invalid_request", b"invalid JSON")
        if not (is_named(manifest.get("type"), kind) and is_named(manifest.get("version"), version)):
            return refused(409, b"conflict", b"type/version mismatch with path")
        capabilities = manifest.get("capabilities", [])
        if not isinstance(capabilities, list):
            return refused(400, b"invalid_request", b"capabilities must be array")
        if not all(isinstance(item, str) for item in capabilities):
            return refused(400, b"invalid_request", b"capabilities items must be strings")
        if not isinstance(manifest.get("metadata", {}), dict):
            return refused(400, b"invalid_request", b"metadata must be object")
        schema = manifest.get("schema")
        both = (schema.get("input"), schema.get("output")) if isinstance(schema, dict) else (None, None)
        if not all(is_schema(one) for one in both):
            return refused(400, b"invalid_schema", b"schema validation failed")
        new = (kind, version) not in self.blocks
        if new and len(self.blocks) >= MOST:
            return refused(500, b"internal", b"registry capacity reached")
        self.blocks[kind, version] = manifest
        told = b'{"type":"%b","version":"%b","status":"%b","ts":%d}'
        word = b"created" if new else b"updated"
        return wire.answer(201 if new else 200, told % (kind, version, word, int(self.clock())))

    def delete(self, kind: bytes, version: bytes) -> wire.Answer:
        """Forget one."""
        if self.blocks.pop((kind, version), None) is None:
            return refused(404, b"not_found", b"block not found")
        told = b'{"status":"unregistered","type":"%b","version":"%b","ts":%d}'
        return wire.answer(200, told % (kind, version, int(self.clock())))


def refused(status: int, code: bytes, message: bytes) -> wire.Answer:
    """The registry knows of no tenant."""
    return wire.refusal(status, code, message, wire.NO_CONTEXT)


def is_named(value: object, name: bytes) -> bool:
    """Whether a manifest says the same as the path."""
    return isinstance(value, str) and value.encode() == name


def is_schema(node: object, depth: int = 0) -> bool:
    """Whether the gateway takes it: a part of draft 7, and keys that it does not know are well."""
    if not isinstance(node, dict) or depth > DEEPEST:
        return False
    plain = all(check(node[key]) for key, check in PLAIN.items() if key in node)
    return plain and all(is_schema_part(key, node[key], depth + 1) for key in NESTED if key in node)


def is_schema_part(key: str, value: object, depth: int) -> bool:
    """The keys that hold schemas themselves."""
    if key == "additionalProperties" and isinstance(value, bool):
        return True
    if key == "properties":
        return isinstance(value, dict) and all(is_schema(one, depth) for one in value.values())
    if key in {"oneOf", "anyOf", "allOf"}:
        return isinstance(value, list) and bool(value) and all(is_schema(one, depth) for one in value)
    return is_schema(value, depth)


def is_type(value: object) -> bool:
    """One type's name, or several."""
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name in TYPES for name in names)


def is_number(value: object) -> bool:
    """A JSON number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_integer(value: object) -> bool:
    """A JSON number without a fraction."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_draft_7(value: object) -> bool:
    """What `$schema` may say."""
    return isinstance(value, str) and "draft-07" in value


def is_text(value: object) -> bool:
    """A string."""
    return isinstance(value, str)


def is_object(value: object) -> bool:
    """An object, whatever is in it."""
    return isinstance(value, dict)


def is_list(value: object) -> bool:
    """A list, whatever is in it."""
    return isinstance(value, list)


def is_text_list(value: object) -> bool:
    """A list of strings."""
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


PLAIN: dict[str, Callable[[object], bool]] = {
    "$schema": is_draft_7,
    "type": is_type,
    "required": is_text_list,
    "enum": is_list,
    "minimum": is_number,
    "maximum": is_number,
    "minLength": is_integer,
    "maxLength": is_integer,
    "format": is_text,
    "$ref": is_text,
    "definitions": is_object,
    "$defs": is_object,
}
NESTED = ("properties", "items", "additionalProperties", "oneOf", "anyOf", "allOf")
