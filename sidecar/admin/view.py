"""What the admin listener needs to know and may ask for, from the rest of the house.

The runtime and the daemon implement it; the tests bring a fake. State comes as
plain JSON values, so that the listener only decides who may see it and under
which path. Every method answers at once but those that are async.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from sidecar.access import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidecar.telemetry.events import Events, Listening

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use the admin listener.

    `loopback`: it is bound to an address that only this machine reaches. `hosts` and
    `origins` are `listen.hosts`, the hosts of the routes and `listen.origins`, lower
    case. `check_host` is off on unix sockets, where no browser can send.
    """

    token: str = field(default="", repr=False)
    loopback: bool = True
    check_host: bool = True
    hosts: frozenset[bytes] = frozenset()
    origins: frozenset[bytes] = frozenset()

    @classmethod
    def at(
        cls,
        address: str,
        token: str = "",
        hosts: frozenset[bytes] = frozenset(),
        origins: frozenset[bytes] = frozenset(),
    ) -> Access:
        """For a listener bound there."""
        loopback = is_loopback(address)
        return cls(token, loopback, loopback and not address.startswith("unix:"), hosts, origins)


class AdminView(Protocol):
    """The process as its admin listener sees it."""

    @property
    def version(self) -> str: ...

    @property
    def draining(self) -> bool:
        """Shutting down: callers should go elsewhere."""

    @property
    def configured(self) -> bool:
        """A first configuration is live."""

    @property
    def servable(self) -> bool:
        """Some target of some route can be tried (true as well when there are no routes)."""

    @property
    def events(self) -> Events: ...

    def access(self) -> Access:
        """Asked at each request, so that a reload or a re-read token file counts at once."""

    def checks(self) -> Mapping[str, str]:
        """What is looked at, by name: `ok`, or what is wrong."""

    def metrics(self, accept: str) -> tuple[str, bytes]:
        """Content type and text of the metrics."""

    def circuit_breakers(self) -> Mapping[str, Json]:
        """Each breaker's numbers, by name."""

    def open_breaker(self, name: str) -> Json:
        """Open it until it is reset; its numbers. `KeyError`: there is none of that name."""

    def reset_breaker(self, name: str) -> Json:
        """Close it, its window empty; its numbers. `KeyError`: there is none of that name."""

    async def routes(self) -> Json: ...

    def models(self) -> Json: ...

    def upstreams(self) -> Json: ...

    def rate_limits(self) -> Json: ...

    def listeners(self) -> Json: ...

    async def config(self) -> Json:
        """`generation`, `hash`, and the effective configuration with nothing secret in it."""

    async def wait_config(self, wanted: str, timeout: float) -> bool:  # noqa: ASYNC109 - the caller's own wish, in seconds
        """True as soon as the text of that hash is live, False when it is not within `timeout` seconds."""

    def timeline(self, request_id: str) -> Json | None:
        """The newest call of that id, if it is remembered."""

    def newest_calls(self, most: int) -> list[Json]:
        """At most so many of those that are remembered, in short, the newest one first."""

    def listen(self) -> Listening | None:
        """A place to hear the state, a pulse each second, and the events; None when too many listen already."""

    def explain(self, method: str, url: str, headers: Sequence[tuple[str, str]], model: str) -> Json:
        """What a call described so would meet now; nothing is sent. `InvalidRequest`: it is no request."""

    async def reload(self) -> Json:
        """Read the policy file again; what changed. `ConfigError`: the mistakes, and nothing has changed."""

    def set_log_level(self, level: str) -> None:
        """Until the next start. `ValueError`: no such level."""
