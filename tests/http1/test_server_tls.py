"""The same protocol behind TLS."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sidecar.http1 import server as server_module
from tests.kit.caller import PATIENCE, read_all, serving
from tests.kit.certificates import make_certificates

if TYPE_CHECKING:
    import ssl

    from sidecar.http1.request import Request

pytestmark = pytest.mark.both_loops

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    certificates = make_certificates(tmp_path_factory.mktemp("tls"))
    return certificates.server(), certificates.caller()


async def test_requests_are_served_and_secure(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async def serve(request: Request) -> None:
        assert request.secure
        assert (request.peer, request.local) == ("127.0.0.1", "127.0.0.1")
        request.respond(200, b"", await read_all(request))

    async with serving(serve, tls=contexts[0], client_tls=contexts[1]) as server:
        caller = await server.caller()
        for _ in range(2):
            caller.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" + bytes(500_000))
            assert len((await caller.answer()).body) == 500_000


async def test_a_bad_request_is_refused_and_the_connection_ends(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "LINGER", 0.1)  # TLS has no half-close: the server waits for the caller to leave
    async with serving(_never, tls=contexts[0], client_tls=contexts[1]) as server:
        caller = await server.caller()
        caller.send(b"GET / HTTP/1.1\r\n\r\n")
        assert (await caller.answer()).status == 400
        assert await caller.ended() == b""


async def _never(request: Request) -> None:
    raise AssertionError("this was to be refused")


async def test_an_aborted_close_delimited_reply_does_not_look_finished(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    seen = asyncio.Event()

    async def serve(request: Request) -> None:
        request.start(200, b"", None)
        request.write(b"some")
        await seen.wait()
        request.abort()

    async with serving(serve, tls=contexts[0], client_tls=contexts[1]) as server:
        caller = await server.caller()
        caller.send(b"GET / HTTP/1.0\r\n\r\n")
        await caller.head()
        await caller.exactly(b"some")
        seen.set()
        with pytest.raises(ConnectionResetError):
            await caller.ended()


async def test_a_caller_that_leaves_cancels_its_call(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def serve(request: Request) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with serving(serve, tls=contexts[0], client_tls=contexts[1]) as server:
        caller = await server.caller()
        caller.send(GET)
        await begun.wait()
        await caller.close()
        async with asyncio.timeout(PATIENCE):
            await cancelled.wait()
