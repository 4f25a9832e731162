"""Which gRPC methods are known, and which of them are one message each way.

From the interfaces that come with the sidecar, from the policy file, and from what
upstreams tell by reflection. Names of known methods are also what a metric may bear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.dialects import beamline

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OTHER = "other"
"""What a metric calls a method that is not known: names are the callers', and endless."""


class Methods:
    """The methods of one configuration, by path (`/package.Service/Method`).

    `patterns` are those of the file (`package.Service/Method`, or a prefix with `*`), all unary.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        texts = [f"/{pattern}".encode() for pattern in patterns]
        self._prefixes = tuple(text[:-1] for text in texts if text.endswith(b"*"))
        self._unary = {text for text in texts if not text.endswith(b"*")} | set(beamline.UNARY)
        self._said = frozenset(self._unary)
        self._streams: set[bytes] = set()
        self._names = {path: path[1:].decode() for path in self._unary}

    def is_unary(self, path: bytes) -> bool:
        return path in self._unary or (bool(self._prefixes) and path.startswith(self._prefixes))

    def name(self, path: bytes) -> str:
        """What a metric calls it: `package.Service/Method`, or `other`."""
        return self._names.get(path, OTHER)

    def learn(self, found: Mapping[bytes, bool]) -> None:
        """Methods that an upstream told of; the value says whether they are unary.

        Upstreams that do not agree: a stream takes every kind of call. What the file says counts before either.
        """
        for path, unary in found.items():
            self._names[path] = path[1:].decode("ascii", "replace")
            if path in self._said:
                continue
            if not unary:
                self._streams.add(path)
                self._unary.discard(path)
            elif path not in self._streams:
                self._unary.add(path)
