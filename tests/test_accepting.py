"""Where callers come in: addresses of each kind, and a pause while there are too many."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from sidecar import accepting
from sidecar.accepting import bind
from sidecar.http1.connections import Connections
from sidecar.settings import parse_address
from tests.kit.caller import Caller
from tests.kit.certificates import Certificates, make_certificates
from tests.kit.peer import listening
from tests.kit.running import one, request, running, until
from tests.kit.scripted import OK, scripted

if TYPE_CHECKING:
    from pathlib import Path

    from sidecar.settings.address import Address

pytestmark = pytest.mark.both_loops


def listen(http: str) -> str:
    return f'[listen]\nhttp = "{http}"\nadmin = ""\ngrpc = ""\n'


def address(text: str) -> Address:
    found = parse_address(text)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


async def test_ipv6() -> None:
    async with scripted() as upstream, running(one(upstream.url, more=listen("[::1]:0"))) as sidecar:
        assert sidecar.daemon.addresses["http"].startswith("[::1]:")
        assert (await sidecar.ask("/")).body == b"ok"


async def test_a_name_with_two_addresses_is_served_on_both_with_one_port() -> None:
    async with scripted() as upstream, running(one(upstream.url, more=listen("localhost:0"))) as sidecar:
        for host in {str(info[4][0]) for info in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}:
            caller = Caller(*await asyncio.open_connection(host, sidecar.port))
            caller.send(request("/"))
            assert (await caller.answer()).body == b"ok"
            await caller.close()


async def test_a_unix_socket_has_no_foreign_hosts_and_its_file_goes_with_the_sidecar(tmp_path: Path) -> None:
    path = tmp_path / "in.sock"
    async with scripted() as upstream, running(one(upstream.url, more=listen(f"unix:{path}"))) as sidecar:
        assert sidecar.daemon.addresses["http"] == f"unix:{path}"
        assert (await sidecar.ask("/", "Host: any.example.com")).body == b"ok"
    assert not path.exists()


async def test_a_socket_file_that_a_dead_process_left_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "in.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    (taken,) = bind(address(f"unix:{path}"))
    with pytest.raises(OSError, match="in use"):
        bind(address(f"unix:{path}"))
    taken.close()


async def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError) as caught:
        bind(address(f"127.0.0.1:{taken.getsockname()[1]}"))
    assert caught.value.errno == errno.EADDRINUSE


async def test_tls_asks_the_caller_for_a_certificate_of_the_authority(certificates: Certificates) -> None:
    cert, key = certificates.pair("server")
    tls = f'http_tls = {{ cert = "{cert}", key = "{key}", client_ca = "{certificates.ca}" }}\n'
    client = certificates.client()
    async with (
        scripted() as upstream,
        running(one(upstream.url, more=listen("127.0.0.1:0") + tls), client_tls=client) as sidecar,
    ):
        assert (await sidecar.ask("/")).body == b"ok"
        with pytest.raises(OSError):  # ssl.SSLError or a reset, as the loop sees it first
            await unknown(sidecar.port, certificates)
        assert len(upstream.requests) == 1


async def unknown(port: int, certificates: Certificates) -> None:
    """A caller without a certificate; with TLS 1.3 it hears of that when it reads."""
    caller = await Caller.connect(port, tls=certificates.client(name=""))
    try:
        caller.send(request("/"))
        if not await caller.ended():
            raise ConnectionResetError
    finally:
        await caller.close()


async def test_beyond_max_connections_callers_wait_outside() -> None:
    limits = "[limits]\nmax_connections = 2\n"
    async with listening() as upstream, running(one(upstream.url, more=limits)) as sidecar:
        first, second = await sidecar.caller(), await sidecar.caller()
        await sidecar.until(lambda: sidecar.connections.count == 2)
        third = await sidecar.caller()  # the system's queue takes it
        third.send(request("/3"))
        first.send(request("/1"))
        peer = await upstream.accept()
        await peer.request()
        peer.say(OK)
        assert (await first.answer()).body == b"ok"
        assert sidecar.connections.count == 2
        assert upstream.pending() == 0
        await second.close()
        assert (await peer.request()).startswith(b"GET /3 ")
        peer.say(OK)
        assert (await third.answer()).body == b"ok"


async def test_callers_that_come_all_at_once_are_not_all_let_in() -> None:
    limits = "[limits]\nmax_connections = 10\n"
    async with scripted() as upstream, running(one(upstream.url, more=limits)) as sidecar:
        callers = await asyncio.gather(*(sidecar.caller() for _ in range(200)))
        for caller in callers:
            caller.send(request("/", "Connection: close"))
        most = 0

        def count() -> bool:
            nonlocal most
            most = max(most, sidecar.connections.count)
            return len(upstream.requests) == 200

        await until(count)
        assert most <= 10


async def test_without_a_descriptor_accepting_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "TRY_AGAIN", 0.01)
    accept, refused = accepting.next_caller, 0

    async def poor(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> socket.socket:
        nonlocal refused
        if refused < 2:
            refused += 1
            raise OSError(errno.EMFILE, "Too many open files")
        return await accept(loop, sock)

    monkeypatch.setattr(accepting, "next_caller", poor)
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        assert (await sidecar.ask("/")).body == b"ok"
        assert refused == 2
        await sidecar.log.saying("cannot accept callers")


async def test_a_handshake_that_fails_ends_nobody_elses_connection(certificates: Certificates) -> None:
    cert, key = certificates.pair("server")
    tls = f'http_tls = {{ cert = "{cert}", key = "{key}" }}\n'
    limits = "[limits]\nmax_connections = 1\n"
    client = certificates.client()
    async with (
        scripted() as upstream,
        running(one(upstream.url, more=listen("127.0.0.1:0") + tls + limits), client_tls=client) as sidecar,
    ):
        for nonsense in (b"GET / HTTP/1.1\r\n\r\n", b""):
            stranger = await Caller.connect(sidecar.port)
            stranger.send(nonsense)
            await stranger.close()
        assert (await sidecar.ask("/")).body == b"ok"


async def test_a_caller_that_left_before_it_was_let_in_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "TRY_AGAIN", 3600.0)
    accept, gone = accepting.next_caller, [ConnectionAbortedError(errno.ECONNABORTED, "aborted"), BlockingIOError()]

    async def hasty(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> socket.socket:
        if gone:
            raise gone.pop()
        return await accept(loop, sock)

    monkeypatch.setattr(accepting, "next_caller", hasty)
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        assert (await sidecar.ask("/")).body == b"ok"


async def test_who_does_not_begin_tls_is_sent_away(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "HANDSHAKE", 0.05)
    cert, key = certificates.pair("server")
    tls = f'http_tls = {{ cert = "{cert}", key = "{key}" }}\n'
    limits = "[limits]\nmax_connections = 1\n"
    client = certificates.client()
    async with (
        scripted() as upstream,
        running(one(upstream.url, more=listen("127.0.0.1:0") + tls + limits), client_tls=client) as sidecar,
    ):
        silent = await Caller.connect(sidecar.port)
        assert (await sidecar.ask("/")).body == b"ok"
        await silent.close()


async def test_a_caller_that_comes_in_the_turn_in_which_accepting_ends_is_refused_and_not_lost() -> None:
    (sock,) = bind(address("127.0.0.1:0"))
    acceptor = accepting.Acceptor([sock], asyncio.Protocol, Connections(), most=10)
    acceptor.start()
    await asyncio.sleep(0)  # it waits for a caller now
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, what: complaints.append(what))
    with socket.create_connection(sock.getsockname()) as caller:
        loop.call_soon(acceptor.close)  # the loop sees the caller behind it, in the same turn
        await until(lambda: sock.fileno() < 0)
        with contextlib.suppress(ConnectionResetError):  # as far as it had come
            assert caller.recv(1) == b""
    assert complaints == []


async def test_a_caller_whose_welcome_never_begins_is_let_go() -> None:
    here, there = socket.socketpair()
    welcome = asyncio.ensure_future(asyncio.sleep(0))
    welcome.add_done_callback(partial(accepting.let_go, here))
    welcome.cancel()
    await asyncio.wait([welcome])
    with there:
        assert (here.fileno(), there.recv(1)) == (-1, b"")
