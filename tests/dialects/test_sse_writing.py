"""Events as they are written."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.dialects.sse_writing import DONE, data_event, named_event
from sidecar.dialects.translated import BadEvent


def test_openais_events_have_no_name_and_anthropics_have_that_of_their_type() -> None:
    assert data_event({"id": "é"}) == 'data: {"id":"é"}\n\n'.encode()
    assert named_event({"type": "ping"}) == b'event: ping\ndata: {"type":"ping"}\n\n'
    assert DONE == b"data: [DONE]\n\n"


@pytest.mark.parametrize("kind", ["ping\ndata: {}", "a\rb", 7, None, [], "\ud83d"])
def test_a_type_that_is_no_name_breaks_no_frame(kind: Any) -> None:
    with pytest.raises(BadEvent, match="type"):
        named_event({"type": kind})


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(900):
        value = [value]
    return value


@pytest.mark.parametrize("value", ["\ud83d", 2**64, deep(), {1: 2}])
def test_what_is_no_json_cannot_be_written(value: Any) -> None:
    with pytest.raises(BadEvent, match="JSON"):
        data_event({"x": value})
