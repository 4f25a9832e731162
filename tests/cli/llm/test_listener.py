"""Where the http listener is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sidecar.cli.llm.listener import Listeners, answering, reachable
from sidecar.cli.trouble import Trouble
from tests.kit.certificates import make_certificates
from tests.kit.running import one, running

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = {"SIDECAR_LISTEN_ADMIN": "127.0.0.1:1"}
POLICY = '[listen]\nhttp = "{http}"\nadmin = "127.0.0.1:0"\n{more}'


def test_where_exec_says() -> None:
    environ = {**NOBODY, "SIDECAR_HTTP": "http://127.0.0.1:4242"}
    assert Listeners(None, None, environ).http.url == "http://127.0.0.1:4242"


async def test_where_the_admin_listener_says() -> None:
    async with running(POLICY.format(http="127.0.0.1:0", more="") + one("http://127.0.0.1:9", path="/a")) as sidecar:
        found = await asyncio.to_thread(Listeners, None, None, {"SIDECAR_ADMIN": sidecar.admin})
        assert found.http.url == sidecar.url


async def test_the_admin_listener_that_is_named_wins() -> None:
    async with running(POLICY.format(http="127.0.0.1:0", more="") + one("http://127.0.0.1:9", path="/a")) as sidecar:
        found = await asyncio.to_thread(Listeners, sidecar.admin, None, {"SIDECAR_HTTP": "http://127.0.0.1:4242"})
        assert found.http.url == sidecar.url


async def test_on_a_unix_socket(tmp_path: Path) -> None:
    socket = f"unix:{tmp_path}/s"
    async with running(POLICY.format(http=socket, more="") + one("http://127.0.0.1:9", path="/a")) as sidecar:
        found = await asyncio.to_thread(Listeners, sidecar.admin, None, {})
        assert found.http.url == socket
        heard = await asyncio.to_thread(found.http.ask, "GET", "/livez")
        assert (heard.status, heard.body) == (200, b"ok\n")


async def test_with_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificates = make_certificates(tmp_path)
    cert, key = certificates.pair("server")
    policy = POLICY.format(http="127.0.0.1:0", more=f'http_tls = {{ cert = "{cert}", key = "{key}" }}\n')
    async with running(policy + one("http://127.0.0.1:9", path="/a"), client_tls=certificates.caller()) as sidecar:
        found = await asyncio.to_thread(Listeners, sidecar.admin, None, {})
        assert found.http.url == sidecar.url
        assert found.http.url.startswith("https://")
        monkeypatch.setenv("SSL_CERT_FILE", certificates.ca)
        heard = await asyncio.to_thread(found.http.ask, "GET", "/livez")
        assert heard.status == 200


async def test_it_is_off() -> None:
    async with running(POLICY.format(http="", more="") + one("http://127.0.0.1:9", path="/a")) as sidecar:
        with pytest.raises(Trouble, match="no http listener"):
            await asyncio.to_thread(Listeners, sidecar.admin, None, {})


def test_where_nobody_tells() -> None:
    assert Listeners(None, None, NOBODY).http.url == "http://127.0.0.1:7070"
    assert Listeners(None, None, {**NOBODY, "SIDECAR_LISTEN_HTTP": "[::]:81"}).http.url == "http://[::1]:81"


def test_an_admin_listener_that_was_named_must_answer() -> None:
    with pytest.raises(Trouble, match="does not answer"):
        Listeners("http://127.0.0.1:1", None, {})
    with pytest.raises(Trouble, match="does not answer"):
        Listeners(None, None, {"SIDECAR_ADMIN": "http://127.0.0.1:1"})


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("0.0.0.0:7070", "http://127.0.0.1:7070"),
        ("10.0.0.7:7070", "http://10.0.0.7:7070"),
        ("[::1]:7070", "http://[::1]:7070"),
        ("unix:/run/s", "unix:/run/s"),
    ],
)
def test_one_that_listens_everywhere_is_called_here(address: str, url: str) -> None:
    assert reachable(address, secure=False) == url


async def test_the_token_for_callers_comes_along() -> None:
    policy = POLICY.format(http="127.0.0.1:0", more='http_token = "open"\n') + one("http://127.0.0.1:9", path="/a")
    async with running(policy) as sidecar:
        for environ, status in (({}, 403), ({"SIDECAR_HTTP_TOKEN": "open"}, 200)):
            found = await asyncio.to_thread(Listeners, sidecar.admin, None, environ)
            heard = await asyncio.to_thread(found.http.ask, "GET", "/health")
            assert heard.status == status


def test_what_to_do_is_said_where_nobody_answers() -> None:
    with pytest.raises(Trouble, match="Is a sidecar running"), answering():
        raise Trouble("x does not answer")
    with pytest.raises(Trouble, match=r"^no address$"), answering():
        raise Trouble("no address", 2)
