"""What a reload does to the listeners: the new socket first, and nobody who has come in is sent away."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
from typing import TYPE_CHECKING

import aiohttp
import grpc.aio
import pytest

from sidecar.errors import ConfigError
from sidecar.listening import Listening
from tests.kit.addresses import free_port
from tests.kit.caller import PATIENCE, Caller
from tests.kit.certificates import Certificates, make_certificates
from tests.kit.peer import listening
from tests.kit.rpc import channel_to, echo, routed, rpc_service
from tests.kit.rpc_caller import ask_unary, opened, told
from tests.kit.running import Running, one, request, running
from tests.kit.scripted import OK, scripted

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from sidecar.listening import Move
    from sidecar.runtime import Runtime

NOWHERE = "http://127.0.0.1:1"


def listen(http: str = "127.0.0.1:0", admin: str = "127.0.0.1:0", more: str = "") -> str:
    return f'[listen]\nhttp = "{http}"\nadmin = "{admin}"\n{more}\n'


async def rewritten(sidecar: Running, old: str, new: str) -> dict[str, Any]:
    """What the reload of a file with `new` for `old` tells."""
    text = sidecar.file.read_text()
    assert old in text
    sidecar.file.write_text(text.replace(old, new))
    return await sidecar.daemon.reload()


async def refuses(port: int) -> None:
    with pytest.raises(ConnectionRefusedError):
        await Caller.connect(port)


async def refused(port: int) -> None:
    """Until nobody listens there any more."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                caller = await Caller.connect(port)
            except OSError:
                return
            await caller.close()
            await asyncio.sleep(0.02)


async def test_the_http_listener_moves_and_who_is_in_is_served_to_the_end() -> None:
    first, second = free_port(), free_port()
    async with (
        listening() as upstream,
        running(one(upstream.url, more=listen(f"127.0.0.1:{first}"))) as sidecar,
    ):
        caller = await sidecar.caller()
        caller.send(request("/1"))
        peer = await upstream.accept()
        await peer.request()
        told_ = await rewritten(sidecar, f":{first}", f":{second}")
        assert told_["moved"] == {"http": f"127.0.0.1:{second}"}
        assert sidecar.daemon.addresses["http"] == f"127.0.0.1:{second}"
        await refuses(first)
        peer.say(OK)
        assert (await caller.answer()).fields["x-sidecar-config"] == "1"
        caller.send(request("/2"))  # on the connection that came in by the old address
        await peer.request()
        peer.say(OK)
        assert (await caller.answer()).fields["x-sidecar-config"] == "2"
        new = await sidecar.caller()
        new.send(request("/3"))
        await peer.request()
        peer.say(OK)
        assert (await new.answer()).status == 200


async def test_an_address_that_is_taken_changes_nothing() -> None:
    async with scripted() as upstream, running(one(upstream.url, more=listen())) as sidecar:
        before = sidecar.daemon.addresses["http"]
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(
                ConfigError, match=rf"toml:4: listen\.http: cannot listen on 127\.0\.0\.1:{port}: Address"
            ):
                await rewritten(sidecar, 'http = "127.0.0.1:0"', f'http = "127.0.0.1:{port}"')
        assert sidecar.daemon.addresses["http"] == before
        assert (await sidecar.ask("/x")).fields["x-sidecar-config"] == "1"
        await sidecar.daemon.reload()  # it is free now
        assert sidecar.daemon.addresses["http"] == f"127.0.0.1:{port}"


async def test_when_one_of_two_cannot_open_neither_moves() -> None:
    free = free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        moved = listen(http=f"127.0.0.1:{free}", admin=f"127.0.0.1:{port}")
        async with running(one(NOWHERE, more=listen())) as sidecar:
            with pytest.raises(ConfigError, match=r"listen\.admin"):
                await rewritten(sidecar, *(at.strip().removeprefix("[listen]") for at in (listen(), moved)))
            await refuses(free)


async def test_the_grpc_listener_moves_and_a_stream_ends_where_it_began() -> None:
    port = free_port()
    async with (
        rpc_service(echo) as service,
        running(routed(service.url)) as sidecar,
        channel_to(sidecar) as channel,
    ):
        rpc = opened(channel)
        await rpc.write(b"1")
        assert await rpc.read() == b"1"
        await rewritten(sidecar, 'grpc = "127.0.0.1:0"', f'grpc = "127.0.0.1:{port}"')
        assert sidecar.daemon.addresses["grpc"] == f"127.0.0.1:{port}"
        async with channel_to(sidecar) as new:
            assert (await ask_unary(new)).code == "OK"
        await rpc.write(b"2")
        assert await rpc.read() == b"2"
        await rpc.done_writing()
        assert (await told(rpc)).short == ("OK", [])


async def test_a_grpc_caller_goes_where_it_listens_now_in_its_own_time() -> None:
    first, second = free_port(), free_port()
    at = f'grpc = "127.0.0.1:{first}"'
    limits = '[limits]\nlinger = "100ms"'
    async with (
        rpc_service(echo) as service,
        running(routed(service.url, more=limits).replace('grpc = "127.0.0.1:0"', at)) as sidecar,
        channel_to(sidecar) as channel,
    ):
        for number in range(20):
            assert (await ask_unary(channel)).code == "OK"
            if number == 10:
                await rewritten(sidecar, at, f'grpc = "127.0.0.1:{second}"')
        await refused(first)


