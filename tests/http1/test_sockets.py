from __future__ import annotations

import socket

import pytest

from sidecar.http1.sockets import address, last_words, reset_on_close


class FakeTransport:
    def __init__(self, sock: socket.socket | None) -> None:
        self.sock = sock

    def get_extra_info(self, name: str) -> socket.socket | None:
        return self.sock if name == "socket" else None


@pytest.mark.parametrize(
    ("name", "host"),
    [(("127.0.0.1", 80), "127.0.0.1"), (("::1", 80, 0, 0), "::1"), ("/run/s", ""), (b"", ""), (None, "")],
)
def test_an_address_is_a_host_without_its_port(name: object, host: str) -> None:
    assert address(name) == host


def test_a_closed_socket_is_reset_for_its_peer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as peer:
        ours, _ = listener.accept()
        reset_on_close(FakeTransport(ours))  # type: ignore[arg-type]  # the one method it asks for
        ours.close()
        with pytest.raises(ConnectionResetError):
            peer.recv(1)


def test_a_socket_without_resets_is_left_alone() -> None:
    ours, peer = socket.socketpair()
    with ours, peer:
        reset_on_close(FakeTransport(ours))  # type: ignore[arg-type]  # the one method it asks for
    reset_on_close(FakeTransport(None))  # type: ignore[arg-type]  # a transport that has none


def test_what_was_said_before_a_reset_can_still_be_read() -> None:
    ours, peer = socket.socketpair()
    with ours, peer:
        peer.send(b"goodbye")
        peer.close()
        assert list(last_words(ours.fileno(), 4)) == [b"good", b"bye"]


def test_nothing_more_is_read_of_a_socket_that_fails() -> None:
    ours, peer = socket.socketpair()
    with ours, peer:
        ours.setblocking(False)
        assert list(last_words(ours.fileno(), 4)) == []
        peer.send(b"x" * 100)
        assert len(list(last_words(ours.fileno(), 2))) == 16
