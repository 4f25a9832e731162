"""Which hosts and origins pass, and which addresses only this machine reaches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.access import LONGEST, host_allowed, hostname, is_loopback, origin_allowed

NONE: frozenset[bytes] = frozenset()
ALLOWED = frozenset({b"sidecar.example.org"})
ORIGINS = frozenset({b"https://app.example.org", b"chrome-extension://abcdef"})


@pytest.mark.parametrize(
    "host",
    [
        b"localhost", b"localhost:7070", b"LOCALHOST:7070", b"localhost.", b"sidecar", b"my-app_1:80", b"",
        b"127.0.0.1", b"127.0.0.1:7070", b"10.1.2.3", b"[::1]", b"[::1]:7070", b"[fe80::1]:1", b"127.1",
        b"app.localhost", b"host.docker.internal:7070", b"nas.home.arpa", b"api.test", b"x.ns.svc",
        b"x.ns.svc.cluster.local:7070", b"sidecar.example.org", b"Sidecar.Example.Org:7070",
    ],
)  # fmt: skip
def test_hosts_of_ones_own_pass(host: bytes) -> None:
    assert host_allowed(host, ALLOWED)


@pytest.mark.parametrize(
    "host",
    [
        b"evil.com", b"evil.com:7070", b"evil.com.", b"127.0.0.1.evil.com", b"localhost.evil.com", b"testing.com",
        b"my.nottest", b"evil.com:80:90", b"evil.com:x", b"user@localhost.evil.com", b"evil.com,x.localhost",
        b"evil.com\xff.test", b"[::1", b"[evil.com]", b".test", b"x..test", b"a b.test", b"sub.sidecar.example.org",
        b"a" * (LONGEST + 1),
    ],
)  # fmt: skip
def test_foreign_hosts_do_not(host: bytes) -> None:
    assert not host_allowed(host, ALLOWED)


@pytest.mark.parametrize(
    "origin",
    [
        b"http://localhost", b"http://localhost:3000", b"https://LOCALHOST:3000", b"http://127.0.0.1:8080",
        b"http://127.9.9.9", b"http://[::1]:5173", b"http://app.localhost", b"tauri://localhost",
        b"https://app.example.org", b"chrome-extension://abcdef", b"http://[::ffff:127.0.0.1]",
    ],
)  # fmt: skip
def test_loopback_and_listed_origins_pass(origin: bytes) -> None:
    assert origin_allowed(origin, ORIGINS)


@pytest.mark.parametrize(
    "origin",
    [
        b"null", b"", b"https://evil.com", b"http://localhost.evil.com", b"http://localhost@evil.com",
        b"http://127.0.0.1.evil.com", b"http://10.0.0.1", b"http://192.168.1.1:3000", b"https://app.example.org:444",
        b"http://app.example.org", b"http://localhost https://evil.com", b"http://evil.com/localhost", b"localhost",
        b"http://", b"http://notlocalhost", b"http://localhost:x", b"file://",
        b"http://" + b"a" * LONGEST + b".localhost",
    ],
)  # fmt: skip
def test_other_origins_do_not(origin: bytes) -> None:
    assert not origin_allowed(origin, ORIGINS)


@pytest.mark.parametrize(
    ("address", "verdict"),
    [
        ("127.0.0.1:7070", True), ("127.0.0.1", True), ("localhost:0", True), ("[::1]:7070", True), ("::1", True),
        ("unix:/run/sidecar.sock", True), ("127.5.5.5:1", True), ("app.localhost:80", True),
        ("[::ffff:127.0.0.1]:1", True), ("0.0.0.0:7070", False), ("[::]:7070", False), (":7070", False), ("", False),
        ("10.0.0.1:7070", False), ("example.org:7070", False), ("localhost.example.org:1", False),
    ],
)  # fmt: skip
def test_addresses_that_only_this_machine_reaches(address: str, verdict: bool) -> None:
    assert is_loopback(address) is verdict


@given(st.binary(max_size=400))
def test_any_bytes_have_a_verdict(value: bytes) -> None:
    assert host_allowed(value, NONE) in {True, False}
    assert origin_allowed(value, NONE) in {True, False}


@given(st.from_regex(r"[a-z]{1,8}(\.[a-z]{1,8}){0,2}\.(com|net|org|dev)(:[0-9]{1,5})?", fullmatch=True))
def test_no_public_name_passes(name: str) -> None:
    assert not host_allowed(name.encode(), NONE)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"Example.org", b"example.org"),
        (b"example.org:8080", b"example.org"),
        (b"127.0.0.1:80", b"127.0.0.1"),
        (b"[::1]:80", b"[::1]"),
        (b"[::1]", b"[::1]"),
        (b"", b""),
    ],
)
def test_a_host_without_its_port(host: bytes, name: bytes) -> None:
    assert hostname(host) == name
