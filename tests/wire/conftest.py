"""What the tests on real sockets share.

`clients` are the providers' own clients on Node: `await clients.ask(s, "chat.completions.create", chat(GPT_ONLY))`.

`browser` is a Chromium; who uses it has `pytestmark = pytest.mark.asyncio(loop_scope="session")`, since it lives on
one loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.kit.browser import chromium
from tests.kit.node_clients import NodeClients

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from playwright.async_api import Browser

    from tests.kit.node import Node


@pytest.fixture
def spans_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """By themselves they gather for five seconds."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")


@pytest.fixture(scope="session")
def clients(node: Node) -> Iterator[NodeClients]:
    """One process for all tests of a worker: its start costs 0.3 s."""
    with NodeClients(node) as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One for all tests of a worker: its start costs a second."""
    async with chromium() as started:
        yield started
