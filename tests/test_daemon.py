"""The process inside the test's loop: reload, drain, and starts that fail."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest

from sidecar.errors import ConfigError
from tests.kit.addresses import free_port
from tests.kit.caller import PATIENCE, Caller
from tests.kit.peer import listening
from tests.kit.refused import refusal
from tests.kit.running import QUICK, Running, one, request, running, until
from tests.kit.scripted import OK, reply, scripted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WITH_ADMIN = '[listen]\nhttp = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\nprobe = "127.0.0.1:0"\n'
NOWHERE = "http://127.0.0.1:1"


@asynccontextmanager
async def stopping(sidecar: Running) -> AsyncIterator[asyncio.Task[None]]:
    """Drains from here on; at the end of the `with` the daemon must have ended."""
    sidecar.daemon.stop()
    task = asyncio.create_task(sidecar.daemon.run())
    await sidecar.log.saying("draining")
    yield task
    async with asyncio.timeout(PATIENCE):
        await task


def at_its_own_port() -> str:
    """For tests in which it closes its port: nobody else is given it, and callers are refused."""
    return f'[listen]\nhttp = "127.0.0.1:{free_port()}"\nadmin = "127.0.0.1:0"\nprobe = "127.0.0.1:0"\n'


async def refuses_connections(sidecar: Running) -> None:
    with pytest.raises(ConnectionRefusedError):
        await Caller.connect(sidecar.port)


# Drain.


@pytest.mark.both_loops
async def test_a_drain_goes_on_serving_until_nobody_came_for_a_while() -> None:
    limits = '[limits]\nlinger = "100ms"\ndrain = "5s"\n'
    async with listening() as upstream:
        policy = one(upstream.url, path="/api/*", more=at_its_own_port() + limits)
        async with running(policy, on_terminal=False) as sidecar, aiohttp.ClientSession() as session:
            assert (await sidecar.ask("/readyz")).status == 200
            early = await sidecar.caller()
            early.send(request("/api/early"))
            peer = await upstream.accept()
            await peer.request()
            async with stopping(sidecar) as ended:
                assert (await sidecar.ask("/readyz")).status == 503  # at once, and on a new connection
                assert (await sidecar.ask("/livez")).status == 200
                async with session.get(f"http://{sidecar.daemon.addresses['probe']}/readyz") as answer:
                    assert answer.status == 503
                late = await sidecar.caller()
                late.send(request("/api/late", "Connection: close"))
                second = await upstream.accept()
                await second.request()
                second.say(OK)
                assert (await late.answer()).body == b"ok"
                peer.say(OK)
                assert (await early.answer()).body == b"ok"
                assert not ended.done()
                await early.close()
            await refuses_connections(sidecar)
            assert sidecar.log.lines[-1]["message"] == "ended"


@pytest.mark.both_loops
async def test_a_drain_lasts_no_longer_than_it_may() -> None:
    limits = '[limits]\nlinger = "50ms"\ndrain = "150ms"\n'
    async with listening() as upstream, running(one(upstream.url, more=limits), on_terminal=False) as sidecar:
        idle, busy = await sidecar.caller(), await sidecar.caller()
        busy.send(request("/"))
        peer = await upstream.accept()
        await peer.request()
        async with stopping(sidecar):
            pass
        assert await idle.ended() == b""
        assert await peer.ended()
        cut, last = sidecar.log.lines[-2:]
        assert (cut["outcome"], cut["status_code"], last["message"]) == ("caller_left", 499, "ended")


@pytest.mark.both_loops
async def test_on_a_terminal_nobody_lingers_and_what_is_in_flight_ends_well() -> None:
    async with listening() as upstream, running(one(upstream.url, more=at_its_own_port())) as sidecar:
        idle, busy = await sidecar.caller(), await sidecar.caller()
        busy.send(request("/1"))
        peer = await upstream.accept()
        await peer.request()
        async with stopping(sidecar):
            assert await idle.ended() == b""
            await refuses_connections(sidecar)
            peer.say(OK)
            answer = await busy.answer()
            assert (answer.body, answer.fields["connection"]) == (b"ok", "close")
            assert await busy.ended() == b""


async def test_a_call_that_comes_after_the_door_closed_is_told_to_come_back() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        busy, slow = await sidecar.caller(), await sidecar.caller()
        busy.send(request("/1"))
        peer = await upstream.accept()
        await peer.request()
        slow.send(b"GET / HTTP/1.1\r\nHo")
        await until(lambda: sidecar.connections.idle == 0)
        async with stopping(sidecar):
            slow.send(b"st: a\r\n\r\n")
            answer = await slow.answer()
            assert refusal(answer) == (503, "draining")
            assert (answer.fields["retry-after"], answer.fields["connection"]) == ("1", "close")
            assert "x-should-retry" not in answer.fields
            peer.say(OK)
            assert (await busy.answer()).status == 200


async def test_the_second_stop_ends_at_once() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/"))
        peer = await upstream.accept()
        await peer.request()
        async with stopping(sidecar):
            sidecar.daemon.stop()
        assert await peer.ended()


# Reload.


async def test_a_reload_is_swapped_in_between_two_calls() -> None:
    async with listening() as old, scripted() as new, running(one(old.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/1"))
        peer = await old.accept()
        await peer.request()
        sidecar.file.write_text(sidecar.file.read_text().replace(old.url, new.url))
        told = await sidecar.daemon.reload()
        assert (told["generation"], "http a" in told["reset"], "breaker a" in told["kept"]) == (2, True, True)
        assert (await sidecar.ask("/2")).fields["x-sidecar-config"] == "2"
        peer.say(reply(body=b"from the old one"))
        answer = await caller.answer()
        assert (answer.body, answer.fields["x-sidecar-config"]) == (b"from the old one", "1")
        assert await peer.ended()  # its pool was dropped


async def test_what_a_reload_drops_takes_its_series_along() -> None:
    async with scripted() as upstream, running(one(upstream.url, path="/api/*")) as sidecar:
        assert (await sidecar.ask("/api/x")).status == 200
        text = sidecar.file.read_text()
        sidecar.file.write_text(
            text.replace("[routes.r]", "[routes.s]").replace("upstreams.a]", "upstreams.b]").replace('"a"', '"b"')
        )
        await sidecar.daemon.reload()
        assert (await sidecar.ask("/api/x")).status == 200
        told = (await sidecar.ask("/metrics")).body
        assert b'upstream="b"' in told
        assert b'"s"' in told
        assert b'upstream="a"' not in told
        assert b'"r"' not in told


async def test_a_call_that_waits_for_its_next_try_makes_it_after_a_reload_too() -> None:
    keys = 'retry = { backoff = "100ms", jitter = 0 }'
    async with scripted(reply("503 No"), OK) as old, scripted() as new, running(one(old.url, route=keys)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/"))
        await until(lambda: len(old.requests) == 1)
        sidecar.file.write_text(sidecar.file.read_text().replace(old.url, new.url))
        await sidecar.daemon.reload()
        answer = await caller.answer()
        assert (answer.status, answer.fields["x-sidecar-attempts"]) == (200, "2")
        assert new.requests == []


async def test_a_file_with_a_mistake_changes_nothing_and_is_told() -> None:
    async with scripted() as upstream, running(one(upstream.url, path="/api/*")) as sidecar:
        good = sidecar.file.read_text()
        sidecar.file.write_text(good.replace("chain", "chian"))
        with pytest.raises(ConfigError):
            await sidecar.daemon.reload()
        assert (await sidecar.ask("/api/x")).fields["x-sidecar-config"] == "1"
        health = json.loads((await sidecar.ask("/health")).body)
        assert health["status"] == "degraded"
        assert health["checks"]["config"].startswith("stale: ")
        assert b"sidecar_config_reload_failed 1.0" in (await sidecar.ask("/metrics")).body
        assert "did you mean 'chain'" in (await sidecar.log.saying("was not taken"))["message"]
        sidecar.file.write_text(good)
        await sidecar.daemon.reload()
        assert json.loads((await sidecar.ask("/health")).body)["checks"]["config"] == "ok"
        assert b"sidecar_config_reload_failed 0.0" in (await sidecar.ask("/metrics")).body


async def test_a_certificate_that_cannot_be_used_is_a_failed_reload_as_well(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("no certificate")
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        sidecar.file.write_text(one("https://localhost:1", upstream=f'tls = {{ ca = "{ca}" }}'))
        with pytest.raises(ConfigError, match=rf"sidecar\.toml:5: upstreams\.a\.tls: {ca} cannot be used"):
            await sidecar.daemon.reload()
        assert (await sidecar.ask("/")).body == b"ok"


async def test_a_reload_by_post() -> None:
    async with scripted() as upstream, running(one(upstream.url, more=WITH_ADMIN)) as sidecar:
        good = sidecar.file.read_text()
        async with aiohttp.ClientSession(sidecar.admin) as admin:
            sidecar.file.write_text(good + "idempotent = true\n")
            async with admin.post("/reload") as answer:
                assert (answer.status, (await answer.json())["generation"]) == (200, 2)
            sidecar.file.write_text(good + "idempotent = 7\n")
            async with admin.post("/reload") as answer:
                assert answer.status == 422
                assert "routes.r.idempotent" in await answer.text()
            async with admin.get("/config") as answer:
                assert (await answer.json())["generation"] == 2


async def test_a_reload_while_it_drains_does_not_open_the_door_again() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        busy, slow = await sidecar.caller(), await sidecar.caller()
        busy.send(request("/1"))
        peer = await upstream.accept()
        await peer.request()
        slow.send(b"GET / HTTP/1.1\r\nHo")
        await until(lambda: sidecar.connections.idle == 0)
        async with stopping(sidecar):
            await sidecar.daemon.reload()
            slow.send(b"st: a\r\n\r\n")
            assert refusal(await slow.answer()) == (503, "draining")
            peer.say(OK)
            await busy.answer()


# Starts that fail.


async def test_a_port_in_use_is_named_with_its_key() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listen = f'[listen]\nhttp = "127.0.0.1:{port}"\nadmin = ""\n'
        with pytest.raises(OSError, match=f"listen.http: cannot listen on 127.0.0.1:{port}: Address already in use"):
            async with running(one(NOWHERE, more=listen)):
                pass
        listen = f'[listen]\nhttp = "127.0.0.1:0"\nadmin = "127.0.0.1:{port}"\n'
        with pytest.raises(OSError, match=f"listen.admin: cannot listen on 127.0.0.1:{port}"):
            async with running(one(NOWHERE, more=listen)):
                pass


@pytest.mark.parametrize("listener", ["http", "admin"])
async def test_a_certificate_that_cannot_be_used_is_named_with_its_key(tmp_path: Path, listener: str) -> None:
    cert = tmp_path / "cert.pem"
    cert.write_text("no certificate")
    tls = f'{WITH_ADMIN}{listener}_tls = {{ cert = "{cert}", key = "{cert}" }}\n'
    with pytest.raises(OSError, match=rf"listen\.{listener}_tls: {cert} cannot be used"):
        async with running(one(NOWHERE, more=tls)):
            pass


@pytest.mark.parametrize(
    "secret",
    [
        'headers = { Authorization = "Bearer x" }',
        'api_key = "x"',
        'query = { key = "x" }',
        'protocol = "openai"\napi_key = "x"',
    ],
)
async def test_credentials_open_to_the_network_are_warned_of(secret: str) -> None:
    listen = '[listen]\nhttp = "0.0.0.0:0"\nadmin = ""\n'
    async with running(one(NOWHERE, upstream=secret, more=listen, path="/api/*")) as sidecar:
        assert (await sidecar.log.saying("a credential is injected"))["level"] == "warning"
        health = json.loads((await sidecar.ask("/health")).body)
        assert "credential" in health["checks"]["exposure"]


async def test_the_first_line_says_where_it_is_and_what_it_read() -> None:
    async with running(one(NOWHERE, more=QUICK)) as sidecar:
        line = await sidecar.log.saying("is ready")
        assert line["config"] == str(sidecar.file)
        assert line["http"] == sidecar.daemon.addresses["http"]
