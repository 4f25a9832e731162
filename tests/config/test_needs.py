"""A file that asks for what an extra brings is refused where that is not installed, and told what to install."""

from __future__ import annotations

import pytest

from sidecar.config import needs
from sidecar.config.places import dotted


@pytest.mark.parametrize(
    ("document", "places"),
    [
        ({"routes": {"r": {"rate_limit": {"store": "redis"}}}}, ["routes.r.rate_limit.store"]),
        ({"routes": {"r": {"rate_limit": {"store": "local"}}}}, []),
        ({"redis": {"share_breakers": True}}, ["redis.share_breakers"]),
        ({"redis": {"share_breakers": "yes"}}, ["redis.share_breakers"]),
        ({"redis": {"share_breakers": "off", "url": "redis://127.0.0.1"}}, []),
        ({"telemetry": {"otlp": "http://127.0.0.1:4318"}}, ["telemetry.otlp"]),
        ({"telemetry": {"otlp": ""}}, []),
        ({"telemetry": 3, "routes": "x"}, []),
    ],
)
def test_what_is_missing(document: object, places: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(needs.missing(document)) == [], "both are installed here"
    monkeypatch.setattr(needs, "installed", lambda _package: False)
    found = list(needs.missing(document))
    assert [dotted(problem.place) for problem in found] == places
    assert all("pip install 'sidecar-proxy[" in problem.problem for problem in found)
