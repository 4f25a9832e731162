"""File descriptors: as many as the system gives, and no more connections than they carry."""

from __future__ import annotations

import contextlib
import sys

if sys.platform != "win32":
    import resource

RESERVED = 64
"""Descriptors for everything that is no call: log, listeners, watches, certificates being read."""

PER_HTTP = 2
"""A caller's connection and one upstream."""

PER_GRPC = 1
"""A caller's connection. Those upstream are shared by all calls."""


def raise_limit() -> int:
    """Raise the soft limit to the hard one; how many descriptors there may be (a large number where it is unknown)."""
    if sys.platform == "win32":
        return 1 << 20
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft


def fitting(wanted: int, descriptors: int, *, http: bool, grpc: bool) -> int:
    """How many caller connections of each listener that is open the descriptors carry, `wanted` at the most."""
    each = PER_HTTP * http + PER_GRPC * grpc
    return max(1, min(wanted, (descriptors - RESERVED) // max(each, 1)))
