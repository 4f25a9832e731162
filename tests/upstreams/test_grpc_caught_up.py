"""C-core tells that a call was sent away a moment before that its connection is gone."""

from __future__ import annotations

import pytest

from sidecar.upstreams.grpc import LOOKS, Channel
from sidecar.upstreams.grpc_status import SENT_AWAY


class Slow(Channel):
    """Connected for so many more looks."""

    def __init__(self, looks: int) -> None:
        self.left = looks

    @property
    def ready(self) -> bool:
        self.left -= 1
        return self.left >= 0


@pytest.mark.virtual_time
@pytest.mark.parametrize(("detail", "looks", "left"), [(SENT_AWAY, 3, -1), (SENT_AWAY, 99, 99 - LOOKS), ("Away", 3, 3)])
async def test_a_connection_that_sent_a_call_away_has_a_moment_to_go(detail: str, looks: int, left: int) -> None:
    channel = Slow(looks)
    await channel.caught_up(detail)
    assert channel.left == left
