"""A stage for each test, on which everything must have been given back when the test is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.providers import LlmStage
from tests.kit.stage import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    yield made
    made.everything_is_given_back()


@pytest.fixture
async def llm_stage() -> AsyncIterator[LlmStage]:
    made = LlmStage()
    yield made
    made.everything_is_given_back()
