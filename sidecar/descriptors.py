"""File descriptors: as many as the system gives, and no more connections than they carry."""

from __future__ import annotations

import contextlib
import sys

if sys.platform != "win32":
    import resource

RESERVED = 64
"""Descriptors for everything that is no call: log, listeners, watches, certificates being read."""

PER_CALL = 2
"""The caller's connection and one upstream."""


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


def fitting(wanted: int, descriptors: int) -> int:
    """How many caller connections the descriptors carry, `wanted` at the most."""
    return max(1, min(wanted, (descriptors - RESERVED) // PER_CALL))
