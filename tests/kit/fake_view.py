"""An `AdminView` over plain values: a small process that never was."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidecar.admin.view import Access
from sidecar.errors import ConfigError, InvalidRequest
from sidecar.telemetry.events import Events, frame
from sidecar.telemetry.lines import Timestamp
from sidecar.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidecar.admin.view import Json
    from sidecar.errors import Mistake
    from sidecar.telemetry.events import Listening

LEVELS = ("debug", "info", "warning", "error")


@dataclass
class FakeView:
    """Set what it is asked for; look at what it was told."""

    version: str = "1.2.3"
    draining: bool = False
    configured: bool = True
    servable: bool = True
    events: Events = field(default_factory=lambda: Events(Timestamp()))
    may: Access = field(default_factory=Access)
    found: dict[str, str] = field(default_factory=lambda: {"config": "ok"})
    breakers: dict[str, Json] = field(
        default_factory=lambda: {
            name: {"state": "closed", "failure_count": 0, "recent_failures": 0, "total_calls": 7}
            for name in ("store", "openai/gpt-4o", "odd%2Fname")
        }
    )
    calls: dict[str, Json] = field(default_factory=dict)
    live: str = "aaaa"
    mistakes: tuple[Mistake, ...] = ()
    level: str = "info"
    bug: Exception | None = None
    went_live: asyncio.Event = field(default_factory=asyncio.Event)

    def access(self) -> Access:
        return self.may

    def checks(self) -> dict[str, str]:
        return self.found

    def metrics(self, accept: str) -> tuple[str, bytes]:
        return Metrics(version=self.version).exposition(accept)

    def circuit_breakers(self) -> dict[str, Json]:
        return self.breakers

    def open_breaker(self, name: str) -> Json:
        self.breakers[name]["state"] = "open"
        return self.breakers[name]

    def reset_breaker(self, name: str) -> Json:
        self.breakers[name]["state"] = "closed"
        return self.breakers[name]

    async def routes(self) -> Json:
        if self.bug:
            raise self.bug
        return {"things": {"chain": ["store"]}}

    def models(self) -> Json:
        return {"smart": {"chain": [{"target": "store/big", "ready": True}]}}

    def upstreams(self) -> Json:
        return {"store": {"urls": ["http://127.0.0.1:1"]}}

    def rate_limits(self) -> Json:
        return {"things": {"per_minute": 50}}

    def listeners(self) -> Json:
        return {"admin": {"address": "127.0.0.1:7072"}}

    async def config(self) -> Json:
        return {"generation": 2, "hash": self.live, "config": {"upstreams": {"store": {"api_key": "***"}}}}

    async def wait_config(self, wanted: str, timeout: float) -> bool:  # noqa: ASYNC109 - the interface
        try:
            async with asyncio.timeout(timeout):
                while self.live != wanted:
                    await self.went_live.wait()
                    self.went_live.clear()
        except TimeoutError:
            return False
        return True

    def timeline(self, request_id: str) -> Json | None:
        return self.calls.get(request_id)

    def newest_calls(self, most: int) -> list[Json]:
        return list(self.calls.values())[-most:][::-1] if most else []

    def listen(self) -> Listening | None:
        listening = self.events.listen()
        if listening is not None:
            listening.keep(frame("state", {"version": self.version, "draining": self.draining}))
        return listening

    def explain(self, method: str, url: str, headers: Sequence[tuple[str, str]], model: str) -> Json:
        if not url.startswith("/"):
            raise InvalidRequest(f"{url!r} is no path")
        return {"request": {"method": method, "target": url, "headers": [*headers], "model": model}, "route": None}

    async def reload(self) -> Json:
        if self.mistakes:
            raise ConfigError(self.mistakes)
        return {"generation": 3, "changed": ["routes.things"]}

    def set_log_level(self, level: str) -> None:
        if level not in LEVELS:
            raise ValueError(f"{level!r} is no log level; there are {', '.join(LEVELS)}")
        self.level = level
