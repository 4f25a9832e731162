"""Files that a policy file names: secrets, which are read, and certificates, which must be there.

A relative path starts at the policy file's folder, wherever the process was
started. Secrets are `{ file = "…" }` in the places of `_SECRETS` only: elsewhere a
table with a key `file` may mean something else, such as a header of that name.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sidecar.config.places import Place, Problem, remove, select

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 4 * 1024 * 1024
"""Bytes of a policy file: 40,000 routes. One of 50 MB kept calls waiting for 10 s at a time, took 80 s and 1.1 GB."""

_SECRETS = (
    "listen.http_token",
    "admin.token",
    "redis.url",
    "upstreams.*.api_key",
    "upstreams.*.headers.*",
    "upstreams.*.default_headers.*",
    "upstreams.*.query.*",
    "static.*.headers.*",
)
_NAMED = (
    *(f"listen.{tls}.{key}" for tls in ("http_tls", "grpc_tls", "admin_tls") for key in ("cert", "key", "client_ca")),
    *(f"upstreams.*.tls.{key}" for key in ("ca", "cert", "key")),
)
_LARGEST_SECRET = 64 * 1024
"""Longer than any token: a wrong path, such as a log or a device, is told from a secret."""


@dataclass(slots=True)
class Files:
    """What the files gave: `hidden` are places with a secret, `digests` the SHA-256 (hex) of all files named, by path,
    empty for what cannot be read.
    """

    hidden: set[Place] = field(default_factory=set)
    digests: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _held: dict[Path, bytes | OSError] = field(default_factory=dict, repr=False)

    def held(self, path: Path) -> bytes | OSError:
        """What it holds, or why it cannot be read: found out once, however many places name it. Of a file that comes
        or is renewed meanwhile some would have the old text or none, and the digest would be that of the new one: as
        if all had it, and nothing were left to be taken.
        """
        if path not in self._held:
            self._held[path] = content = _content(path)
            self.digests[str(path)] = "" if isinstance(content, OSError) else hashlib.sha256(content).hexdigest()
        return self._held[path]


def read_files(document: Any, folder: Path) -> Files:
    """Puts secrets and whole paths into the document; what cannot be read is taken out of it."""
    files = Files()
    for pattern in _SECRETS:
        for place, value in select(document, pattern):
            if isinstance(value, dict):
                _secret(document, place, folder, files)
    for pattern in _NAMED:
        for place, value in select(document, pattern):
            if isinstance(value, str) and value:
                _certificate(document, place, folder / value, files)
    return files


def read(path: Path, largest: int = LARGEST, *, pipes: bool = False) -> bytes:
    """What a file holds. Without `pipes` only a file is read, and nothing is waited for: a pipe gives its text once,
    and who opens one waits until somebody writes. Raises `OSError`, also for more than `largest` bytes.
    """
    with open(path, "rb", opener=None if pipes else _at_once) as file:
        if not pipes and not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is a pipe or a device, no file")
        content = file.read(largest + 1)
    if len(content) > largest:
        raise OSError(errno.EFBIG, f"it is longer than {largest} bytes")
    return content


def _content(path: Path) -> bytes | OSError:
    try:
        return read(path)
    except OSError as error:
        return error


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes; empty if it cannot be read, is no file, or is longer than `LARGEST`."""
    try:
        return hashlib.sha256(read(path)).hexdigest()
    except OSError:
        return ""


def _secret(document: Any, place: Place, folder: Path, files: Files) -> None:
    table, key = _holder(document, place)
    named = table[key].get("file")
    if not isinstance(named, str) or set(table[key]) != {"file"} or "\0" in named:
        files.problems.append(
            Problem(place, "is neither text nor a secret", allowed='"…", { file = "/run/secrets/x" }')
        )
        remove(document, place)
        return
    path = folder / named
    files.hidden.add(place)
    try:
        table[key] = _secret_in(files.held(path))
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        files.problems.append(Problem(place, f"cannot read {path}: {reason}"))
        remove(document, place)


def _secret_in(content: bytes | OSError) -> str:
    """Without its last line break. An empty one would switch a check off. Raises `OSError`, `UnicodeError`."""
    if isinstance(content, OSError):
        raise content
    if len(content) > _LARGEST_SECRET:
        raise OSError(errno.EFBIG, f"it is longer than {_LARGEST_SECRET} bytes")
    if not (text := content.decode().rstrip("\r\n")):
        raise OSError(errno.ENODATA, "it is empty")
    return text


def _certificate(document: Any, place: Place, path: Path, files: Files) -> None:
    table, key = _holder(document, place)
    table[key] = str(path)
    if "\0" in str(path):
        files.problems.append(Problem(place, "names no file"))
        return
    held = files.held(path)
    if isinstance(held, PermissionError):
        files.problems.append(Problem(place, f"cannot read {path}: permission denied"))
    elif isinstance(held, OSError) and held.errno != errno.EFBIG:
        files.problems.append(Problem(place, f"there is no file {path}"))


def _holder(document: Any, place: Place) -> tuple[Any, Any]:
    table = document
    for part in place[:-1]:
        table = table[part]
    return table, place[-1]
