"""The table that finds a call's one route, whatever the order of the file.

What a call pays does not depend on how many routes there are. HTTP: one dict
look-up for an exact path, one per path segment for a prefix. gRPC: one for an
exact method, one for each length that the file's prefixes have, since those may
end inside a word.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from sidecar.access import hostname
from sidecar.call import Wire
from sidecar.errors import MethodNotAllowed, NoRoute

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidecar.call import Call
    from sidecar.engine.route import Pattern

R = TypeVar("R", bound="Pattern")


@dataclass(slots=True, eq=False)
class _Paths(Generic[R]):
    """The routes of one host: exact paths, and prefixes without their `/*`."""

    exact: dict[bytes, tuple[R, ...]] = field(default_factory=dict)
    prefix: dict[bytes, tuple[R, ...]] = field(default_factory=dict)
    longest: int = 0
    """Bytes of the longest prefix: a path of 10,000 segments is not looked at segment by segment (40 ms)."""

    def add(self, route: R) -> None:
        is_prefix = route.path.endswith(b"/*")
        index, key = (self.prefix, route.path[:-2]) if is_prefix else (self.exact, route.path)
        _put(index, key, route)
        if is_prefix:
            self.longest = max(self.longest, len(key))

    def find(self, call: Call) -> R | None:
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


@dataclass(slots=True, eq=False)
class _Methods(Generic[R]):
    """The gRPC routes of one host, by `/package.Service/Method`: whole names, and beginnings by their length."""

    exact: dict[bytes, tuple[R, ...]] = field(default_factory=dict)
    prefix: dict[int, dict[bytes, tuple[R, ...]]] = field(default_factory=dict)
    """Longest first."""

    def add(self, route: R) -> None:
        name = b"/" + route.grpc
        if not name.endswith(b"*"):
            _put(self.exact, name, route)
            return
        name = name[:-1]
        _put(self.prefix.setdefault(len(name), {}), name, route)
        self.prefix = dict(sorted(self.prefix.items(), reverse=True))

    def find(self, call: Call) -> R | None:
        path = call.path
        for route in self.exact.get(path, ()):
            if route.headers_hold(call):
                return route
        for length, index in self.prefix.items():
            for route in index.get(path[:length], ()):
                if route.headers_hold(call):
                    return route
        return None


def _put(index: dict[bytes, tuple[R, ...]], key: bytes, route: R) -> None:
    """Beside those of the same key, the one with more conditions first."""
    routes = (*index.get(key, ()), route)
    index[key] = tuple(sorted(routes, key=lambda one: -(bool(one.methods) + len(one.headers))))


class RouteTable(Generic[R]):
    """All routes, compiled. Host beats no host, an exact path or method beats a prefix, a
    longer prefix beats a shorter, a condition on method or header beats none.
    """

    __slots__ = ("_any_host", "_any_host_methods", "_hosts", "_hosts_methods", "routes")

    def __init__(self, routes: Iterable[R]) -> None:
        self.routes = tuple(routes)
        self._any_host: _Paths[R] = _Paths()
        self._hosts: dict[bytes, _Paths[R]] = {}
        self._any_host_methods: _Methods[R] = _Methods()
        self._hosts_methods: dict[bytes, _Methods[R]] = {}
        for route in self.routes:
            if route.grpc:
                by_host = self._hosts_methods
                (by_host.setdefault(route.host, _Methods()) if route.host else self._any_host_methods).add(route)
            else:
                (self._hosts.setdefault(route.host, _Paths()) if route.host else self._any_host).add(route)

    def match(self, call: Call) -> R:
        """The one route of a call. Raises `NoRoute`, or `MethodNotAllowed` if only the HTTP method is missing."""
        if call.wire is Wire.GRPC:
            return self._match_grpc(call)
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

    def into(self, service: bytes) -> bytes:
        """A path by which calls to a gRPC service are routed, empty when no route leads to it."""
        beginning = b"/%b/" % service
        for route in self.routes:
            pattern = b"/" + route.grpc
            if route.grpc.endswith(b"*") and beginning.startswith(pattern[:-1]):
                return beginning
            if pattern.startswith(beginning):
                return pattern.removesuffix(b"*")
        return b""

    def _match_grpc(self, call: Call) -> R:
        named = self._hosts_methods.get(hostname(call.host)) if self._hosts_methods else None
        route = None if named is None else named.find(call)
        route = route or self._any_host_methods.find(call)
        if route is None:
            raise NoRoute(f"no route matches the gRPC method {call.path[1:].decode('latin-1')}")
        return route
