"""Blocks: what the gateway takes for a manifest, and for a JSON Schema."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.standins.c_gateway_registry import MOST, Registry, is_schema

GOOD: dict[str, Any] = {"type": "http", "version": "1.0", "schema": {"input": {}, "output": {"type": "object"}}}


def registry() -> Registry:
    return Registry(lambda: 7.9)


def write(subject: Registry, **changes: object) -> tuple[int, dict[str, Any]]:
    """Status and body of a POST to http/1.0."""
    answer = subject.write(b"http", b"1.0", json.dumps(GOOD | changes).encode())
    return answer.status, json.loads(answer.pieces[1])


def test_the_second_writing_is_an_update() -> None:
    subject = registry()
    assert write(subject) == (201, {"type": "http", "version": "1.0", "status": "created", "ts": 7})
    assert write(subject, metadata={"a": 1}, capabilities=["x"])[0] == 200


@pytest.mark.parametrize(
    ("changes", "status", "code", "message"),
    [
        ({"type": "ftp"}, 409, "conflict", "type/version mismatch with path"),
        ({"version": 1.0}, 409, "conflict", "type/version mismatch with path"),
        ({"capabilities": "x"}, 400, "invalid_request", "capabilities must be array"),
        ({"capabilities": ["x", 1]}, 400, "invalid_request", "capabilities items must be strings"),
        ({"metadata": []}, 400, "invalid_request", "metadata must be object"),
        ({"schema": {"input": {}}}, 400, "invalid_schema", "schema validation failed"),
        ({"schema": "x"}, 400, "invalid_schema", "schema validation failed"),
    ],
)
def test_a_bad_manifest_is_refused(changes: dict[str, Any], status: int, code: str, message: str) -> None:
    got, told = write(registry(), **changes)
    assert (got, told["error"]["code"], told["error"]["message"]) == (status, code, message)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    assert b'"message":"invalid JSON"' in registry().write(b"a", b"1", body).pieces[1]


def test_the_65th_block_finds_no_room() -> None:
    subject = registry()
    for number in range(MOST):
        subject.blocks[b"filler", b"%d" % number] = {}
    assert write(subject)[1]["error"]["message"] == "registry capacity reached"
    subject.delete(b"filler", b"0")
    assert write(subject)[0] == 201


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": ["string", "null"], "enum": [1], "format": "date", "$ref": "#/x", "unknown": 1},
        {"$schema": "http://json-schema.org/draft-07/schema#", "minimum": 1.5, "maximum": 2, "minLength": 1},
        {"properties": {"a": {"items": {"type": "integer"}}}, "required": ["a"], "additionalProperties": False},
        {"oneOf": [{"type": "null"}], "anyOf": [{}], "allOf": [{}], "additionalProperties": {}, "$defs": {}},
    ],
)
def test_a_schema_that_it_takes(schema: object) -> None:
    assert is_schema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        None,
        [],
        {"type": "text"},
        {"type": []},
        {"$schema": "draft-04"},
        {"required": [1]},
        {"required": "a"},
        {"enum": {}},
        {"minimum": True},
        {"maxLength": 1.5},
        {"format": 1},
        {"definitions": []},
        {"items": [{}]},
        {"items": {"type": 1}},
        {"properties": {"a": 1}},
        {"properties": []},
        {"oneOf": []},
        {"anyOf": [1]},
        {"additionalProperties": 1},
    ],
)
def test_a_schema_that_it_refuses(schema: object) -> None:
    assert not is_schema(schema)


def test_a_schema_is_64_levels_deep_at_most() -> None:
    def nested(levels: int) -> dict[str, Any]:
        return {"items": nested(levels - 1)} if levels else {}

    assert is_schema(nested(64))
    assert not is_schema(nested(65))
