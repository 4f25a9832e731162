"""News of other sidecars' breakers in metrics, log and events."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tests.kit.server_sent import told
from tests.telemetry.test_observers import metric, telemetry  # noqa: F401  a fixture

if TYPE_CHECKING:
    import pytest

    from sidecar.telemetry.observers import Telemetry


def test_each_message_is_counted_by_what_became_of_it(telemetry: Telemetry) -> None:  # noqa: F811
    for kind in ("sent", "heard", "heard", "dropped", "malformed"):
        telemetry.news(kind)
    counts = [
        metric(telemetry, f'sidecar_store_news_total{{store="redis",kind="{kind}"}}')
        for kind in ("sent", "heard", "dropped", "malformed")
    ]
    assert counts == [1, 2, 1, 1]


async def test_what_counts_here_is_an_event_and_a_line(
    telemetry: Telemetry,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    listening = telemetry.events.listen()
    assert listening is not None
    telemetry.news_changed("orders", "open", "sidecar-9f")
    (event,) = told(await listening.frames())
    del event["timestamp"]
    assert event == {"event": "breaker_news", "service": "orders", "told": "open", "sender": "sidecar-9f"}
    assert caplog.messages == ["circuit breaker moved in another sidecar"]
