"""Where listeners listen."""

from __future__ import annotations

import pytest

from sidecar.settings import Address, SettingError, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:7070", Address("127.0.0.1", 7070)),
        ("localhost:0", Address("localhost", 0)),
        (f"{'a' * 63}.x.:1", Address(f"{'a' * 63}.x.", 1)),
        ("[::1]:7070", Address("::1", 7070)),
        ("0.0.0.0:65535", Address("0.0.0.0", 65535)),
        ("unix:/run/s.sock", Address(unix="/run/s.sock")),
    ],
)
def test_an_address_and_its_text(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(address) == text


def test_nothing_is_off() -> None:
    assert parse_address("") is None


@pytest.mark.parametrize(
    "text",
    [
        *[
            "localhost",
            ":7070",
            "a:",
            "a:b",
            "a:65536",
            "a:-1",
            "a:+1",
            "a:\u0665",
            "::1:70",
            "[::g]:1",
            "[127.0.0.1]:1",
        ],
        *["x..y:1", ".x:1", f"{'a' * 64}.x:1"],
        *["unix:", "unix:relative", "unix:/a\0b", "http://a:1", "a b:1", "u@h:1", "é:1"],
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse_address(text)
    assert "host:port" in caught.value.allowed


def test_brackets_are_proposed() -> None:
    with pytest.raises(SettingError) as caught:
        parse_address("::1:7070")
    assert caught.value.nearest == "[::1]:7070"


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("127.0.0.1:1", True),
        ("127.9.9.9:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("app.localhost:1", True),
        ("unix:/a", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
        ("example.org:1", False),
    ],
)
def test_what_only_this_machine_reaches(text: str, loopback: bool) -> None:
    address = parse_address(text)
    assert address is not None
    assert address.loopback is loopback


@pytest.mark.parametrize(
    ("one", "other", "collide"),
    [
        ("127.0.0.1:1", "127.0.0.1:1", True),
        ("127.0.0.1:1", "127.0.0.1:2", False),
        ("127.0.0.1:0", "127.0.0.1:0", False),
        ("127.0.0.1:1", "127.0.0.2:1", False),
        ("0.0.0.0:1", "127.0.0.1:1", True),
        ("[::]:1", "[::1]:1", True),
        ("[::]:1", "127.0.0.1:1", False),
        ("[::1]:1", "[0:0:0:0:0:0:0:1]:1", True),
        ("localhost:1", "127.0.0.1:1", True),
        ("HOST:1", "host:1", True),
        ("unix:/a", "unix:/a", True),
        ("unix:/a", "unix:/b", False),
        ("unix:/a", "127.0.0.1:1", False),
    ],
)
def test_what_cannot_be_bound_twice(one: str, other: str, collide: bool) -> None:
    first, second = parse_address(one), parse_address(other)
    assert first is not None
    assert second is not None
    assert first.collides(second) is second.collides(first) is collide
