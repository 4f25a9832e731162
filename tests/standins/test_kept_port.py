"""A port that is kept refuses callers, and is nobody else's."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from sidecar.standins.kept_port import KeptPort
from tests.kit.addresses import free_port

HOME = ["127.0.0.1", "::1"]


def listener(host: str, port: int) -> socket.socket:
    """As a service opens it."""
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


@pytest.mark.parametrize("host", HOME)
def test_callers_are_refused_and_nobody_else_may_listen(host: str) -> None:
    port, kept = free_port(), KeptPort()
    kept.keep(host, port)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port))
    with closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)) as stranger, pytest.raises(OSError):
        stranger.bind((host, port))
    kept.give_up()


@pytest.mark.parametrize("host", HOME)
def test_the_service_itself_opens_it_again_although_old_connections_linger(host: str) -> None:
    port, kept = free_port(), KeptPort()
    with closing(listener(host, port)) as service:
        caller = socket.create_connection((host, port))
        accepted, _ = service.accept()
    kept.keep(host, port)
    accepted.close()
    caller.close()
    kept.give_up()
    with closing(listener(host, port)), closing(socket.create_connection((host, port))):
        pass


def test_where_somebody_was_faster_the_port_is_theirs() -> None:
    kept = KeptPort()
    with closing(listener("127.0.0.1", 0)) as other:
        kept.keep("127.0.0.1", other.getsockname()[1])
        with closing(socket.create_connection(other.getsockname())):
            pass
    kept.give_up()


def test_one_port_after_the_other() -> None:
    first, second, kept = free_port(), free_port(), KeptPort()
    kept.keep("127.0.0.1", first)
    kept.keep("127.0.0.1", second)
    with closing(listener("127.0.0.1", first)):
        pass
    kept.give_up()
    kept.give_up()
