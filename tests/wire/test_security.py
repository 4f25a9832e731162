"""Claims of docs/security.md that no other test holds: what a sidecar opens, and where it lets itself be led."""

from __future__ import annotations

import os
import stat
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit.peer import listening
from tests.kit.process import sidecar_process
from tests.kit.refused import refusal
from tests.kit.running import one, request, running
from tests.kit.scripted import reply, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kit.process import Process

LISTENS = "0A"
"""The state of a socket in /proc/net/tcp that waits for callers (Linux, include/net/tcp_states.h)."""


def _address(text: str) -> str:
    """`0100007F:1B9E` is 127.0.0.1: words of four bytes, each turned round. One of IPv4 on an IPv6 socket is that."""
    words = bytes.fromhex(text.partition(":")[0])
    found = ip_address(b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4)))
    return str(getattr(found, "ipv4_mapped", None) or found)


def sockets(process: Process, protocol: str) -> Iterator[tuple[str, str]]:
    """The address and the state of each of its sockets of `tcp`, `tcp6`, `udp` or `udp6`."""
    here = Path(f"/proc/{process.process.pid}")
    links = [str(descriptor.readlink()) for descriptor in (here / "fd").iterdir()]
    own = {link.removeprefix("socket:[").rstrip("]") for link in links if link.startswith("socket:[")}
    for line in (here / "net" / protocol).read_text().splitlines()[1:]:
        fields = line.split()
        if fields[9] in own:
            yield _address(fields[1]), fields[3]


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux tells it here")
async def test_what_it_opens_is_on_loopback_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "sidecar.toml"
    usual = '[listen]\nhttp = "127.0.0.1:0"\ngrpc = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n'
    file.write_text(one("http://127.0.0.1:1", more=usual))
    async with sidecar_process(file) as sidecar:
        tcp = [*sockets(sidecar, "tcp"), *sockets(sidecar, "tcp6")]
        udp = [*sockets(sidecar, "udp"), *sockets(sidecar, "udp6")]
    assert [address for address, state in tcp if state == LISTENS] == ["127.0.0.1"] * 3
    assert udp == []


async def test_a_unix_socket_is_written_to_by_whom_the_umask_lets(tmp_path: Path) -> None:
    """To connect is to write (unix(7)): under the usual umask nobody but the user may."""
    before = os.umask(0o022)
    try:
        policy = one(
            "http://127.0.0.1:1", more=f'[listen]\nhttp = "unix:{tmp_path}/http"\nadmin = "unix:{tmp_path}/a"\n'
        )
        async with running(policy):
            modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("http", "a")]
    finally:
        os.umask(before)
    assert [mode & 0o022 for mode in modes] == [0, 0]


@pytest.mark.parametrize(
    "asked",
    [
        "GET http://{elsewhere}/ HTTP/1.1\r\nHost: {elsewhere}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: {elsewhere}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: {elsewhere}\r\nForwarded: host={elsewhere}\r\n\r\n",
        "GET //{elsewhere}/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /@{elsewhere}/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
async def test_no_caller_says_where_a_call_goes(asked: str) -> None:
    async with listening() as elsewhere, scripted() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(asked.format(elsewhere=elsewhere.url.removeprefix("http://")).encode())
        assert (await caller.answer()).status == 200
        assert len(upstream.requests) == 1
        assert elsewhere.pending() == 0


async def test_nobody_gets_a_tunnel_to_a_place_of_his_choice() -> None:
    async with listening() as elsewhere, running(one(elsewhere.url)) as sidecar:
        caller = await sidecar.caller()
        place = elsewhere.url.removeprefix("http://")
        caller.send(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
        assert refusal(await caller.answer()) == (501, "not_implemented")
        assert elsewhere.pending() == 0


async def test_a_redirect_is_told_to_the_caller_and_not_followed() -> None:
    async with listening() as elsewhere:
        moved = reply("307 Temporary Redirect", f"Location: {elsewhere.url}/")
        async with scripted(moved) as upstream, running(one(upstream.url)) as sidecar:
            answer = await sidecar.ask("/")
            assert (answer.status, answer.fields["location"]) == (307, f"{elsewhere.url}/")
            assert len(upstream.requests) == 1
            assert elsewhere.pending() == 0


async def test_what_an_upstream_says_of_us_is_not_believed() -> None:
    """A reply that names our own headers does not change what callers are told of the call."""
    lies = ("X-Sidecar-Route: another", "X-Sidecar-Upstream: another", "X-Sidecar-Attempts: 99")
    async with scripted(reply("200 OK", *lies)) as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/"))
        head = (await caller.reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert [head.count(f"x-sidecar-{name}: ") for name in ("route", "upstream", "attempts")] == [1, 1, 1]
        assert "x-sidecar-route: r\r\n" in head
        assert "x-sidecar-attempts: 1\r\n" in head
