"""Which keys a place takes."""

from __future__ import annotations

import pytest

from sidecar.settings.shape import keys_at, model_at


@pytest.mark.parametrize(
    ("place", "key"),
    [
        ((), "routes"),
        (("listen",), "http"),
        (("listen", "http_tls"), "client_ca"),
        (("routes", "any"), "chain"),
        (("routes", "any", "match"), "path"),
        (("routes", "any", "traffic", 3), "weight"),
        (("routes", "any", "rate_limit"), "per_minute"),
        (("upstreams", "any", "circuit_breaker"), "window"),
        (("models", "m", "chain", 0), "prefill"),
    ],
)
def test_a_table_takes_its_keys(place: tuple[str | int, ...], key: str) -> None:
    assert key in keys_at(place)


@pytest.mark.parametrize(
    "place", [("routes",), ("routes", "r", "match", "headers"), ("listen", "http"), ("nothing",), ("nothing", "below")]
)
def test_elsewhere_names_are_free_or_there_are_none(place: tuple[str | int, ...]) -> None:
    assert keys_at(place) == ()
    assert model_at(place) is None
