"""`[listen]` and `[limits]`."""

from __future__ import annotations

from sidecar.settings import LimitsSettings, ListenSettings, RouteLimitsSettings


def test_callers_and_people_are_heard_on_loopback_and_nobody_else() -> None:
    listen = ListenSettings()
    assert (listen.http, listen.admin, listen.grpc, listen.probe) == (
        "127.0.0.1:7070",
        "127.0.0.1:7072",
        "127.0.0.1:7071",
        "",
    )


def test_limits() -> None:
    limits = LimitsSettings()
    assert (limits.max_connections, limits.max_inflight, limits.max_headers) == (4096, 0, 128)
    assert (limits.max_header_bytes, limits.max_body_bytes, limits.max_held_bytes) == (32768, 0, 64 * 1024**2)
    assert limits.replay_total == 256 * 1024**2
    assert (limits.header_timeout, limits.body_timeout, limits.keepalive) == (10, 60, 75)
    assert (limits.drain, limits.linger) == (25, 2)


def test_a_route_has_only_limits_that_are_asked_once_the_route_is_known() -> None:
    only_of_the_file = LimitsSettings.model_fields.keys() - RouteLimitsSettings.model_fields.keys()
    assert {key for key in only_of_the_file if key.startswith("max_")} == {"max_connections"}
