"""An HTTP server that gives one answer, byte for byte, to one request: for commands, which block."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.kit.caller import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@contextmanager
def answering(*pieces: bytes, stays: bool = False) -> Iterator[str]:
    """Where it is. Each piece is a write of its own; then it closes, or `stays` until the caller has left."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        thread = threading.Thread(target=_serve, args=(server, pieces, stays))
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the caller is still there"


def _serve(server: socket.socket, pieces: Sequence[bytes], stays: bool) -> None:
    caller, _ = server.accept()
    with caller:
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        caller.settimeout(PATIENCE)
        came = b""
        while b"\r\n\r\n" not in came or len(came.partition(b"\r\n\r\n")[2]) < _length(came):
            came += caller.recv(65536)
        for piece in pieces:
            caller.sendall(piece)
        while stays and caller.recv(65536):
            pass


def _length(request: bytes) -> int:
    head = request.partition(b"\r\n\r\n")[0].lower()
    return int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
