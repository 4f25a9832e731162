"""Which proxy the environment means, and how connections go through it."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.http1.connect import Connector, Origin, tls_context
from sidecar.http1.failures import ConnectFailed
from sidecar.http1.proxy import Proxy, proxy_from
from tests.kit.caller import PATIENCE
from tests.kit.certificates import Certificates, make_certificates
from tests.kit.peer import Peer, listening

CORPORATE = {"HTTPS_PROXY": "http://proxy.corp:3128", "http_proxy": "proxy.corp"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://proxy.corp:3128", Proxy("proxy.corp", 3128)),
        ("proxy.corp", Proxy("proxy.corp", 80)),
        ("proxy.corp:8080", Proxy("proxy.corp", 8080)),
        ("https://proxy.corp", Proxy("proxy.corp", 443, secure=True)),
        ("http://[::1]:3128", Proxy("::1", 3128)),
        ("http://me:pass%40word@proxy.corp", Proxy("proxy.corp", 80, authorization=b"Basic bWU6cGFzc0B3b3Jk")),
        ("http://me@proxy.corp", Proxy("proxy.corp", 80, authorization=b"Basic bWU6")),
    ],
)
def test_what_a_proxy_url_says(url: str, proxy: Proxy) -> None:
    assert Proxy.parse(url) == proxy


@pytest.mark.parametrize("url", ["socks5://me:secret@proxy.corp", "http://me:secret@", "http://"])
def test_what_is_no_proxy_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="a proxy is http://host:port") as caught:
        Proxy.parse(url)
    assert "secret" not in str(caught.value)


def test_each_scheme_has_its_own() -> None:
    assert proxy_from(CORPORATE, "https", "api.example", 443) == Proxy("proxy.corp", 3128)
    assert proxy_from(CORPORATE, "http", "api.example", 80) == Proxy("proxy.corp", 80)
    assert proxy_from({}, "https", "api.example", 443) is None


def test_lower_case_comes_first() -> None:
    environ = {"https_proxy": "http://lower.corp", "HTTPS_PROXY": "http://upper.corp"}
    assert proxy_from(environ, "https", "api.example", 443) == Proxy("lower.corp", 80)


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "redis", "redis.", "a.localhost", "::ffff:127.0.0.1"]
)
def test_never_for_neighbours(host: str) -> None:
    assert proxy_from(CORPORATE, "https", host, 443) is None


@pytest.mark.parametrize(
    ("listed", "host", "port", "exempt"),
    [
        ("*", "api.example", 443, True),
        ("api.example", "api.example", 443, True),
        ("api.example", "API.Example.", 443, True),
        ("example", "api.example", 443, True),
        (".example", "api.example", 443, True),
        ("*.example", "api.example", 443, True),
        ("ample", "api.example", 443, False),
        ("other, api.example", "api.example", 443, True),
        ("", "api.example", 443, False),
        (",", "api.example", 443, False),
        (".", "api.example", 443, False),
        ("api.example:8443", "api.example", 443, False),
        ("api.example:443", "api.example", 443, True),
        ("10.0.0.0/8", "10.1.2.3", 443, True),
        ("10.0.0.0/8", "11.1.2.3", 443, False),
        ("10.1.2.3", "10.1.2.3", 443, True),
        ("10.1.2.3:443", "10.1.2.3", 443, True),
        ("10.1.2.3:80", "10.1.2.3", 443, False),
        ("example", "10.1.2.3", 443, False),
        ("fd00::/8", "fd00::1", 443, True),
        ("[fd00::1]:443", "fd00::1", 443, True),
        ("[fd00::1]:80", "fd00::1", 443, False),
    ],
)
def test_what_no_proxy_exempts(listed: str, host: str, port: int, exempt: bool) -> None:
    assert (proxy_from({**CORPORATE, "NO_PROXY": listed}, "https", host, port) is None) is exempt


def test_an_explicit_proxy_wins() -> None:
    environ = {"HTTPS_PROXY": "http://other.corp", "NO_PROXY": "*"}
    assert Origin.parse("https://localhost", proxy="http://proxy.corp", environ=environ).proxy == Proxy(
        "proxy.corp", 80
    )


def test_an_origin_asks_only_the_environment_it_was_given() -> None:
    assert Origin.parse("https://api.example").proxy is None
    assert Origin.parse("https://api.example", environ=CORPORATE).proxy == Proxy("proxy.corp", 3128)
    assert Origin.parse("unix:/run/a.sock", environ=CORPORATE, proxy="http://proxy.corp").proxy is None


def test_plain_http_through_a_proxy_takes_whole_urls_and_the_credentials_with_each_request() -> None:
    origin = Origin.parse("http://api.example", proxy="http://me:you@proxy.corp")
    assert origin.absolute_form
    assert origin.proxy_authorization == b"Basic bWU6eW91"
    direct = Origin.parse("http://api.example")
    assert (direct.absolute_form, direct.proxy_authorization) == (False, b"")
    tunnelled = Origin.parse("https://api.example", proxy="http://me:you@proxy.corp")
    assert (tunnelled.absolute_form, tunnelled.proxy_authorization) == (False, b"")


@pytest.mark.both_loops
async def test_plain_http_goes_to_the_proxy_itself() -> None:
    async with listening() as proxy:
        connector = Connector(Origin.parse("http://api.example", proxy=proxy.url))
        connection = await connector.connect(PATIENCE)
        connection.send(b"GET http://api.example/ HTTP/1.1\r\n\r\n")
        peer = await proxy.accept()
        assert await peer.request() == b"GET http://api.example/ HTTP/1.1\r\n\r\n"
        connection.close()


async def carry(proxy: Peer, port: int) -> None:
    """What a proxy does after it has said 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while piece := await source.read(65536):
            target.write(piece)
        target.close()

    await asyncio.gather(copy(proxy.reader, writer), copy(reader, proxy.writer), return_exceptions=True)


