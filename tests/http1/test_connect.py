"""Where a connection goes, and one clear line when there is none."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest

from sidecar.call import What
from sidecar.http1.connect import Connector, Origin, tls_context
from sidecar.http1.dial import Name
from sidecar.http1.failures import ConnectFailed
from sidecar.http1.pool import Pool, PoolLimits
from tests.kit.addresses import FakeDns, black_hole, free_port
from tests.kit.caller import PATIENCE
from tests.kit.certificates import Certificates, make_certificates
from tests.kit.peer import listening

if TYPE_CHECKING:
    from pathlib import Path

    from sidecar.http1.client import ClientConnection
    from tests.kit.peer import Peer

pytestmark = pytest.mark.both_loops

GET = b"GET / HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


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
        connection = await Connector(Origin.parse(f"http://[::1]:{upstream.port}")).connect(PATIENCE)
        await says_hello(connection, await upstream.accept())


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "upstream.sock")
    async with listening(path=path) as upstream:
        connection = await Connector(Origin.parse(f"unix:{path}")).connect(PATIENCE)
        await says_hello(connection, await upstream.accept())


async def test_a_name() -> None:
    async with listening() as upstream:
        connection = await Connector(Origin.parse(f"http://localhost:{upstream.port}")).connect(PATIENCE)
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


async def test_a_name_that_is_none() -> None:
    assert "does not resolve" in await failure(Origin.parse("http://a..b"))
    with pytest.raises(ValueError):
        Origin.parse("http://" + "\u00fc" * 80)


async def test_too_slow_to_connect() -> None:
    with black_hole() as port:
        detail = await failure(Origin.parse(f"http://127.0.0.1:{port}"), seconds=0.05)
    assert detail == f"127.0.0.1:{port}: no connection within 0.05 s"


async def test_too_slow_to_resolve() -> None:
    dns = FakeDns()
    dns.hang = True
    name = Name("slow.test", 80, lookup=dns)
    detail = await failure(Origin.parse("http://slow.test"), seconds=0.05, name=name)
    assert detail == "slow.test:80: no connection within 0.05 s"


async def test_tls_with_an_authority_of_ones_own(certificates: Certificates) -> None:
    async with listening(context=certificates.server()) as upstream:
        context = tls_context(ca=certificates.ca)
        for url in (f"https://localhost:{upstream.port}", f"https://127.0.0.1:{upstream.port}"):
            connection = await Connector(Origin.parse(url, context=context)).connect(PATIENCE)
            await says_hello(connection, await upstream.accept())


async def test_tls_connections_are_reused(certificates: Certificates) -> None:
    async with listening(context=certificates.server()) as upstream:
        origin = Origin.parse(f"https://localhost:{upstream.port}", context=tls_context(ca=certificates.ca))
        pool = Pool(Connector(origin), PoolLimits())
        first = await pool.acquire(PATIENCE)
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
        connection = await Connector(Origin.parse(f"https://localhost:{upstream.port}", context=context)).connect(
            PATIENCE
        )
        await says_hello(connection, await upstream.accept())


async def test_tls_to_a_stranger(certificates: Certificates) -> None:
    async with listening(context=certificates.server("stranger")) as upstream:
        url = f"https://localhost:{upstream.port}"
        detail = await failure(Origin.parse(url, context=tls_context(ca=certificates.ca)))
        assert detail == f"localhost:{upstream.port}: TLS: self-signed certificate"
        connection = await Connector(Origin.parse(url, context=tls_context(verify=False))).connect(PATIENCE)
        await says_hello(connection, await upstream.accept())


async def test_tls_for_another_name(certificates: Certificates) -> None:
    async with listening(context=certificates.server()) as upstream:
        url, context = f"https://localhost:{upstream.port}", tls_context(ca=certificates.ca)
        detail = await failure(Origin.parse(url, context=context, server_name="other.test"))
        assert "TLS: Hostname mismatch" in detail
        named = Origin.parse(url, context=context, server_name="service.test")
        await says_hello(await Connector(named).connect(PATIENCE), await upstream.accept())


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
