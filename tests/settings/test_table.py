"""A table is a mapping that hashes."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from sidecar.settings import Table


def test_it_is_a_mapping() -> None:
    table = Table({"a": 1, "b": 2})
    assert dict(table) == {"a": 1, "b": 2}
    assert (table["a"], len(table), "c" in table, table.get("c")) == (1, 2, False, None)
    assert repr(table) == "Table({'a': 1, 'b': 2})"


def test_equal_tables_hash_alike_in_any_order() -> None:
    one, other = Table({"a": 1, "b": 2}), Table([("b", 2), ("a", 1)])
    assert one == other
    assert hash(one) == hash(other)
    assert one != Table({"a": 1})


def test_pydantic_reads_it_from_a_dict_or_a_table_and_writes_a_dict() -> None:
    adapter = TypeAdapter(Table[int])
    assert adapter.validate_python({"a": 1}) == Table({"a": 1})
    assert adapter.validate_python(Table({"a": 1})) == Table({"a": 1})
    assert adapter.dump_python(Table({"a": 1})) == {"a": 1}
    assert adapter.json_schema() == {"type": "object", "additionalProperties": {"type": "integer"}}


def test_it_checks_names_and_values() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Table[int]).validate_python({"a": "x"})
    with pytest.raises(ValidationError):
        TypeAdapter(Table[int]).validate_python({1: 1})
