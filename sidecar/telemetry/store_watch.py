"""What hears a store that limits are counted in, and says it in metrics, log and events."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidecar.telemetry.observers import Telemetry

log = logging.getLogger("sidecar")


class StoreWatch:
    """Hears one store: each decision in the metrics, and only when it comes or goes a line."""

    __slots__ = ("_local", "_rejected", "_seconds", "_shared", "_store", "_telemetry")

    def __init__(self, telemetry: Telemetry, store: str) -> None:
        metrics = telemetry.metrics
        self._store = store
        self._telemetry = telemetry
        self._seconds = metrics.store_seconds.child(store)
        self._shared, self._local, self._rejected = (
            metrics.store_decisions.child(store, result) for result in ("shared", "local", "rejected")
        )

    def shared(self, seconds: float) -> None:
        """A decision was made there, and took so long."""
        self._shared.value += 1
        self._seconds.observe(seconds)

    def alone(self) -> None:
        """One was made here."""
        self._local.value += 1

    def rejected(self) -> None:
        """One was not made, and the call refused."""
        self._rejected.value += 1

    def moved(self, trouble: str) -> None:
        """It is in trouble from now on, or in none (empty)."""
        self._telemetry.events.tell("store", store=self._store, up=not trouble, why=trouble)
        fields = {"store": self._store}
        if trouble:
            log.warning("limits are not shared", extra={"fields": {**fields, "why": trouble}})
        else:
            log.info("limits are shared again", extra={"fields": fields})
