"""What is said of a store that limits are counted in."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sidecar.telemetry.store_watch import StoreWatch
from tests.kit.server_sent import told
from tests.telemetry.test_observers import metric, telemetry  # noqa: F401  a fixture

if TYPE_CHECKING:
    import pytest

    from sidecar.telemetry.observers import Telemetry


def test_decisions_are_counted_by_where_they_were_made(telemetry: Telemetry) -> None:  # noqa: F811
    watch = StoreWatch(telemetry, "redis")
    watch.shared(0.002)
    watch.shared(0.002)
    watch.alone()
    watch.rejected()
    counts = [
        metric(telemetry, f'sidecar_store_decisions_total{{store="redis",result="{result}"}}')
        for result in ("shared", "local", "rejected")
    ]
    assert counts == [2, 1, 1]
    assert metric(telemetry, 'sidecar_store_seconds_bucket{store="redis",le="0.001"}') == 0
    assert metric(telemetry, 'sidecar_store_seconds_bucket{store="redis",le="0.005"}') == 2


async def test_that_it_goes_and_comes_is_a_line_and_an_event(
    telemetry: Telemetry,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    listening = telemetry.events.listen()
    assert listening is not None
    watch = StoreWatch(telemetry, "redis")
    watch.moved("unreachable: Connection refused; counting locally")
    watch.moved("")
    first, second = told(await listening.frames())
    assert (first["event"], first["store"], first["up"]) == ("store", "redis", False)
    assert first["why"] == "unreachable: Connection refused; counting locally"
    assert (second["up"], second["why"]) == (True, "")
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "limits are not shared"),
        ("INFO", "limits are shared again"),
    ]
