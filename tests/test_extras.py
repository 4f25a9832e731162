"""What is installed only where it is used."""

from __future__ import annotations

from sidecar import extras


def test_what_is_there_and_what_is_not() -> None:
    assert extras.installed("json")
    assert not extras.installed("no_such_package")
    assert not extras.installed("no_such_package.part")


def test_a_module_is_loaded_by_name() -> None:
    assert extras.load("sidecar.extras") is extras
