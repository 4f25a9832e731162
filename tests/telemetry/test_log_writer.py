"""Lines reach the pipe, and a bad pipe costs lines only."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from sidecar.telemetry.log_writer import LogWriter
from tests.kit.caller import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL = "/dev/full"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for fd in ends:
        try:
            os.close(fd)
        except OSError:
            continue  # the test closed it


def until(condition: object) -> None:
    """Wait for another thread."""
    assert callable(condition)
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never happened"
        threading.Event().wait(0.005)


def test_lines_come_out_in_order(pipe: tuple[int, int]) -> None:
    reader, end = pipe
    writer = LogWriter(end)
    for number in range(2000):
        writer.write(b"line %d\n" % number)
    writer.close()
    os.close(end)
    with os.fdopen(os.dup(reader), "rb") as lines:
        assert lines.read().splitlines() == [b"line %d" % number for number in range(2000)]
    assert writer.dropped == 0


def test_a_line_is_written_without_a_close(pipe: tuple[int, int]) -> None:
    reader, end = pipe
    writer = LogWriter(end)
    for _ in range(3):  # asleep, woken, asleep again
        writer.write(b"hello\n")
        assert os.read(reader, 100) == b"hello\n"
    writer.close()


def test_a_reader_that_never_reads_costs_lines_and_nothing_else(pipe: tuple[int, int]) -> None:
    _, end = pipe
    writer = LogWriter(end, max_lines=1000)
    started = time.monotonic()
    for _ in range(20_000):
        writer.write(b"x" * 99 + b"\n")
    assert writer.dropped > 15_000
    writer.close(timeout=0.2)
    assert time.monotonic() - started < PATIENCE, "who reads nothing would be waited for without an end"


def test_what_waits_is_bounded_in_bytes_too(pipe: tuple[int, int]) -> None:
    _, end = pipe
    writer = LogWriter(end, max_lines=1_000_000, max_bytes=1 << 20)
    for _ in range(100):
        writer.write(b"x" * (64 << 10))
    assert writer.dropped >= 80
    writer.close(timeout=0.1)


def test_a_reader_that_is_gone_costs_lines(pipe: tuple[int, int]) -> None:
    reader, end = pipe
    writer = LogWriter(end)
    os.close(reader)
    for _ in range(10):
        writer.write(b"into the void\n")
    writer.close()
    assert writer.dropped == 10


def test_a_descriptor_that_was_never_open(pipe: tuple[int, int]) -> None:
    _, end = pipe
    os.close(end)
    writer = LogWriter(end)
    writer.write(b"nowhere\n")
    writer.close()
    assert writer.dropped == 1


def test_closing_the_original_does_not_lead_lines_elsewhere(pipe: tuple[int, int]) -> None:
    reader, end = pipe
    writer = LogWriter(end)
    os.close(end)
    stranger_in, stranger_out = os.pipe()  # takes the freed number
    writer.write(b"ours\n")
    writer.close()
    assert os.read(reader, 100) == b"ours\n"
    os.close(stranger_out)
    assert os.read(stranger_in, 100) == b""
    os.close(stranger_in)


@pytest.mark.skipif(not os.path.exists(FULL), reason="only Linux has a device that is always full")  # noqa: PTH110 - one name
def test_a_full_disk_costs_lines() -> None:
    fd = os.open(FULL, os.O_WRONLY)
    writer = LogWriter(fd)
    os.close(fd)
    for _ in range(3):
        writer.write(b"no space\n")
        until(lambda: writer.dropped > 0)
    writer.close()
    assert writer.dropped == 3


def test_a_pipe_that_somebody_made_non_blocking_is_waited_for(pipe: tuple[int, int]) -> None:
    reader, end = pipe
    fcntl.fcntl(end, fcntl.F_SETFL, fcntl.fcntl(end, fcntl.F_GETFL) | os.O_NONBLOCK)
    writer = LogWriter(end)
    for _ in range(3000):
        writer.write(b"y" * 99 + b"\n")
    got = 0
    while got < 300_000:
        got += len(os.read(reader, 1 << 16))
    writer.close()
    assert (got, writer.dropped) == (300_000, 0)


def test_a_non_blocking_pipe_that_stays_full_does_not_hold_the_close(pipe: tuple[int, int]) -> None:
    _, end = pipe
    fcntl.fcntl(end, fcntl.F_SETFL, fcntl.fcntl(end, fcntl.F_GETFL) | os.O_NONBLOCK)
    writer = LogWriter(end)
    for _ in range(3000):
        writer.write(b"y" * 99 + b"\n")
    started = time.monotonic()
    writer.close(timeout=0.2)
    assert time.monotonic() - started < PATIENCE


def test_a_line_after_the_close_is_lost_and_counted(pipe: tuple[int, int]) -> None:
    _, end = pipe
    writer = LogWriter(end)
    writer.close()
    writer.write(b"late\n")
    assert writer.dropped == 1


def test_after_a_torn_line_the_next_one_begins_anew(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    reader, end = pipe
    real = os.write
    script = [4, 0, 0]  # bytes that fit before the disk is full, then nothing at all

    def write(fd: int, data: bytes) -> int:
        if fd != writer._fd or not script:  # the writers of other tests may still be at work
            return real(fd, data)
        fits = script[0]
        if not fits:
            script.pop(0)
            raise OSError(28, "No space left on device")
        script[0] = 0
        return real(fd, bytes(data)[:fits])

    writer = LogWriter(end)
    monkeypatch.setattr(os, "write", write)
    writer.write(b"a long line\n")
    until(lambda: writer.dropped == 1)
    writer.write(b"lost whole\n")
    until(lambda: writer.dropped == 2)
    writer.write(b"lost as well\n")
    until(lambda: writer.dropped == 3)
    writer.write(b"next\n")
    writer.close()
    assert os.read(reader, 100) == b"a lo\nnext\n"


def test_a_stuck_reader_does_not_keep_the_process_alive() -> None:
    program = (
        "from sidecar.telemetry.log_writer import LogWriter\n"
        "writer = LogWriter(1)\n"
        "for _ in range(10_000): writer.write(b'z' * 99 + b'\\n')\n"
        "writer.close(timeout=0.2)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.wait(timeout=30) == 0
