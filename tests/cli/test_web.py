"""A listener as commands call it: what it hears, and what a command says of everything that is no answer."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from sidecar.cli import web as module
from sidecar.cli.trouble import Trouble
from sidecar.cli.web import Heard, Web
from tests.kit.addresses import free_port
from tests.kit.blunt import answer, blunt
from tests.kit.certificates import Certificates, make_certificates

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


async def ask(web: Web, path: str = "/x") -> Heard:
    return await asyncio.to_thread(web.ask, "GET", path)


async def trouble(url: str, timeout: float = 5) -> str:  # noqa: ASYNC109 - the client's own
    with pytest.raises(Trouble) as raised:
        await ask(Web(url, timeout=timeout))
    assert raised.value.code == 1
    return str(raised.value)


async def test_an_answer() -> None:
    async with blunt(b"HTTP/1.1 201 Made\r\nA: 1\r\na: 2\r\nContent-Length: 2\r\n\r\nhi") as there:
        assert await ask(Web(there.url)) == (201, {"a": "1, 2", "content-length": "2"}, b"hi")
    assert there.heard[0].startswith(b"GET /x HTTP/1.1\r\n")


async def test_an_answer_in_chunks() -> None:
    said = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n"
    async with blunt(said) as there:
        assert (await ask(Web(there.url))).body == b"hi!"


async def test_the_path_of_the_url_comes_first() -> None:
    async with blunt(answer(b"")) as there:
        await ask(Web(f"{there.url}/behind/ä b/"))
    assert there.heard[0].startswith(b"GET /behind/%C3%A4%20b/x HTTP/1.1\r\n")


async def test_an_address_without_a_scheme() -> None:
    async with blunt(answer(b"ok")) as there:
        assert (await ask(Web(there.url.removeprefix("http://")))).body == b"ok"


async def test_a_unix_socket(tmp_path: Path) -> None:
    async with blunt(answer(b"ok"), unix=f"{tmp_path}/s") as there:
        assert (await ask(Web(there.url))).body == b"ok"
    assert there.heard[0].startswith(b"GET /x HTTP/1.1\r\nHost: localhost\r\n")
    assert await trouble(f"unix:{tmp_path}/none") == f"unix:{tmp_path}/none does not answer: No such file or directory"


async def test_tls_by_an_authority_that_the_system_trusts(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with blunt(answer(b"ok"), tls=certificates.server()) as there:
        assert "its certificate is not trusted" in (said := await trouble(there.url))
        assert "$SSL_CERT_FILE" in said
        monkeypatch.setenv("SSL_CERT_FILE", certificates.ca)
        assert (await ask(Web(there.url))).body == b"ok"


async def test_tls_where_none_is_spoken() -> None:
    async with blunt(b"HTTP/1.1 400 Bad Request\r\n\r\n") as there:
        assert "it speaks no TLS" in await trouble(there.url.replace("http:", "https:"))


async def test_nobody_listens() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert await trouble(url) == f"{url} does not answer: Connection refused"


async def test_it_never_answers() -> None:
    async with blunt(b"", hangs=True) as there:
        assert (await trouble(there.url, timeout=0.05)).endswith("does not answer: no word within the time")


async def test_it_falls_silent_in_the_middle() -> None:
    async with blunt(answer(b"half", length=8), hangs=True) as there:
        assert (await trouble(there.url, timeout=0.2)).endswith("does not answer: no word within the time")


async def test_it_closes_without_a_word() -> None:
    async with blunt(b"") as there:
        said = "it closes the connection without a word (is it https:// instead of http://?)"
        assert await trouble(there.url) == f"{there.url} does not answer: {said}"


@pytest.mark.parametrize(
    "said",
    [
        answer(b'{"status": "heal', length=100),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ],
)
async def test_an_answer_that_breaks_off_is_none(said: bytes) -> None:
    async with blunt(said) as there:
        assert (await trouble(there.url)).endswith("the answer breaks off")


async def test_an_answer_without_end_is_not_read_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_BODY", 1 << 20)
    pieces = [b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * (64 << 10)] * 17]
    async with blunt(pieces, hangs=True) as there:
        assert "answers more than 1 MiB" in await trouble(there.url)


@pytest.mark.parametrize("said", [b"\0\0\6\4\0\0\0\0\0\0\5\0\0@\0", b"SSH-2.0-OpenSSH_9.6\r\n", b"220 mail\r\n"])
async def test_something_else_listens_there(said: bytes) -> None:
    async with blunt(said) as there:
        assert "what comes is no HTTP" in await trouble(there.url)


@pytest.mark.parametrize(
    "url",
    ["ftp://h/", "http://", "http://:7072", "http://h:port", "http://h:70720", "http://[::1", "http://u:hush@h:1"],
)
def test_what_is_no_address_is_bad_usage(url: str) -> None:
    with pytest.raises(Trouble, match=r"address|user") as raised:
        Web(url)
    assert raised.value.code == 2
    assert "hush" not in str(raised.value)


def test_a_name_that_no_host_can_have_is_bad_usage() -> None:
    with pytest.raises(Trouble, match="is no address") as raised:
        Web("http://a..b:1").ask("GET", "/")
    assert raised.value.code == 2


def test_a_system_without_unix_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(Trouble, match="no unix sockets"):
        Web("unix:/run/sidecar")


async def test_an_ipv6_address_without_a_port_has_the_usual_one() -> None:
    web = Web("http://[::1]")
    assert (web._host, web._port) == ("::1", 80)


async def test_a_field_is_sent_as_utf_8() -> None:
    async with blunt(answer(b"")) as there:
        await ask(Web(there.url, {"Authorization": "Bearer schlüssel-→"}))
    assert "Authorization: Bearer schlüssel-→".encode() in there.heard[0]


@pytest.mark.parametrize("value", ["Bearer hush\r\nX: y", "Bearer hush\x7f"])
def test_a_field_cannot_smuggle_another(value: str) -> None:
    web = Web("http://127.0.0.1:1", {"Authorization": value})
    with pytest.raises(Trouble, match="Authorization has a line break") as raised:
        web.ask("GET", "/")
    assert raised.value.code == 2
    assert "hush" not in str(raised.value)
