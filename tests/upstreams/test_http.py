"""One HTTP upstream under the engine: what is sent again, over which connection, and what its end means."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.kit.addresses import black_hole, free_port
from tests.kit.certificates import Certificates, make_certificates
from tests.kit.peer import listening
from tests.kit.refused import refusal
from tests.kit.running import QUICK, one, request, running, until
from tests.kit.scripted import CLOSE, OK, RESET, SILENCE, reply, scripted

if TYPE_CHECKING:
    from pathlib import Path

POOL_OF_ONE = 'pool = { max = 1 }\ntimeout = { connect = "300ms" }'
"""`connect` is how long a call waits for its turn, and how long the first one may take to connect on a busy machine."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize("bad", [reply("503 No"), reply("500 No"), RESET, CLOSE])
async def test_a_get_survives_what_a_post_does_not(bad: bytes) -> None:
    async with scripted(bad, OK, bad, OK) as upstream, running(one(upstream.url, more=QUICK)) as sidecar:
        survived = await sidecar.ask("/")
        assert (survived.status, survived.fields["x-sidecar-attempts"]) == (200, "2")
        failed = await sidecar.ask("/", method="POST", body=b"x")
        assert (failed.status >= 500, failed.fields["x-sidecar-attempts"]) == (True, "1")
        assert len(upstream.requests) == 3


async def test_a_429_is_safe_to_send_again_whatever_the_method() -> None:
    async with scripted(reply("429 No"), OK) as upstream, running(one(upstream.url, more=QUICK)) as sidecar:
        answer = await sidecar.ask("/", method="POST", body=b"x")
        assert (answer.status, upstream.bodies) == (200, [b"x", b"x"])


@pytest.mark.parametrize("field", ["Retry-After: 1", "retry-after-ms: 200"])
async def test_a_retry_after_is_waited_out(field: str) -> None:
    told = 1.0 if field.endswith("1") else 0.2
    async with scripted(reply("503 No", field), OK) as upstream, running(one(upstream.url, more=QUICK)) as sidecar:
        began = time.monotonic()
        assert (await sidecar.ask("/")).status == 200
        assert time.monotonic() - began >= told


async def test_a_reused_connection_that_died_unseen_costs_no_attempt() -> None:
    """Row 4: the request had been written; a GET goes out once more on a fresh connection."""
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/1"))
        peer = await upstream.accept()
        await peer.request()
        peer.say(OK)
        await caller.answer()
        caller.send(request("/2"))
        await peer.request()
        peer.reset()
        fresh = await upstream.accept()
        assert (await fresh.request()).startswith(b"GET /2 ")
        fresh.say(OK)
        assert (await caller.answer()).status == 200
        assert sidecar.runtime.breakers()["a"].snapshot()["recent_failures"] == 0


async def test_a_post_on_a_connection_that_died_after_it_was_written_is_not_sent_twice() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/1"))
        peer = await upstream.accept()
        await peer.request()
        peer.say(OK)
        await caller.answer()
        caller.send(request("/2", method="POST"))
        await peer.request()
        peer.reset()
        assert refusal(await caller.answer()) == (502, "upstream_reset")
        assert upstream.pending() == 0


async def test_an_idle_connection_that_was_closed_is_not_used() -> None:
    """Row 3: nothing was written yet, so it counts for nobody, and a POST is as safe as a GET."""
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/1"))
        peer = await upstream.accept()
        await peer.request()
        peer.say(OK)
        await caller.answer()
        peer.end()
        caller.send(request("/2", method="POST"))
        fresh = await upstream.accept()
        await fresh.request()
        fresh.say(OK)
        answer = await caller.answer()
        assert (answer.status, answer.fields["x-sidecar-attempts"]) == (200, "1")


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"\x00\xff\xfe nonsense",
        b"220 smtp.example.com ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000,
    ],
)
async def test_half_a_head_or_none_is_no_answer(said: bytes) -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/", method="POST"))
        peer = await upstream.accept()
        await peer.request()
        peer.say(said)
        peer.end()
        status, code = refusal(await caller.answer())
        assert (status, code in ("upstream_reset", "upstream_protocol_error")) == (502, True)
        assert sidecar.runtime.breakers()["a"].snapshot()["recent_failures"] == 1


async def test_an_upstream_that_closes_what_it_accepted_unread() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/", method="POST"))
        (await upstream.accept()).reset()
        assert refusal(await caller.answer()) == (502, "upstream_reset")


async def test_connecting_takes_no_longer_than_allowed() -> None:
    keys = 'timeout = { connect = "50ms" }'
    with black_hole() as port:
        async with running(one(f"http://127.0.0.1:{port}", upstream=keys, route="retry = { tries = 1 }")) as sidecar:
            assert refusal(await sidecar.ask("/")) == (502, "upstream_connect_failed")


async def test_the_attempts_clock_ends_one_attempt_while_another_can_follow() -> None:
    keys = 'timeout = { attempt = "50ms" }'
    async with scripted(SILENCE, OK) as upstream, running(one(upstream.url, upstream=keys, more=QUICK)) as sidecar:
        answer = await sidecar.ask("/")
        assert (answer.status, answer.fields["x-sidecar-attempts"]) == (200, "2")


