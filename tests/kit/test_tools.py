"""A tool that is missing skips a newcomer's test, and fails CI's."""

from __future__ import annotations

import pytest

from tests.kit.tools import tool


def test_the_first_that_is_there() -> None:
    assert tool("no-such-program", "sh").name == "sh"


def test_one_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"no-such-program is not installed .*package none"):
        tool("no-such-program", package="none")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is not installed"):
        tool("no-such-program")
