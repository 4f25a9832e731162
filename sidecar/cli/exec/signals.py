"""Signals, with what a handler is not told: whether a terminal sent them.

Ctrl-C is sent to every process of the terminal's foreground group, so a program that
runs under another has it already; a `kill` reaches the one process that it names. To
pass on the first would tell the program twice, which many take as "at once"; not to
pass on the second would tell it nothing. Only who waits for a signal (`sigwaitinfo`)
sees where it came from. So the signals are blocked, for all threads that are started
from now on, and one thread waits for them.

Signals that were ignored from the start (`nohup`, a shell's background job) stay so.
SIGTSTP is not among them: Ctrl-Z stops the sidecar with its program, as one job.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NAMES = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGWINCH")


def ends(number: int) -> bool:
    """Whether a process that has not said otherwise is ended by it."""
    return number != getattr(signal, "SIGWINCH", None)


def tells_all(number: int) -> bool:
    """Whether a terminal sends it to every process of its foreground.

    One that is closed tells the session's leader alone, which is the sidecar where a window was opened for it.
    """
    return number != getattr(signal, "SIGHUP", None)


@contextlib.contextmanager
def signals_told(tell: Callable[[int, bool], object]) -> Iterator[frozenset[int]]:
    """Has `tell(number, from_terminal)` called, in another thread, for each signal that comes; what was blocked before.

    Call it in the main thread, before any other is started.
    """
    if sys.platform == "win32":
        was = signal.signal(signal.SIGINT, lambda *_: None)  # a console tells all its programs by itself
        try:
            yield frozenset()
        finally:
            signal.signal(signal.SIGINT, was)
        return
    if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:  # a child's exit code would be lost
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    heard = {number for name in _NAMES if signal.getsignal(number := getattr(signal, name)) != signal.SIG_IGN}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, heard)
    over = threading.Event()
    thread = threading.Thread(target=_hear, args=(heard, tell, over), name="sidecar-signals", daemon=True)
    thread.start()
    try:
        yield frozenset(before)
    finally:
        over.set()
        if heard:
            signal.pthread_kill(thread.ident or 0, min(heard))  # wakes it
        thread.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _hear(heard: set[signal.Signals], tell: Callable[[int, bool], object], over: threading.Event) -> None:
    while heard:
        number, from_terminal = _next(heard)
        if over.is_set():
            return
        tell(number, from_terminal)


def _next(heard: set[signal.Signals]) -> tuple[int, bool]:
    if hasattr(signal, "sigwaitinfo"):
        told = signal.sigwaitinfo(heard)
        return told.si_signo, told.si_code > 0  # of the kernel's own making; from a process it is 0 or less
    number = signal.sigwait(heard)  # macOS does not tell: likely, if we stand in a terminal's foreground
    return number, _in_foreground()


def _in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
