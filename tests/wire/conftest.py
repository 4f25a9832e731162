"""What the tests on real sockets share.

`clients` are the providers' own clients on Node: `await clients.ask(s, "chat.completions.create", chat(GPT_ONLY))`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.node_clients import NodeClients

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kit.node import Node


@pytest.fixture(scope="session")
def clients(node: Node) -> Iterator[NodeClients]:
    """One process for all tests of a worker: its start costs 0.3 s."""
    with NodeClients(node) as started:
        yield started
