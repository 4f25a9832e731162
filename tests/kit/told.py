"""What the sidecar says of an answer in headers of its own, as a client's user finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Told:
    """For what has the `headers` of an answer, by their names in lower case."""

    __slots__ = ()

    headers: Mapping[str, str]

    def told(self, name: str) -> str:
        """In that header of the sidecar's own, empty if it is not there."""
        return self.headers.get(f"x-sidecar-{name}", "")

    @property
    def upstream(self) -> str:
        return self.told("upstream")

    @property
    def attempts(self) -> int:
        return int(self.told("attempts") or 0)
