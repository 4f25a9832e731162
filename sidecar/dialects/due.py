"""Fields that a stream's event must have. Each raises `BadEvent` where the field is absent or something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.dialects.translated import BadEvent

if TYPE_CHECKING:
    from sidecar.llm import Document


def due_object(document: Document, name: str) -> Document:
    value = document.get(name)
    if not isinstance(value, dict):
        raise BadEvent(f"{name}: an object is due")
    return value


def due_text(document: Document, name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        raise BadEvent(f"{name}: a text is due")
    return value


def due_number(document: Document, name: str) -> int:
    value = document.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadEvent(f"{name}: a whole number is due")
    return value
