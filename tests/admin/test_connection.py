"""What reaches no handler of the admin listener: it is refused like all else, and nobody is told what was sent."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from sidecar.accepting import bind
from sidecar.admin.api import admin_app
from sidecar.admin.probe import probe_app
from sidecar.admin.server import serve
from sidecar.settings.address import Address
from tests.kit.caller import PATIENCE

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

    from tests.kit.fake_view import FakeView

BAD_HEADS = {
    "method": b"SECRET\r\n\r\n",
    "header": b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization : SECRET\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: SECRET\r\n\r\n",
    "no host": b"GET /SECRET HTTP/1.1\r\n\r\n",
    "version": b"GET /SECRET HTTP/3.0\r\nHost: localhost\r\n\r\n",
    "target": b"GET http://[SECRET HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "length": b"GET /" + b"SECRET" * 2000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "coding": b"POST /explain HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: br\r\nContent-Length: 6\r\n\r\nSECRET",
    "TLS": b"\x16\x03\x01\x00\xee\x01SECRET",
}
BAD_BODIES = {
    "chunk": b"POST /explain HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nSECRET\r\n",
    "gzip": b"POST /explain HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\nContent-Length: 6\r\n\r\nSECRET",
}


async def told(app: web.Application, sent: bytes) -> tuple[str, dict[str, str], bytes]:
    """The status line, the head and the body of all that comes until the connection ends."""
    server = await serve(app, bind(Address("127.0.0.1", 0)))
    host, _, port = server.address.rpartition(":")
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        body = await reader.readexactly(int(next(line for line in head if line.startswith("Content-Length"))[16:]))
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    await server.aclose()
    return head[0], dict(line.split(": ", 1) for line in head[1:] if line), body


@pytest.mark.parametrize("sent", [*BAD_HEADS.values(), *BAD_BODIES.values()], ids=[*BAD_HEADS, *BAD_BODIES])
async def test_what_cannot_be_read_is_refused_like_all_else(
    view: FakeView, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    caplog.set_level(logging.DEBUG)
    assert_a_plain_refusal(*await told(admin_app(view), sent))
    assert "SECRET" not in caplog.text
    assert [record.message for record in caplog.records if record.levelno > logging.INFO] == []


async def test_the_probe_refuses_likewise(view: FakeView) -> None:
    assert_a_plain_refusal(*await told(probe_app(view), BAD_HEADS["header"]))


def assert_a_plain_refusal(status: str, head: dict[str, str], body: bytes) -> None:
    assert status == "HTTP/1.1 400 Bad Request"
    assert head["Content-Type"] == "application/json"
    assert "Server" not in head
    error = json.loads(body)["error"]
    assert error["code"] == "invalid_request"
    assert error["correlation_id"] == head["X-Correlation-ID"]
    assert b"SECRET" not in body


async def test_a_bug_past_all_middlewares_is_ours_and_tells_no_version(
    view: FakeView, caplog: pytest.LogCaptureFixture
) -> None:
    @web.middleware
    async def broken(request: web.Request, handler: Handler) -> web.StreamResponse:
        raise ZeroDivisionError

    app = admin_app(view)
    app.middlewares.insert(0, broken)
    status, head, body = await told(app, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert status == "HTTP/1.1 500 Internal Server Error"
    assert "Server" not in head
    assert json.loads(body)["error"]["code"] == "internal_error"
    assert [record.message for record in caplog.records if record.exc_info] == ["a bug in the admin listener"]
