"""The head of a reply, and which of its framings we accept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidecar.call import Headers

MAX_HEAD = 64 * 1024
"""Bytes of a reply's head; also of all that is not body between two pieces of it."""


@dataclass(slots=True)
class ReplyHead:
    """A reply's status line and fields.

    `headers` are all that came, in order and spelling. `length` is the declared length
    of the body, None when it is not known beforehand. `whole` is the body when it had
    all arrived with the head; else it comes by `read`. `upgrade` is the protocol a 101
    switches to (lower case), else empty.
    """

    status: int
    reason: bytes
    headers: Headers
    length: int | None
    whole: bytes | None
    keep_alive: bool
    upgrade: bytes = b""


def stays_open(version: str, headers: Headers) -> bool:
    """Whether the sender keeps the connection (RFC 9112, section 9.3), by version and `Connection` alone.

    llhttp counts a reply without a length as one that ends by closing; the reply to
    a HEAD has no body, whatever its fields say.
    """
    options = b",".join(value for name, value in headers if name.lower() == b"connection").lower()
    words = {word.strip() for word in options.split(b",")}
    return b"close" not in words and (version == "1.1" or b"keep-alive" in words)


class OneLength:
    """Takes equal repeated Content-Length fields of a reply's head as one, before llhttp refuses them.

    RFC 9110, section 8.6 allows it. A head is held back until it is complete, interim
    ones too; lengths that differ are left for llhttp to refuse.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What may go to the parser now; at most `MAX_HEAD` bytes are held back."""
        self._held += data
        ready = b""
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head, rest = self._held[:end], self._held[end:]
            ready += _once(head)
            if not head.startswith(_INTERIM) or head.startswith(b"101", 9):
                self._held = b""
                return ready + rest
            ready += rest[:4]
            self._held = rest[4:]
        if len(self._held) > MAX_HEAD:
            ready, self._held = ready + self._held, b""
        return ready


_INTERIM = (b"HTTP/1.1 1", b"HTTP/1.0 1")


def _once(head: bytes) -> bytes:
    seen: set[bytes] = set()
    kept = []
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = value.strip(b" \t")
            if length in seen:
                continue
            seen.add(length)
        kept.append(line)
    return b"\r\n".join(kept)
