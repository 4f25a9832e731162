"""A terminal in place of stdout."""

from __future__ import annotations

import os
import pty
import sys
import threading
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.kit.caller import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


@contextmanager
def screen(monkeypatch: pytest.MonkeyPatch, columns: int) -> Iterator[list[str]]:
    """A terminal for stdout; what came out of it is in the list afterwards."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    ours, theirs = pty.openpty()
    tty.setraw(theirs)  # or every line would end in \r\n
    pieces: list[bytes] = []

    def read() -> None:
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # Linux: the other end is closed
                return
            if not piece:
                return
            pieces.append(piece)

    reader = threading.Thread(target=read)
    reader.start()
    seen: list[str] = []
    with monkeypatch.context() as patch, open(theirs, "w", encoding="utf-8") as stdout:  # noqa: PTH123 - it is a number
        patch.setattr(sys, "stdout", stdout)
        yield seen
    reader.join(PATIENCE)
    os.close(ours)
    seen.append(b"".join(pieces).decode())
