"""`sidecar log-level LEVEL`."""

from __future__ import annotations

import logging

import pytest

from sidecar.cli.log_level import log_level
from sidecar.cli.trouble import Trouble
from tests.kit.asked import asked, governed


async def test_it_counts_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed() as sidecar:
        told = await asked(capsys, log_level, "WARNING", sidecar.admin, None)
        assert (told.code, told.out) == (0, "log level warning until the next start\n")
        assert logging.getLogger().level == logging.WARNING
        told = await asked(capsys, log_level, "debug", sidecar.admin, None, as_json=True)
        assert told.document == {"level": "debug"}


async def test_a_level_that_is_none_is_told_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed() as sidecar:
        with pytest.raises(Trouble, match="'loud' is no log level; there are debug, info, warning, error") as raised:
            await asked(capsys, log_level, "loud", sidecar.admin, None)
    assert raised.value.code == 2
