"""Where a call goes: services, targets, routes, and the table that finds a route.

A `Service` is an upstream with what guards it, shared by all routes that lead
there. A `Target` is a service as one route uses it. A `Route` is a compiled
match with its chain. All of it is built once per configuration; a call only
follows pointers, so its cost does not depend on how many routes there are:
one dict look-up for an exact path, one per path segment for a prefix.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidecar.errors import MethodNotAllowed, NoRoute, RateLimited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sidecar.call import Call, Upstream
    from sidecar.engine.observer import RouteObserver, TargetObserver
    from sidecar.policy.breaker import Breaker
    from sidecar.policy.budget import RetryBudget
    from sidecar.policy.classify import Rules
    from sidecar.policy.concurrency import Concurrency
    from sidecar.policy.limiter import RateLimit
    from sidecar.policy.outlier import Addresses
    from sidecar.policy.rest import Rest
    from sidecar.settings import RetrySettings


LONGEST_KEY = 64
"""Bytes of a header's value that is a rate limit's key as it stands."""


@dataclass(slots=True, eq=False)
class Limit:
    """A rate limit with the function that tells whose bucket a call draws on."""

    bucket: RateLimit
    key_of: Callable[[Call], str]
    max_wait: float

    def refusal(self, name: str, wait: float) -> RateLimited:
        """The answer when there is no place within `max_wait`."""
        settings = self.bucket.settings
        message = f"rate limit of {name} exceeded"
        detail: dict[str, object] = {
            "error": message,
            "limit_per_minute": settings.per_minute or None,
            "limit_per_hour": settings.per_hour or None,
            "retry_after": math.ceil(wait),
        }
        return RateLimited(message, retry_after=wait, detail=detail)


@dataclass(slots=True, eq=False)
class Service:
    """An upstream with what guards it, shared by all routes that lead to it."""

    name: str
    upstream: Upstream
    breaker: Breaker | None = None
    limit: Limit | None = None
    concurrency: Concurrency | None = None
    addresses: Addresses | None = None
    answered_at: float = float("-inf")
    """When it last gave anyone evidence of an answer."""


@dataclass(slots=True, eq=False)
class Target:
    """A service as one route uses it.

    `attempt_timeout` is seconds, 0 for none. `static` targets answer whatever came
    before them.
    """

    name: str
    service: Service
    rest: Rest
    budget: RetryBudget
    retry: RetrySettings
    rules: Rules
    observer: TargetObserver
    attempt_timeout: float = 0.0
    static: bool = False
    carries: Callable[[Call], bool] | None = None
    """Can it carry such a call at all? None: any that comes by this route."""

    def would_admit(self, now: float) -> bool:
        """It neither rests nor is open: another attempt could go here."""
        if self.rest.left(now) > 0:
            return False
        breaker = self.service.breaker
        return breaker is None or breaker.would_admit()


@dataclass(slots=True, eq=False)
class Route:
    """A compiled match, its chain, and what the route itself limits."""

    name: str
    targets: tuple[Target, ...]
    observer: RouteObserver
    deadline: float
    idempotent: bool = False
    weights: tuple[float, ...] | None = None
    limit: Limit | None = None
    concurrency: Concurrency | None = None
    idempotent_paths: frozenset[bytes] = frozenset()
    """gRPC methods that a target's protocol knows to be safe to send twice."""
    replay_buffer: int = 1 << 20
    max_body_bytes: int = 0
    max_headers: int = 0
    max_header_bytes: int = 0
    host: bytes = b""
    path: bytes = b"/*"
    methods: frozenset[bytes] = frozenset()
    headers: tuple[tuple[bytes, bytes], ...] = ()
    strip: bytes = b""
    rewrite: bytes = b""

    def order(self, rng: Callable[[], float]) -> Sequence[Target]:
        """The chain for one call: the first by weight, then the rest in the file's order."""
        if self.weights is None:
            return self.targets
        left = rng() * sum(self.weights)
        for target, weight in zip(self.targets, self.weights, strict=True):
            left -= weight
            if left < 0:
                return (target, *(other for other in self.targets if other is not target))
        return self.targets

    def accepts(self, call: Call) -> bool:
        """Do the conditions beside host and path hold?"""
        if self.methods and call.method not in self.methods:
            return False
        return not self.headers or self.headers_hold(call)

    def headers_hold(self, call: Call) -> bool:
        for name, value in self.headers:
            sent = call.fields.get(name)
            if sent is None or (value not in (b"*", sent)):
                return False
        return True

    def outgoing(self, target: bytes) -> bytes:
        """The request target as the upstream is to see it; the query is never touched."""
        if (not self.strip and not self.rewrite) or target == b"*":
            return target
        path, mark, query = target.partition(b"?")
        if self.strip and _under(path, self.strip):
            path = path[len(self.strip) :]
        if self.rewrite:
            if self.strip:
                path = self.rewrite + path
            elif self.path.endswith(b"/*"):
                path = self.rewrite + path[len(self.path) - 2 :]
            else:
                path = self.rewrite
        if not path.startswith(b"/"):
            path = b"/" + path
        return path + mark + query