async def test_an_address_that_was_left_can_be_had_again_at_once() -> None:
    first, second = (f'grpc = "127.0.0.1:{free_port()}"' for _ in range(2))
    limits = '[limits]\nlinger = "1h"\ndrain = "1h"'
    policy = routed(NOWHERE.replace("http", "grpc"), more=limits).replace('grpc = "127.0.0.1:0"', first)
    async with running(policy) as sidecar:
        await rewritten(sidecar, first, second)
        await rewritten(sidecar, second, first)
        assert sidecar.daemon.addresses["grpc"] == first.split('"')[1]


async def test_the_admin_listener_moves_while_it_answers_the_reload() -> None:
    port = free_port()
    async with running(one(NOWHERE, more=listen())) as sidecar, aiohttp.ClientSession() as session:
        before = sidecar.admin
        text = sidecar.file.read_text()
        sidecar.file.write_text(text.replace('admin = "127.0.0.1:0"', f'admin = "127.0.0.1:{port}"'))
        async with session.post(f"{before}/reload") as answer:
            assert (await answer.json())["generation"] == 2
        async with session.get(f"http://127.0.0.1:{port}/listeners") as answer:
            assert (await answer.json())["admin"] == f"127.0.0.1:{port}"


async def test_a_listener_may_be_switched_off_and_on() -> None:
    async with scripted() as upstream, running(one(upstream.url, more=listen())) as sidecar:
        port = sidecar.port
        told_ = await rewritten(sidecar, 'http = "127.0.0.1:0"', 'http = ""')
        assert told_["moved"] == {"http": ""}
        assert "http" not in sidecar.daemon.addresses
        await refuses(port)
        await rewritten(sidecar, 'http = ""', 'http = "127.0.0.1:0"')
        assert (await sidecar.ask("/x")).status == 200


async def test_an_address_that_overlaps_the_one_in_use_counts_from_the_next_start() -> None:
    port = free_port()
    at = f'http = "127.0.0.1:{port}"'
    async with scripted() as upstream, running(one(upstream.url, more=listen(f"127.0.0.1:{port}"))) as sidecar:
        told_ = await rewritten(sidecar, at, f'http = "0.0.0.0:{port}"')
        assert told_["next_start"] == ["listen.http"]
        assert (await sidecar.log.saying("count from the next start"))["level"] == "warning"
        assert sidecar.daemon.addresses["http"] == f"127.0.0.1:{port}"
        assert (await sidecar.ask("/x")).fields["x-sidecar-config"] == "2"
        assert "next_start" not in await rewritten(sidecar, f'http = "0.0.0.0:{port}"', at)


async def test_what_grpcio_cannot_change_counts_from_the_next_start() -> None:
    limits = '[limits]\nmax_header_bytes = "8KiB"'
    async with rpc_service(echo) as service, running(routed(service.url, more=limits)) as sidecar:
        told_ = await rewritten(sidecar, '"8KiB"', '"16KiB"\nmax_body_bytes = "1MiB"')
        assert told_["next_start"] == ["limits.max_body_bytes", "limits.max_header_bytes"]
        assert (await sidecar.daemon.reload())["next_start"] == told_["next_start"]  # as long as it is so


async def test_limits_of_the_http_listener_count_for_who_comes_now() -> None:
    async with (
        scripted() as upstream,
        running(one(upstream.url, more=listen() + "[limits]\nmax_headers = 10")) as sidecar,
    ):
        fields = [f"X-{i}: 1" for i in range(20)]
        assert (await sidecar.ask("/", *fields)).status == 431
        await rewritten(sidecar, "max_headers = 10", "max_headers = 100")
        assert (await sidecar.ask("/", *fields)).status == 200


async def test_more_callers_are_let_in_once_there_may_be_more() -> None:
    limits = listen() + "[limits]\nmax_connections = 1"
    async with scripted() as upstream, running(one(upstream.url, more=limits)) as sidecar:
        first, second = await sidecar.caller(), await sidecar.caller()
        first.send(request("/1"))
        second.send(request("/2"))
        assert (await first.answer()).status == 200
        await rewritten(sidecar, "max_connections = 1", "max_connections = 2")
        assert (await second.answer()).status == 200


async def test_a_move_that_is_not_to_be_leaves_the_count_of_callers_right() -> None:
    limits = "[limits]\nmax_connections = 1"
    async with scripted() as upstream, running(one(upstream.url, more=listen() + limits)) as sidecar:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            moved = f'http = "127.0.0.1:{free_port()}"\nadmin = "127.0.0.1:{taken.getsockname()[1]}"'
            with pytest.raises(ConfigError, match=r"listen\.admin"):
                await rewritten(sidecar, 'http = "127.0.0.1:0"\nadmin = "127.0.0.1:0"', moved)
        for _ in range(3):
            assert (await sidecar.ask("/")).status == 200  # each waits until the one before has left


