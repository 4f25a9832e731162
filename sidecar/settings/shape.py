"""Which keys a place in the policy file takes: the models, walked by names."""

from __future__ import annotations

from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from sidecar.settings.root import Settings
from sidecar.settings.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence


def keys_at(place: Sequence[str | int]) -> tuple[str, ...]:
    """The keys that the table at `place` takes; none where names are free or no table can stand."""
    model = model_at(place)
    return tuple(model.model_fields) if model is not None else ()


def model_at(place: Sequence[str | int]) -> type[BaseModel] | None:
    """What the table at `place` is read into; None where names are free or no table can stand."""
    kind: Any = Settings
    for part in place:
        kind = _below(kind, part)
    return kind if _is_model(kind) else None


def _below(kind: Any, part: str | int) -> Any:
    if _is_model(kind):
        field = kind.model_fields.get(part)
        return _bare(field.annotation) if field else None
    if get_origin(kind) in {Table, tuple}:
        return _bare(get_args(kind)[0])
    return None


def _bare(kind: Any) -> Any:
    """Without `Annotated` and `| None`."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in {Union, UnionType}:
        return _bare(get_args(kind)[0])
    return kind


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
