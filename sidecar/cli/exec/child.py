"""The program that `sidecar exec` runs, as one process.

It is to be as if the sidecar were not there. Standard streams and whatever other
descriptors the sidecar was given are passed on untouched; its own are all marked
to close (PEP 446), so none leaks. Signals are as they were before the sidecar
changed anything, and so is the limit of descriptors, which it raises for itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if sys.platform == "win32":
    import subprocess
else:
    import resource

    _IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Given:
    """What the sidecar was started with and changed for itself: blocked signals, the soft limit of open files."""

    blocked: Iterable[int] = ()
    descriptors: int = 0


class Child:
    """A process that was started. `wait` blocks until it has ended: its exit code, -N if signal N ended it."""

    def __init__(self, pid: int, wait: Callable[[], int]) -> None:
        self._pid = pid
        self._wait = wait
        self._ended = False

    async def ended(self) -> int:
        """Its exit code once it has ended; 128 + N if signal N ended it, as a shell says."""
        code = await asyncio.to_thread(self._wait)
        self._ended = True
        return code if code >= 0 else 128 - code

    def tell(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        if not self._ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, number)

    def shares_our_terminal(self) -> bool:
        """What a terminal sends reaches it by itself: it is in our process group, which is what terminals speak to."""
        try:
            return os.getpgid(self._pid) == os.getpgrp()
        except ProcessLookupError:
            return False


def descriptors() -> int:
    """The soft limit of open files (0 where there is none)."""
    return 0 if sys.platform == "win32" else resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def spawn(command: Sequence[str], environ: Mapping[str, str], given: Given) -> Child:
    """Start a program, found as a shell finds it.

    Raises `OSError`: it is not there (`FileNotFoundError`) or cannot be executed.
    """
    if not command[0]:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))  # as a shell has it; Python has another word
    if sys.platform == "win32":
        process = subprocess.Popen(list(command), env=dict(environ))  # noqa: S603 - it is what the user asked for
        return Child(process.pid, process.wait)
    with _limited(given.descriptors):
        pid = os.posix_spawnp(
            command[0], list(command), environ, setsigmask=given.blocked, setsigdef=_IGNORED_BY_PYTHON
        )
    return Child(pid, lambda: _ended(pid))


def _ended(pid: int) -> int:
    """Its exit code, once it has one.

    As process 1 of a container we are also left whatever it had started and not waited for (`wait(2)`): such a
    process keeps its number until we ask for its end, too. Anywhere else the other children of this process, if there
    are any, are somebody else's.
    """
    while True:
        ended, status = os.waitpid(-1 if os.getpid() == 1 else pid, 0)
        if ended == pid:
            return os.waitstatus_to_exitcode(status)


@contextlib.contextmanager
def _limited(limit: int) -> Iterator[None]:
    """The soft limit of open files for a moment. What is open beyond it stays open."""
    raised, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, most))
