"""A mapping that never changes, and that is equal and hashed by value.

Frozen settings are the identity of parts (rule 10), so their maps must hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic_core import core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

V = TypeVar("V")


class Table(Mapping[str, V]):
    """A TOML table whose keys are names that the user chose. Order is kept, but says nothing about equality."""

    __slots__ = ("_hash", "_items")

    def __init__(self, items: Mapping[str, V] | Iterable[tuple[str, V]] = ()) -> None:
        self._items = dict(items)
        self._hash = hash(frozenset(self._items.items()))

    def __getitem__(self, key: str) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Table({self._items!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        (value,) = get_args(source)
        items = core_schema.dict_schema(core_schema.str_schema(strict=True), handler.generate_schema(value))
        return core_schema.no_info_before_validator_function(
            _as_dict,
            core_schema.no_info_after_validator_function(cls, items),
            serialization=core_schema.plain_serializer_function_ser_schema(dict),
        )


def _as_dict(value: object) -> object:
    return dict(value) if isinstance(value, Table) else value
