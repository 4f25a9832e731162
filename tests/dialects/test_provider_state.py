"""Which requests name what only one provider has."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given

from sidecar.dialects.provider_state import names_state
from tests.kit.messages import anything


def tied(document: Any) -> bool:
    return names_state(orjson.dumps(document), document)


def user(*content: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": list(content)}]}


@pytest.mark.parametrize(
    "document",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"conversation": {"id": "conv_1"}},
        {"container": "cntr_1"},
        user({"type": "file", "file": {"file_id": "file-1"}}),
        user({"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
        user({"type": "container_upload", "file_id": "file_1"}),
        {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-1"]}}]},
        {"input": [{"type": "reasoning", "encrypted_content": "gAAA"}]},
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
    ],
)
def test_such_do(document: dict[str, Any]) -> None:
    assert tied(document)


@pytest.mark.parametrize(
    "document",
    [
        user({"type": "text", "text": 'what is a "file_id" and a "container"?'}),
        {"previous_response_id": None, "conversation": None, "container": "", "vector_store_ids": []},
        {"tools": [{"function": {"name": "f", "parameters": {"properties": {"file_id": {"type": "string"}}}}}]},
        {"tools": [{"name": "f", "input_schema": {"properties": {"container": {"type": "string"}}}}]},
        {"response_format": {"json_schema": {"schema": {"properties": {"conversation": {"type": "string"}}}}}},
        user({"type": "tool_use", "id": "t", "name": "f", "input": {"file_id": "the caller's own"}}),
        user({"type": "text", "text": "file_id"}),
    ],
)
def test_words_of_the_callers_own_do_not(document: dict[str, Any]) -> None:
    assert not tied(document)


def test_how_deep_it_goes_is_the_callers_choice() -> None:
    raw = b'{"a":' + b"[" * 900 + b'{"file_id":"f"}' + b"]" * 900 + b"}"
    assert names_state(raw, orjson.loads(raw))


@given(anything)
def test_any_json_is_looked_through(value: object) -> None:
    assert tied({"file_id": "f", "x": value})
    assert tied({"file_id": "", "x": value}) is False