async def test_silence_inside_a_reply_breaks_it() -> None:
    keys = 'timeout = { idle = "50ms" }'
    async with listening() as upstream, running(one(upstream.url, upstream=keys)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/"))
        peer = await upstream.accept()
        await peer.request()
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")
        await caller.head()
        assert await caller.ended() == b"hel"
        assert await peer.ended()


async def test_a_full_pool_is_our_own_overload() -> None:
    async with listening() as upstream, running(one(upstream.url, upstream=POOL_OF_ONE)) as sidecar:
        first = await sidecar.caller()
        first.send(request("/"))
        peer = await upstream.accept()
        await peer.request()
        assert refusal(await sidecar.ask("/")) == (503, "overloaded")
        assert sidecar.runtime.breakers()["a"].snapshot()["recent_failures"] == 0
        peer.say(OK)
        assert (await first.answer()).status == 200
        assert upstream.pending() == 0


async def test_who_waits_for_the_pool_gets_the_connection_that_comes_free() -> None:
    keys = 'pool = { max = 1 }\ntimeout = { connect = "5s" }'
    async with listening() as upstream, running(one(upstream.url, upstream=keys)) as sidecar:
        first, second = await sidecar.caller(), await sidecar.caller()
        first.send(request("/1"))
        peer = await upstream.accept()
        await peer.request()
        second.send(request("/2"))
        (service,) = sidecar.runtime.services().values()
        await until(lambda: service.pools[0].stats().waiting == 1)
        peer.say(OK)
        assert (await first.answer()).status == 200
        assert (await peer.request()).startswith(b"GET /2 ")
        peer.say(OK)
        assert (await second.answer()).status == 200


async def test_without_reuse_each_request_has_its_own_connection() -> None:
    async with listening() as upstream, running(one(upstream.url, upstream="reuse = false")) as sidecar:
        caller = await sidecar.caller()
        for _ in range(2):
            caller.send(request("/"))
            peer = await upstream.accept()
            await peer.request()
            peer.say(OK)
            assert (await caller.answer()).body == b"ok"
            assert await peer.ended()


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "up.sock")
    async with listening(path=path) as upstream, running(one(f"unix:{path}")) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/x"))
        peer = await upstream.accept()
        assert (await peer.request()).startswith(b"GET /x HTTP/1.1\r\nHost: ")
        peer.say(OK)
        assert (await caller.answer()).body == b"ok"


async def test_ipv6() -> None:
    async with listening(host="::1") as upstream, running(one(f"http://[::1]:{upstream.port}")) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/"))
        peer = await upstream.accept()
        assert f"\r\nHost: [::1]:{upstream.port}\r\n".encode() in await peer.request()
        peer.say(OK)
        assert (await caller.answer()).body == b"ok"


@pytest.mark.both_loops
async def test_tls_with_an_authority_of_our_own_and_a_certificate_of_ours(certificates: Certificates) -> None:
    cert, key = certificates.pair("client")
    keys = f'tls = {{ ca = "{certificates.ca}", cert = "{cert}", key = "{key}" }}'
    context = certificates.server(ask_client=True)
    async with (
        listening(context=context) as upstream,
        running(one(f"https://localhost:{upstream.port}", upstream=keys)) as sidecar,
    ):
        caller = await sidecar.caller()
        caller.send(request("/"))
        peer = await upstream.accept()
        await peer.request()
        assert peer.writer.get_extra_info("peercert")["subject"] == ((("commonName", "test client"),),)
        peer.say(OK)
        assert (await caller.answer()).body == b"ok"


async def test_a_stranger_with_a_certificate_of_its_own_is_not_talked_to(certificates: Certificates) -> None:
    keys = f'tls = {{ ca = "{certificates.ca}" }}'
    async with listening(context=certificates.server("stranger")) as upstream:
        policy = one(f"https://localhost:{upstream.port}", upstream=keys, route="retry = { tries = 1 }")
        async with running(policy) as sidecar:
            assert refusal(await sidecar.ask("/")) == (502, "upstream_connect_failed")


async def test_through_a_proxy_of_the_environment(certificates: Certificates) -> None:
    """`CONNECT`, then TLS with the upstream inside; the proxy sees a name and bytes."""
    keys = f'tls = {{ ca = "{certificates.ca}", server_name = "service.test" }}'
    async with listening() as proxy:
        environ = {"HTTPS_PROXY": f"http://user:pass@127.0.0.1:{proxy.port}"}
        async with running(one("https://api.service.test", upstream=keys), environ) as sidecar:
            caller = await sidecar.caller()
            caller.send(request("/"))
            peer = await proxy.accept()
            head = await peer.request()
            assert head.startswith(b"CONNECT api.service.test:443 HTTP/1.1\r\n")
            assert b"\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n" in head
            peer.say(b"HTTP/1.1 200 Established\r\n\r\n")
            await peer.writer.start_tls(certificates.server())
            assert b"\r\nHost: api.service.test\r\n" in await peer.request()
            peer.say(OK)
            assert (await caller.answer()).body == b"ok"


async def test_a_proxy_that_refuses_is_a_failed_connection() -> None:
    async with scripted(reply("407 No")) as proxy:
        policy = one("https://api.service.test", upstream=f'proxy = "{proxy.url}"', route="retry = { tries = 1 }")
        async with running(policy) as sidecar:
            assert refusal(await sidecar.ask("/")) == (502, "upstream_connect_failed")


async def test_a_port_where_nobody_listens_yet_is_tried_again() -> None:
    port = free_port()
    keys = 'retry = { tries = 3, backoff = "100ms", jitter = 0 }'
    async with running(one(f"http://127.0.0.1:{port}", route=keys)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/", method="POST"))  # row 2: no connection, so nothing was carried out
        answer = await caller.answer()
        assert (refusal(answer), answer.fields["x-sidecar-attempts"]) == ((502, "upstream_connect_failed"), "3")
