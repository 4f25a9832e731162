"""What gRPC metadata can hold."""

from __future__ import annotations

import pytest

from sidecar.dialects.metadata import is_name, is_text


@pytest.mark.parametrize(
    ("name", "holds"), [(b"x-a_1.b", True), (b"trace-bin", True), (b"X-A", False), (b"a b", False), (b"", False)]
)
def test_names(name: bytes, *, holds: bool) -> None:
    assert bool(is_name(name)) is holds


@pytest.mark.parametrize(
    ("value", "holds"),
    [("", True), ("a b~", True), ("a\tb", False), ("a\r\nb", False), ("\x7f", False), ("später", False)],
)
def test_values(value: str, *, holds: bool) -> None:
    assert is_text(value) is holds
