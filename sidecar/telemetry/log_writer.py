"""The thread that writes log lines, so that nobody else waits for a pipe.

`write` is an append to a bounded buffer (150 ns). The thread wakes at most every
50 ms while lines come, writes them in one piece, and sleeps without a timer when
none do; it is woken through an event only then, or when a quarter of the buffer
is full. A reader that is slow, stuck or gone costs lines, which are counted, and
nothing else: no exception, no waiting, bounded memory.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque

GATHER = 0.05
"""Seconds between two writes while lines come."""

BATCH = 1024
"""Lines in one write at most."""


class LogWriter:
    """Writes lines (bytes, each with its line end) to a file descriptor.

    The descriptor is duplicated: closing the original, and another file taking its
    number, cannot send our lines into a stranger's socket. `max_lines` and `max_bytes`
    bound what waits.
    """

    def __init__(self, fd: int, *, max_lines: int = 16_384, max_bytes: int = 8 << 20) -> None:
        try:
            self._fd = os.dup(fd)
        except OSError:  # started with it closed: every line is lost, and counted
            self._fd = -1
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._lines: deque[bytes] = deque()
        # Each of these is written by one side only, so no lock is needed. (Lines of other
        # threads come through logging's own lock; a count they lose is a bound a line off.)
        self._added = 0
        self._refused = 0
        self._taken = 0
        self._lost = 0
        self._asleep = False
        self._torn = False
        self._closing = False
        self._closed_by = 0.0
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sidecar-log", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Lines that were lost: the buffer was full, or the descriptor did not take them."""
        return self._refused + self._lost

    def write(self, line: bytes) -> None:
        """Queue a line. Never blocks, never raises."""
        lines = self._lines
        waiting = len(lines)
        size = len(line)
        if waiting >= self._max_lines or self._added - self._taken + size > self._max_bytes or self._closing:
            self._refused += 1
            return
        self._added += size
        lines.append(line)
        if self._asleep or waiting == self._max_lines >> 2:
            self._asleep = False
            self._wake.set()

    def close(self, timeout: float = 1.0) -> None:
        """Write what waits, for at most `timeout` seconds. Lines that come later are lost."""
        self._closed_by = time.monotonic() + timeout
        self._closing = True
        self._wake.set()
        self._thread.join(timeout)  # a thread stuck in a write is left behind: it is a daemon

    def _run(self) -> None:
        while not self._closing:
            self._asleep = True
            if not self._lines:  # looked at after `_asleep` is set, so that no line falls between
                self._wake.wait()
            self._asleep = False
            self._wake.clear()
            if not self._closing:
                self._wake.wait(GATHER)
            self._empty()
        self._empty()
        with contextlib.suppress(OSError):  # it was never open
            os.close(self._fd)

    def _empty(self) -> None:
        """Write what waits now. What comes meanwhile waits for the next turn: chasing it would wake this
        thread for a line or two, and each wake-up costs the loop its turn (10 us a call, measured).
        """
        lines = self._lines
        left = len(lines)
        while left:
            batch = [lines.popleft() for _ in range(min(left, BATCH))]
            left -= len(batch)
            text = b"".join(batch)
            written = self._put(b"\n" + text if self._torn else text) - self._torn
            self._taken += len(text)
            if written < len(text):
                self._lost += _unwritten(batch, written)
            if written >= 0:  # else not even the line end of a torn line could be written
                self._torn = written > 0 and not text[:written].endswith(b"\n")

    def _put(self, text: bytes) -> int:
        """Bytes written before the descriptor failed, or before there was no more time."""
        rest = memoryview(text)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:  # somebody made the shared pipe non-blocking: it is full
                if self._closing and time.monotonic() >= self._closed_by:
                    break
                time.sleep(GATHER)
            except OSError:  # EPIPE, ENOSPC, EBADF, EIO: the next batch tries again
                break
        return len(text) - len(rest)


def _unwritten(batch: list[bytes], written: int) -> int:
    """How many lines are not whole in the first `written` bytes of the batch."""
    for index, line in enumerate(batch):
        written -= len(line)
        if written < 0:
            return len(batch) - index
    return 0


def own_standard_streams() -> None:
    """Open /dev/null where standard input, output or error is closed (call it first of all).

    A process started with its stdout closed would get that number for its first
    socket, and what prints to stdout would go to a caller.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
