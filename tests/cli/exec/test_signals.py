"""Where a signal came from: in a process of its own, on a terminal of its own."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sidecar.cli.exec.signals import ends, tells_all

if TYPE_CHECKING:
    from collections.abc import Iterator

LISTENS = """
import queue, signal, sys
from sidecar.cli.exec.signals import signals_told
heard = queue.Queue()
print("before", sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())), flush=True)
with signals_told(lambda *told: heard.put(told)) as before:
    print("blocked before:", sorted(before), flush=True)
    number = 0
    while number != signal.SIGTERM:
        number, from_terminal = heard.get()
        print(signal.Signals(number).name, from_terminal, flush=True)
print("after", sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())), flush=True)
"""


@contextmanager
def listener(command: str = 'exec "$@"') -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The script on a terminal, which is the number beside it."""
    ours, theirs = pty.openpty()
    opens = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
    arguments = [sys.executable, "-c", opens, "sh", "-c", command, "sh", sys.executable, "-c", LISTENS]
    process = subprocess.Popen(
        arguments, stdin=theirs, stdout=subprocess.PIPE, text=True, start_new_session=True, bufsize=1
    )
    try:
        yield process, ours
    finally:
        process.kill()
        process.communicate()
        os.close(ours)
        os.close(theirs)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_what_a_terminal_sends_is_told_from_what_a_process_sends() -> None:
    with listener() as (process, terminal):
        assert (said(process), said(process)) == ("before []", "blocked before: []")
        os.write(terminal, b"\x03")
        assert said(process) == "SIGINT True"
        process.send_signal(signal.SIGINT)
        assert said(process) == "SIGINT False"
        os.write(terminal, b"\x1c")
        assert said(process) == "SIGQUIT True"
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGTERM):
            process.send_signal(number)
            assert said(process) == f"{number.name} False"
        assert said(process) == "after []"
        assert process.wait(10) == 0


def test_what_was_ignored_from_the_start_stays_so() -> None:
    """`nohup sidecar exec …`, or a background job of a shell: the program ignores it as well, having inherited that."""
    with listener("trap '' HUP INT; exec \"$@\"") as (process, terminal):
        assert (said(process), said(process)) == ("before []", "blocked before: []")
        os.write(terminal, b"\x03")
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert said(process) == "SIGTERM False"


def test_a_window_that_changes_its_size_ends_nobody() -> None:
    assert ends(signal.SIGTERM)
    assert ends(signal.SIGUSR1)
    assert not ends(signal.SIGWINCH)


def test_a_terminal_that_is_closed_tells_only_the_first_of_its_processes() -> None:
    assert tells_all(signal.SIGINT)
    assert not tells_all(signal.SIGHUP)