@pytest.mark.both_loops
@pytest.mark.parametrize("secure_proxy", [False, True])
async def test_https_goes_through_a_tunnel(certificates: Certificates, secure_proxy: bool) -> None:
    async with (
        listening(context=certificates.server()) as upstream,
        listening(context=certificates.server() if secure_proxy else None) as proxy,
    ):
        context = tls_context(ca=certificates.ca)
        url = f"{'https' if secure_proxy else 'http'}://me:you@localhost:{proxy.port}"
        origin = Origin.parse(f"https://service.test:{upstream.port}", context=context, proxy=url)
        connector = Connector(origin, proxy_context=context if secure_proxy else None)
        connecting = asyncio.create_task(connector.connect(PATIENCE))
        peer = await proxy.accept()
        assert await peer.request() == (
            b"CONNECT service.test:%d HTTP/1.1\r\nHost: service.test:%d\r\nProxy-Authorization: Basic bWU6eW91\r\n\r\n"
            % (upstream.port, upstream.port)
        )
        peer.say(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")
        carrying = asyncio.create_task(carry(peer, upstream.port))
        connection = await connecting
        connection.send(b"GET / HTTP/1.1\r\n\r\n")
        far = await upstream.accept()
        far.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        assert (await connection.head()).whole == b"hi"
        connection.close()
        await carrying


@pytest.mark.both_loops
@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 4\r\n\r\nno!\n",
            "answered CONNECT with 407 Proxy",
        ),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "answered CONNECT with 502 Bad Gateway"),
        (b"HTTP/1.1 200 OK\r\n\r\nsurplus", "spoke before TLS began"),
        (b"garbage\r\n\r\n", "Expected HTTP/"),
        (b"", "closed"),
    ],
)
async def test_a_proxy_that_will_not(answer: bytes, detail: str) -> None:
    async with listening() as proxy:
        origin = Origin.parse("https://api.example", proxy=proxy.url)
        connecting = asyncio.create_task(Connector(origin).connect(PATIENCE))
        peer = await proxy.accept()
        assert (await peer.request()).startswith(b"CONNECT api.example:443 HTTP/1.1\r\n")
        peer.say(answer)
        peer.end()
        with pytest.raises(ConnectFailed, match=detail) as caught:
            await connecting
        assert caught.value.detail.startswith(f"127.0.0.1:{proxy.port}: ")


@pytest.mark.both_loops
async def test_a_proxy_that_never_answers() -> None:
    async with listening() as proxy:
        with pytest.raises(ConnectFailed, match=r"no connection within 0\.1 s"):
            await Connector(Origin.parse("https://api.example", proxy=proxy.url)).connect(0.1)
        await (await proxy.accept()).reader.read()  # to its end: it has been left


@pytest.mark.both_loops
async def test_a_certificate_is_checked_behind_the_proxy_too(certificates: Certificates) -> None:
    async with listening(context=certificates.server()) as upstream, listening() as proxy:
        origin = Origin.parse(
            f"https://other.test:{upstream.port}", context=tls_context(ca=certificates.ca), proxy=proxy.url
        )
        connecting = asyncio.create_task(Connector(origin).connect(PATIENCE))
        peer = await proxy.accept()
        await peer.request()
        peer.say(b"HTTP/1.1 200 OK\r\n\r\n")
        carrying = asyncio.create_task(carry(peer, upstream.port))
        with pytest.raises(ConnectFailed, match="TLS: Hostname mismatch"):
            await connecting
        await carrying
