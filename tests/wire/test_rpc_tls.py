"""TLS for gRPC on either side: who is trusted, who is not, and what a caller is told of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from tests.kit.certificates import Certificates, make_certificates
from tests.kit.rpc import echo, routed, rpc_service
from tests.kit.rpc_caller import ask, ask_unary
from tests.kit.running import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.kit.rpc import RpcService
    from tests.kit.running import Running


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def read(path: str) -> bytes:
    return Path(path).read_bytes()


def of_server(certificates: Certificates, name: str = "server", *, ask_client: bool = False) -> Any:
    cert, key = certificates.pair(name)
    ca = read(certificates.ca) if ask_client else None
    return grpc.ssl_server_credentials([(read(key), read(cert))], ca, ask_client)


def of_caller(certificates: Certificates, name: str = "", *, ca: str = "") -> Any:
    cert, key = map(read, certificates.pair(name)) if name else (None, None)
    return grpc.ssl_channel_credentials(read(ca or certificates.ca), key, cert)


@asynccontextmanager
async def secured(certificates: Certificates, tls: str, credentials: Any) -> AsyncIterator[tuple[Running, RpcService]]:
    """A sidecar before a server with these credentials, which is reached by its name."""
    async with rpc_service(echo, credentials=credentials) as service:
        policy = routed(f"grpcs://localhost:{service.target.rpartition(':')[2]}", upstream=f"tls = {{ {tls} }}")
        async with running(policy) as sidecar:
            yield sidecar, service


async def ask_plain(sidecar: Running) -> Any:
    async with grpc.aio.insecure_channel(sidecar.daemon.addresses["grpc"]) as channel:
        return await ask_unary(channel)


async def test_a_server_whose_authority_is_ours(certificates: Certificates) -> None:
    async with secured(certificates, f'ca = "{certificates.ca}"', of_server(certificates)) as (sidecar, service):
        assert (await ask_plain(sidecar)).short == ("OK", [b"hi"])
        assert len(service.seen) == 1


async def test_a_server_of_another_name(certificates: Certificates) -> None:
    credentials = of_server(certificates)
    named = f'ca = "{certificates.ca}", server_name = "service.test"'
    async with secured(certificates, named, credentials) as (sidecar, _):
        assert (await ask_plain(sidecar)).short == ("OK", [b"hi"])
    misnamed = f'ca = "{certificates.ca}", server_name = "other.test"'
    async with secured(certificates, misnamed, credentials) as (sidecar, service):
        assert (await ask_plain(sidecar)).code == "UNAVAILABLE"
        assert service.seen == []


@pytest.mark.parametrize("stranger", [False, True], ids=["nobody trusted", "a stranger"])
async def test_a_server_that_is_not_trusted_gets_no_call(certificates: Certificates, stranger: bool) -> None:
    ca = f'ca = "{certificates.ca}"' if stranger else ""
    credentials = of_server(certificates, "stranger" if stranger else "server")
    async with secured(certificates, ca, credentials) as (sidecar, service):
        answer = await ask_plain(sidecar)
        assert answer.code == "UNAVAILABLE"
        assert answer.field("x-sidecar-attempts") == "3"  # row 2
        assert service.seen == []


async def test_a_server_that_asks_who_we_are(certificates: Certificates) -> None:
    cert, key = certificates.pair("client")
    ca = f'ca = "{certificates.ca}"'
    credentials = of_server(certificates, ask_client=True)
    async with secured(certificates, f'{ca}, cert = "{cert}", key = "{key}"', credentials) as (sidecar, service):
        assert (await ask_plain(sidecar)).short == ("OK", [b"hi"])
        assert len(service.seen) == 1
    async with secured(certificates, ca, credentials) as (sidecar, service):
        assert (await ask_plain(sidecar)).code == "UNAVAILABLE"
        assert service.seen == []


async def test_plain_text_to_a_server_that_wants_tls(certificates: Certificates) -> None:
    async with (
        rpc_service(echo, credentials=of_server(certificates)) as service,
        running(routed(service.url, upstream="timeout = { connect = '1s' }")) as sidecar,
    ):
        assert (await ask_plain(sidecar)).code == "UNAVAILABLE"


def listen(certificates: Certificates, *, client_ca: bool = False) -> str:
    cert, key = certificates.pair("server")
    ca = f', client_ca = "{certificates.ca}"' if client_ca else ""
    return f'grpc_tls = {{ cert = "{cert}", key = "{key}"{ca} }}\n'


@asynccontextmanager
async def guarded(certificates: Certificates, *, client_ca: bool = False) -> AsyncIterator[tuple[str, RpcService]]:
    """A sidecar with TLS before it: where it listens, and the server behind it."""
    async with rpc_service(echo) as service:
        policy = routed(service.url).replace("[listen]\n", "[listen]\n" + listen(certificates, client_ca=client_ca))
        async with running(policy) as sidecar:
            port = sidecar.daemon.addresses["grpc"].rpartition(":")[2]
            yield f"localhost:{port}", service


async def test_callers_over_tls(certificates: Certificates) -> None:
    async with guarded(certificates) as (address, service):
        async with grpc.aio.secure_channel(address, of_caller(certificates)) as channel:
            assert (await ask_unary(channel)).short == ("OK", [b"hi"])
            assert (await ask(channel, b"a", b"b")).short == ("OK", [b"a", b"b"])
        stranger = of_caller(certificates, ca=certificates.pair("stranger")[0])
        async with grpc.aio.secure_channel(address, stranger) as channel:
            assert (await ask_unary(channel)).code == "UNAVAILABLE"
        async with grpc.aio.insecure_channel(address) as channel:
            assert (await ask_unary(channel)).code == "UNAVAILABLE"
        assert len(service.seen) == 2


async def test_callers_that_must_say_who_they_are(certificates: Certificates) -> None:
    async with guarded(certificates, client_ca=True) as (address, service):
        async with grpc.aio.secure_channel(address, of_caller(certificates, "client")) as channel:
            assert (await ask_unary(channel)).short == ("OK", [b"hi"])
        for name in ("", "stranger"):
            async with grpc.aio.secure_channel(address, of_caller(certificates, name)) as channel:
                assert (await ask_unary(channel)).code == "UNAVAILABLE"
        assert len(service.seen) == 1


@pytest.mark.parametrize("broken", ["cert", "key"])
async def test_a_certificate_that_cannot_be_used_is_told_at_the_start(
    certificates: Certificates, tmp_path: Path, broken: str
) -> None:
    cert, key = certificates.pair("server")
    (tmp_path / "no.pem").write_text("no certificate")
    if broken == "cert":
        cert = str(tmp_path / "no.pem")
    else:
        key = certificates.pair("client")[1]
    policy = routed("grpc://127.0.0.1:1").replace(
        "[listen]\n", f'[listen]\ngrpc_tls = {{ cert = "{cert}", key = "{key}" }}\n'
    )
    with pytest.raises(OSError, match=r"listen\.grpc_tls"):
        async with running(policy):
            pass


async def test_a_client_certificate_that_cannot_be_used_is_told_at_the_start(
    certificates: Certificates, tmp_path: Path
) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    policy = routed("grpcs://127.0.0.1:1", upstream=f'tls = {{ ca = "{tmp_path}/no.pem" }}')
    with pytest.raises(OSError, match=r"upstreams\.a\.tls"):
        async with running(policy):
            pass
