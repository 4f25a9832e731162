"""Where a connection goes, and one clear line when there is none."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.call import What
from sidecar.http1.connect import Connector, Origin, tls_context
from sidecar.http1.dial import Name, dial
from sidecar.http1.failures import ConnectFailed
from sidecar.http1.pool import Pool, PoolLimits
from tests.kit.certificates import Certificates, make_certificates
from tests.kit.peer import listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sidecar.http1.client import ClientConnection
    from tests.kit.peer import Peer

pytestmark = pytest.mark.both_loops

GET = b"GET / HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that answers nothing: the line of its listener is full, so that the kernel drops what comes."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        for _ in range(2):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class FakeDns:
    """Answers with what the test says, and counts how often it was asked."""

    def __init__(self, *hosts: str) -> None:
        self.hosts = hosts
        self.asked = 0
        self.hang = False

    async def __call__(self, host: str, port: int, *, type: int) -> list[Any]:  # noqa: A002
        self.asked += 1
        if self.hang:
            await asyncio.get_running_loop().create_future()
        if not self.hosts:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6, type, 6, "", (at, port, 0, 0)) if ":" in at else (socket.AF_INET, type, 6, "", (at, port))
            for at in self.hosts
        ]


async def says_hello(connection: ClientConnection, peer: Peer) -> None:
    connection.send(GET)
    assert await peer.request() == GET
    peer.say(OK)
    assert (await connection.head()).whole == b"hi"
    connection.close()


async def failure(origin: Origin, seconds: float = 5, name: Name | None = None) -> str:
    connector = Connector(origin, name=name)
    with pytest.raises(ConnectFailed) as caught:
        await connector.connect(seconds)
    assert caught.value.what is What.NO_CONNECTION
    assert "\n" not in caught.value.detail
    await connector.aclose()
    return caught.value.detail


@pytest.mark.parametrize(
    ("url", "authority", "port"),
    [
        ("http://example.test", b"example.test", 80),
        ("http://example.test:80/base", b"example.test", 80),
        ("https://example.test", b"example.test", 443),
        ("https://example.test:80", b"example.test:80", 80),
        ("http://[::1]:8080", b"[::1]:8080", 8080),
        ("http://[::1]", b"[::1]", 80),
        ("http://10.0.0.1:8080", b"10.0.0.1:8080", 8080),
        ("http://b\u00fccher.test", b"xn--bcher-kva.test", 80),
        ("unix:/run/a.sock", b"localhost", 80),
    ],
)
async def test_what_a_url_says(url: str, authority: bytes, port: int) -> None:
    origin = Origin.parse(url)
    assert (origin.authority, origin.port) == (authority, port)
    assert (origin.context is not None) is url.startswith("https:")


@pytest.mark.parametrize("url", ["ftp://a", "example.test", "http://", "http://user:secret@", "http://a:99999"])
async def test_what_is_no_url_of_ours_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        Origin.parse(url)
    assert "secret" not in str(caught.value)


async def test_ipv4() -> None:
    async with listening() as upstream:
        await says_hello(*await upstream.pair())


async def test_ipv6() -> None:
    async with listening(host="::1") as upstream:
        connection = await Connector(Origin.parse(f"http://[::1]:{upstream.port}")).connect(5)
        await says_hello(connection, await upstream.accept())


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "upstream.sock")
    async with listening(path=path) as upstream:
        connection = await Connector(Origin.parse(f"unix:{path}")).connect(5)
        await says_hello(connection, await upstream.accept())


async def test_a_name() -> None:
    async with listening() as upstream:
        connection = await Connector(Origin.parse(f"http://localhost:{upstream.port}")).connect(5)
        await says_hello(connection, await upstream.accept())


async def test_refused() -> None:
    port = free_port()
    assert await failure(Origin.parse(f"http://127.0.0.1:{port}")) == f"127.0.0.1:{port}: connection refused"


async def test_no_such_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "none.sock"
    assert await failure(Origin.parse(f"unix:{path}")) == f"{path}: No such file or directory"


async def test_no_such_name() -> None:
    name = Name("nowhere.test", 80, lookup=FakeDns())
    detail = await failure(Origin.parse("http://nowhere.test"), name=name)
    assert detail == "nowhere.test:80: nowhere.test does not resolve: Name or service not known"


async def test_too_slow_to_connect(black_hole: int) -> None:
    detail = await failure(Origin.parse(f"http://127.0.0.1:{black_hole}"), seconds=0.05)
    assert detail == f"127.0.0.1:{black_hole}: no connection within 0.05 s"


async def test_too_slow_to_resolve() -> None:
    dns = FakeDns()
    dns.hang = True
    name = Name("slow.test", 80, lookup=dns)
    detail = await failure(Origin.parse("http://slow.test"), seconds=0.05, name=name)
    assert detail == "slow.test:80: no connection within 0.05 s"


async def test_the_first_address_that_answers_wins(black_hole: int) -> None:
    async with listening() as upstream:
        refusing = free_port()
        ports = [refusing, black_hole, upstream.port, black_hole]
        loop = asyncio.get_running_loop()
        began = loop.time()
        winner = await dial([(socket.AF_INET, ("127.0.0.1", port)) for port in ports])
        # The refusal goes on to the black hole at once, and 250 ms of silence to the next.
        assert 0.2 < loop.time() - began < 2
        assert winner.getpeername()[1] == upstream.port
        winner.close()


async def test_families_take_turns() -> None:
    async with listening(host="::1") as upstream:
        refusing = free_port()
        four = (socket.AF_INET, ("127.0.0.1", refusing))
        winner = await dial([four, four, (socket.AF_INET6, ("::1", upstream.port, 0, 0))])
        assert winner.family == socket.AF_INET6
        winner.close()


async def test_when_no_address_answers_each_reason_is_told_once() -> None:
    refusing = (socket.AF_INET, ("127.0.0.1", free_port()))
    with pytest.raises(ConnectFailed, match=r"^connection refused$"):
        await dial([refusing, refusing, refusing])


async def test_a_race_that_is_cancelled_leaves_no_socket(black_hole: int) -> None:
    racing = asyncio.create_task(dial([(socket.AF_INET, ("127.0.0.1", black_hole))] * 3))
    await asyncio.wait({racing}, timeout=0.3)
    racing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await racing  # a socket left open would be a ResourceWarning, and that an error


async def test_a_name_is_looked_up_once_for_many_connections() -> None:
    async with listening() as upstream:
        dns = FakeDns("127.0.0.1")
        origin = Origin.parse(f"http://service.test:{upstream.port}")
        connector = Connector(origin, name=Name(origin.host, origin.port, lookup=dns))
        connections = await asyncio.gather(*(connector.connect(5) for _ in range(5)))
        assert dns.asked == 1
        for connection in connections:
            connection.close()


async def test_a_name_that_moved_takes_new_connections_along_and_old_ones_are_not_reused() -> None:
    async with listening() as old, listening(host="::1") as new:
        dns = FakeDns("127.0.0.1")
        origin = Origin.parse(f"http://service.test:{old.port}")
        pool = Pool(Connector(origin, name=Name(origin.host, origin.port, lookup=dns, lifetime=0.05)), PoolLimits())
        idle, busy = await pool.acquire(5), await pool.acquire(5)
        pool.release(idle)
        dns.hosts = ("::1",)
        await asyncio.sleep(0.06)
        again = pool.try_acquire()  # notices that it is time to ask; the answer is for the next one
        assert again is idle
        await asyncio.sleep(0.01)
        pool.release(again)
        pool.release(busy)
        assert pool.stats().idle == 0
        assert await (await old.accept()).ended()
        assert new.pending() == 0
        await pool.aclose()


async def test_new_connections_go_where_the_name_moved() -> None:
    async with listening(host="::1") as new:
        dns = FakeDns("127.0.0.1")
        origin = Origin.parse(f"http://service.test:{new.port}")
        connector = Connector(origin, name=Name(origin.host, origin.port, lookup=dns, lifetime=0))
        with pytest.raises(ConnectFailed, match="connection refused"):
            await connector.connect(5)
        dns.hosts = ("::1",)
        connection = await connector.connect(5)
        assert isinstance(connection.peer, tuple)
        assert connection.peer[0] == "::1"
        connection.close()


@pytest.mark.parametrize("hang", [False, True])
async def test_old_addresses_serve_on_while_the_name_does_not_resolve(hang: bool) -> None:
    async with listening() as upstream:
        dns = FakeDns("127.0.0.1")
        origin = Origin.parse(f"http://service.test:{upstream.port}")
        connector = Connector(origin, name=Name(origin.host, origin.port, lookup=dns, lifetime=0))
        (await connector.connect(5)).close()
        dns.hosts, dns.hang = (), hang
        (await connector.connect(5)).close()
        assert dns.asked == 2
        await connector.aclose()


async def test_a_name_that_did_not_resolve_is_asked_again() -> None:
    async with listening() as upstream:
        dns = FakeDns()
        origin = Origin.parse(f"http://service.test:{upstream.port}")
        connector = Connector(origin, name=Name(origin.host, origin.port, lookup=dns))
        with pytest.raises(ConnectFailed):
            await connector.connect(5)
        dns.hosts = ("127.0.0.1",)
        (await connector.connect(5)).close()


async def test_tls_with_an_authority_of_ones_own(certificates: Certificates) -> None:
    async with listening(context=certificates.server()) as upstream:
        context = tls_context(ca=certificates.ca)
        for url in (f"https://localhost:{upstream.port}", f"https://127.0.0.1:{upstream.port}"):
            connection = await Connector(Origin.parse(url, context=context)).connect(5)
            await says_hello(connection, await upstream.accept())


async def test_tls_connections_are_reused(certificates: Certificates) -> None:
    async with listening(context=certificates.server()) as upstream:
        origin = Origin.parse(f"https://localhost:{upstream.port}", context=tls_context(ca=certificates.ca))
        pool = Pool(Connector(origin), PoolLimits())
        first = await pool.acquire(5)
        peer = await upstream.accept()
        for _ in range(3):
            first.send(GET)
            peer.say(OK)
            assert (await first.head()).whole == b"hi"
            pool.release(first)
            assert pool.try_acquire() is first
        pool.release(first)
        peer.end()
        while not first.is_dead():  # noqa: ASYNC110  nothing tells when a socket becomes readable
            await asyncio.sleep(0)
        assert pool.try_acquire() is None
        await pool.aclose()


async def test_tls_with_a_certificate_of_ours(certificates: Certificates) -> None:
    async with listening(context=certificates.server(ask_client=True)) as upstream:
        cert, key = certificates.pair("client")
        context = tls_context(ca=certificates.ca, cert=cert, key=key)
        connection = await Connector(Origin.parse(f"https://localhost:{upstream.port}", context=context)).connect(5)
        await says_hello(connection, await upstream.accept())


async def test_tls_to_a_stranger(certificates: Certificates) -> None:
    async with listening(context=certificates.server("stranger")) as upstream:
        url = f"https://localhost:{upstream.port}"
        detail = await failure(Origin.parse(url, context=tls_context(ca=certificates.ca)))
        assert detail == f"localhost:{upstream.port}: TLS: self-signed certificate"
        connection = await Connector(Origin.parse(url, context=tls_context(verify=False))).connect(5)
        await says_hello(connection, await upstream.accept())


async def test_tls_for_another_name(certificates: Certificates) -> None:
    async with listening(context=certificates.server()) as upstream:
        url, context = f"https://localhost:{upstream.port}", tls_context(ca=certificates.ca)
        detail = await failure(Origin.parse(url, context=context, server_name="other.test"))
        assert "TLS: Hostname mismatch" in detail
        named = Origin.parse(url, context=context, server_name="service.test")
        await says_hello(await Connector(named).connect(5), await upstream.accept())


async def test_tls_where_there_is_none() -> None:
    async with listening() as upstream:
        connecting = asyncio.create_task(failure(Origin.parse(f"https://localhost:{upstream.port}")))
        (await upstream.accept()).say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        assert "TLS: wrong version number" in await connecting or "TLS: record layer failure" in await connecting


async def test_tls_that_never_answers() -> None:
    async with listening() as upstream:
        detail = await failure(Origin.parse(f"https://localhost:{upstream.port}"), seconds=0.1)
        assert detail == f"localhost:{upstream.port}: no connection within 0.1 s"
        peer = await upstream.accept()
        await peer.reader.read()  # the hello, and then the end


async def test_an_upstream_that_closes_in_the_handshake() -> None:
    async with listening() as upstream:
        connecting = asyncio.create_task(failure(Origin.parse(f"https://localhost:{upstream.port}")))
        (await upstream.accept()).reset()
        assert (await connecting).startswith(f"localhost:{upstream.port}: ")


async def test_tls_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        tls_context(ca=str(tmp_path / "none.pem"))
    (tmp_path / "bad.pem").write_text("not a certificate")
    with pytest.raises(ssl.SSLError):
        tls_context(ca=str(tmp_path / "bad.pem"))
