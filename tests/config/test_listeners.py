"""What another policy file does to the listeners."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.config.listeners import Moved, moves
from tests.kit.policy_file import load

if TYPE_CHECKING:
    from pathlib import Path

    from sidecar.config.listeners import Moves

OLD = '[listen]\nhttp = "127.0.0.1:1"\ngrpc = "127.0.0.1:2"\nadmin = "127.0.0.1:3"\n'


def moved(new: str, old: str = OLD) -> Moves:
    return moves(load(old).settings, load(new).settings)


def test_equal_addresses_stay() -> None:
    assert moved(OLD) == ((), ())


def test_listeners_move_close_and_open() -> None:
    new = OLD.replace(":1", ":9").replace("127.0.0.1:2", "") + 'probe = "127.0.0.1:4"'
    assert moved(new).now == (
        Moved("http", "127.0.0.1:1", "127.0.0.1:9"),
        Moved("grpc", "127.0.0.1:2", ""),
        Moved("probe", "", "127.0.0.1:4"),
    )
    assert moved(new).next_start == ()


def test_an_address_that_is_taken_until_the_end_waits() -> None:
    assert moved(OLD.replace("127.0.0.1:1", "0.0.0.0:1")) == ((), ("listen.http",))
    swapped = OLD.replace(":1", ":x").replace(":2", ":1").replace(":x", ":2")
    assert moved(swapped) == ((), ("listen.http", "listen.grpc"))


def test_what_an_open_socket_keeps_waits() -> None:
    limits = '[limits]\nmax_header_bytes = "1KiB"\nmax_headers = 5\nmax_connections = 7\nmax_body_bytes = 9\n'
    keys = ("limits.max_body_bytes", "limits.max_header_bytes", "limits.max_connections")
    assert moved(OLD + limits).next_start == keys
    assert moved(OLD.replace(":2", ":9") + limits).next_start == ()
    without = OLD.replace("127.0.0.1:2", "")
    assert moved(without + limits, without).next_start == ()


def test_a_certificate_is_renewed_at_once_and_tls_is_not_switched(tmp_path: Path) -> None:
    for name in ("one", "two", "ca"):
        (tmp_path / name).touch()

    def tls(cert: str, ca: str = "") -> str:
        table = f'{{ cert = "{tmp_path / cert}", key = "{tmp_path / cert}", client_ca = "{ca and tmp_path / ca}" }}'
        return OLD + "".join(f"{name}_tls = {table}\n" for name in ("http", "grpc", "admin"))

    assert moved(tls("two"), tls("one")) == ((), ())
    assert moved(tls("one")).next_start == ("listen.grpc_tls", "listen.admin_tls")
    assert moved(tls("one", "ca"), tls("one")).next_start == ("listen.grpc_tls", "listen.admin_tls")