@pytest.mark.both_loops
async def test_who_has_connected_before_the_listener_moves_is_taken_in(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = free_port(), free_port()
    callers: list[socket.socket] = []
    take = Listening.take

    def connect_and_take(self: Listening, *what: Any) -> None:
        """The last moment: they are connected, and nobody has accepted them."""
        callers.extend(socket.create_connection(("127.0.0.1", first)) for _ in range(20))
        take(self, *what)

    monkeypatch.setattr(Listening, "take", connect_and_take)
    async with scripted() as upstream, running(one(upstream.url, more=listen(f"127.0.0.1:{first}"))) as sidecar:
        await rewritten(sidecar, f":{first}", f":{second}")
        for sock in callers:
            caller = Caller(*await asyncio.open_connection(sock=sock))
            caller.send(request("/"))
            assert (await caller.answer()).fields["x-sidecar-config"] == "2"
            await caller.close()
        await refuses(first)


# Certificates that are renewed.


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Certificates, Certificates]:
    return tuple(make_certificates(tmp_path_factory.mktemp(name)) for name in ("old", "new"))  # type: ignore[return-value]  # two


def place(certificates: Certificates, folder: Path) -> None:
    for file in certificates.pair("server"):
        shutil.copy(file, folder)


async def serial(address: str, trusting: Certificates) -> bytes | None:
    """The certificate that a caller sees there, if it is signed by whom it trusts."""
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port), ssl=trusting.caller())
    except ssl.SSLCertVerificationError:
        return None
    found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return found


@pytest.mark.parametrize("listener", ["http", "admin"])
async def test_a_renewed_certificate_is_shown_to_who_comes_now(
    made: tuple[Certificates, Certificates], tmp_path: Path, listener: str
) -> None:
    old, new = made
    place(old, tmp_path)
    tls = f'{listener}_tls = {{ cert = "{tmp_path}/server.pem", key = "{tmp_path}/server.key" }}'
    async with running(one(NOWHERE, more=listen(more=tls))) as sidecar:
        address = sidecar.daemon.addresses[listener]
        assert await serial(address, old)
        place(new, tmp_path)
        await sidecar.daemon.reload()
        assert await serial(address, old) is None
        assert await serial(address, new)
        (tmp_path / "server.pem").write_text("torn")
        with pytest.raises(ConfigError, match=rf"listen\.{listener}_tls"):
            await sidecar.daemon.reload()
        assert await serial(address, new)


async def test_a_certificate_that_is_torn_once_it_was_read_is_not_read_again(
    made: tuple[Certificates, Certificates], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = made
    place(old, tmp_path)
    take = Listening.take

    def torn_by_then(listening: Listening, move: Move, runtime: Runtime) -> None:
        (tmp_path / "server.key").write_text("torn")
        take(listening, move, runtime)

    monkeypatch.setattr(Listening, "take", torn_by_then)
    tls = f'admin_tls = {{ cert = "{tmp_path}/server.pem", key = "{tmp_path}/server.key" }}'
    async with running(one(NOWHERE, more=listen(more=tls))) as sidecar:
        place(new, tmp_path)
        await sidecar.daemon.reload()
        assert await serial(sidecar.daemon.addresses["admin"], new)


async def test_a_renewed_certificate_is_shown_over_grpc(
    made: tuple[Certificates, Certificates], tmp_path: Path
) -> None:
    old, new = made
    place(old, tmp_path)
    tls = f'grpc_tls = {{ cert = "{tmp_path}/server.pem", key = "{tmp_path}/server.key" }}'
    async with rpc_service(echo) as service:
        policy = routed(service.url).replace('grpc = "127.0.0.1:0"', f'grpc = "127.0.0.1:0"\n{tls}')
        async with running(policy) as sidecar:

            async def code(trusting: Certificates) -> str:
                with open(trusting.ca, "rb") as file:  # noqa: ASYNC230, PTH123  a small local file
                    credentials = grpc.ssl_channel_credentials(file.read())
                options = (("grpc.use_local_subchannel_pool", 1),)
                async with grpc.aio.secure_channel(sidecar.daemon.addresses["grpc"], credentials, options) as channel:
                    return (await ask_unary(channel)).code

            assert await code(old) == "OK"
            place(new, tmp_path)
            await sidecar.daemon.reload()
            assert await code(new) == "OK"
            assert await code(old) == "UNAVAILABLE"


async def test_a_renewed_certificate_of_an_upstream_makes_another_client(
    made: tuple[Certificates, Certificates], tmp_path: Path
) -> None:
    old, new = made
    shutil.copy(old.ca, tmp_path / "ca.pem")
    policy = one("https://localhost:1", upstream=f'tls = {{ ca = "{tmp_path}/ca.pem" }}')
    async with running(policy) as sidecar:
        assert "http a" in (await sidecar.daemon.reload())["kept"]
        shutil.copy(new.ca, tmp_path / "ca.pem")
        changed = await sidecar.daemon.reload()
        assert "http a" in changed["reset"]
        assert "breaker a" in changed["kept"]