def _under(path: bytes, prefix: bytes) -> bool:
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in (b"", b"/")


@dataclass(slots=True, eq=False)
class _Paths:
    """The routes of one host: exact paths, and prefixes without their `/*`."""

    exact: dict[bytes, tuple[Route, ...]] = field(default_factory=dict)
    prefix: dict[bytes, tuple[Route, ...]] = field(default_factory=dict)
    longest: int = 0
    """Bytes of the longest prefix: a path of 10,000 segments is not looked at segment by segment (40 ms)."""

    def add(self, route: Route) -> None:
        is_prefix = route.path.endswith(b"/*")
        index, key = (self.prefix, route.path[:-2]) if is_prefix else (self.exact, route.path)
        routes = (*index.get(key, ()), route)
        index[key] = tuple(sorted(routes, key=lambda one: -(bool(one.methods) + len(one.headers))))
        if is_prefix:
            self.longest = max(self.longest, len(key))

    def find(self, call: Call) -> Route | None:
        path = call.path
        for route in self.exact.get(path, ()):
            if route.accepts(call):
                return route
        prefix = self.prefix
        if len(path) > self.longest:
            path = self._beginning(path)
        while True:
            if path in prefix:
                for route in prefix[path]:
                    if route.accepts(call):
                        return route
            if not path:
                return None
            cut = path.rfind(b"/")
            path = path[:cut] if cut > 0 else b""  # asterisk-form has no slash: only `/*` is left

    def _beginning(self, path: bytes) -> bytes:
        """Of a path that is longer than all prefixes, the segments that one could match."""
        return path[: max(path.rfind(b"/", 0, self.longest + 1), 0)]

    def methods_at(self, call: Call) -> set[bytes]:
        """The methods of all routes that the call misses by its method alone."""
        candidates = list(self.exact.get(call.path, ()))
        path = call.path
        if len(path) > self.longest:
            path = self._beginning(path)
        while path:
            candidates.extend(self.prefix.get(path, ()))
            path = path[: max(path.rfind(b"/"), 0)]
        candidates.extend(self.prefix.get(b"", ()))
        return {method for route in candidates if route.headers_hold(call) for method in route.methods}


class RouteTable:
    """All routes, compiled. Host beats no host, an exact path beats a prefix, a longer
    prefix beats a shorter, a method or header condition beats none.
    """

    __slots__ = ("_any_host", "_hosts", "routes")

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._any_host = _Paths()
        self._hosts: dict[bytes, _Paths] = {}
        for route in self.routes:
            (self._hosts.setdefault(route.host, _Paths()) if route.host else self._any_host).add(route)

    def match(self, call: Call) -> Route:
        """The one route of a call. Raises `NoRoute`, or `MethodNotAllowed` if only the method is missing."""
        named = self._hosts.get(hostname(call.host)) if self._hosts else None
        if named is not None and (route := named.find(call)) is not None:
            return route
        route = self._any_host.find(call)
        if route is not None:
            return route
        allow = self._any_host.methods_at(call)
        if named is not None:
            allow |= named.methods_at(call)
        path = call.path.decode("latin-1")
        if allow:
            methods = sorted(method.decode("latin-1") for method in allow)
            raise MethodNotAllowed(f"{path} takes {', '.join(methods)}", allow=methods)
        raise NoRoute(f"no route matches {call.method.decode('latin-1')} {path}")


def hostname(host: bytes) -> bytes:
    """The host of a `Host` field in lower case, without its port and the dot that may end a full name."""
    host = host.lower()
    if host.startswith(b"["):
        return host[: host.find(b"]") + 1]
    return host.partition(b":")[0].rstrip(b".")


def key_function(key: str) -> Callable[[Call], str]:
    """What a limit's `key` setting means: `global`, `ip`, `header:NAME` or `api_key`.

    A call without the header or key shares the bucket of the empty key. Credentials
    are kept only as a digest.
    """
    if key == "ip":
        return lambda call: call.peer
    if key == "api_key":
        return _credential
    if key.startswith("header:"):
        name = key.removeprefix("header:").strip().lower().encode("latin-1")
        return lambda call: _short(call.fields.get(name, b""))
    return _everybody


def _short(value: bytes) -> str:
    """A caller's word as a key: a long one is kept as a digest, since many keys are kept."""
    if len(value) <= LONGEST_KEY:
        return value.decode("latin-1")
    return hashlib.blake2b(value, digest_size=16).hexdigest()


def _everybody(_call: Call) -> str:
    return ""


def _credential(call: Call) -> str:
    credential = call.fields.get(b"x-api-key") or call.fields.get(b"authorization") or b""
    return hashlib.blake2b(credential, digest_size=16).hexdigest() if credential else ""
