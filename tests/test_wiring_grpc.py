"""From an upstream's settings to its gRPC client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sidecar.config.resolve import ResolvedUpstream, resolve
from sidecar.dialects import beamline
from sidecar.wiring_grpc import grpc_identity, grpc_upstream
from tests.kit.policy_file import load
from tests.kit.rpc import routed
from tests.kit.stage import a_call

if TYPE_CHECKING:
    from pathlib import Path

    from sidecar.upstreams.grpc import ChannelSettings, GrpcUpstream

URL = "grpc://127.0.0.1:1"


def upstream(keys: str = "", url: str = URL) -> ResolvedUpstream:
    return resolve(load(routed(url, upstream=keys)).settings).upstreams["a"]


def client(keys: str = "", url: str = URL) -> GrpcUpstream:
    return grpc_upstream(upstream(keys, url), b"1.1 sidecar-x", lambda: 0.0, max_message=7, max_metadata=9)


def channel(keys: str = "", url: str = URL) -> ChannelSettings:
    (only,) = client(keys, url)._channels
    return only._settings


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ("", True),
        ("circuit_breaker = { failure_threshold = 9 }", True),
        ("rate_limit = { per_minute = 3 }", True),
        ('unary = ["p.S/*"]', True),
        ('headers = { X-A = "1" }', False),
        ('default_headers = { X-A = "1" }', False),
        ('timeout = { attempt = "9s" }', True),
        ("via = false", False),
        ('timeout = { connect = "9s" }', False),
        ('timeout = { idle = "9s" }', False),
        ('keepalive = { time = "10s" }', False),
        ('api_key = "k"', False),
    ],
)
async def test_what_makes_it_another_client(change: str, same: bool) -> None:
    assert (grpc_identity(upstream(change), 1, 2) == grpc_identity(upstream(), 1, 2)) is same
    assert grpc_identity(upstream(), 1, 2) != grpc_identity(upstream(), 9, 2)
    assert grpc_identity(upstream(), 1, 2) != grpc_identity(upstream(), 1, 9)
    assert grpc_identity(upstream(url="grpc://127.0.0.1:2"), 1, 2) != grpc_identity(upstream(), 1, 2)


@pytest.mark.parametrize(
    ("url", "target", "secure"),
    [
        ("grpc://127.0.0.1:50051", "127.0.0.1:50051", False),
        ("grpc://router.svc", "router.svc:80", False),
        ("grpcs://router.svc", "router.svc:443", True),
        ("grpcs://[::1]:9", "[::1]:9", True),
        ("unix:/run/router", "unix:/run/router", False),
    ],
)
async def test_an_address_as_grpcio_writes_it(url: str, target: str, secure: bool) -> None:
    settings = channel(url=url)
    assert (settings.target, settings.secure) == (target, secure)


async def test_what_the_file_says_of_a_channel() -> None:
    settings = channel('keepalive = { time = "10s", timeout = "3s" }\ntimeout = { connect = "4s" }')
    assert (settings.keepalive, settings.connect) == ((10.0, 3.0), 4.0)
    assert (settings.max_message, settings.max_metadata) == (7, 9)
    assert channel().keepalive is None
    assert channel('keepalive = { time = "0s" }').keepalive is None
    named = channel('tls = { server_name = "b.test" }', url="grpcs://127.0.0.1:1")
    assert (named.server_name, named.cert, named.key) == ("b.test", b"", b"")


async def test_one_channel_for_each_address() -> None:
    policy = routed(URL).replace(f'url = "{URL}"', 'urls = ["grpc://a:1", "grpc://b:2"]')
    resolved = resolve(load(policy).settings).upstreams["a"]
    made = grpc_upstream(resolved, b"", lambda: 0.0, max_message=1, max_metadata=1)
    assert [each._settings.target for each in made._channels] == ["a:1", "b:2"]
    assert made.states() == ["idle", "idle"]


def sent(made: GrpcUpstream, path: bytes = b"/p.S/M") -> dict[bytes, bytes]:
    call: Any = a_call(path=path)
    call.attempts = 1
    return dict(made._metadata.write(call))


async def test_the_metadata_that_the_file_adds() -> None:
    metadata = sent(client('headers = { X-Key = "k" }\ndefault_headers = { X-Tenant = "t" }'))
    assert (metadata[b"x-key"], metadata[b"x-tenant"], metadata[b"via"]) == (b"k", b"t", b"1.1 sidecar-x")
    assert b"via" not in sent(client("via = false"))


async def test_the_files_key_goes_with_every_call() -> None:
    assert sent(client('api_key = "k"'))[b"authorization"] == b"Bearer k"
    assert sent(client('api_key = "k"\nauth = "api-key"'))[b"api-key"] == b"k"
    made = resolve(load(routed(URL, upstream='api_key = "k"').replace('"grpc"', '"router"')).settings).upstreams["a"]
    router = grpc_upstream(made, b"", lambda: 0.0, max_message=1, max_metadata=1)
    assert sent(router)[b"x-api-key"] == b"k"


async def test_a_credential_of_ours_is_known_as_such() -> None:
    assert client('api_key = "k"').private
    assert client('headers = { X-API-Key = "k" }').private
    assert not client('headers = { X-Color = "red" }').private


async def test_the_router_gets_no_correlation_id_with_a_decide_and_is_not_asked_by_reflection() -> None:
    policy = routed(URL).replace('protocol = "grpc"', 'protocol = "router"')
    resolved = resolve(load(policy).settings).upstreams["a"]
    router = grpc_upstream(resolved, b"", lambda: 0.0, max_message=1, max_metadata=1)
    assert b"x-correlation-id" not in sent(router, beamline.DECIDE)
    assert b"x-correlation-id" in sent(router)
    assert b"x-correlation-id" in sent(client(), beamline.DECIDE)
    assert router.reflection is None
    assert client().reflection is not None


@pytest.mark.parametrize("key", ["ca", "cert"])
async def test_a_file_that_is_no_certificate_is_told_by_its_key(tmp_path: Path, key: str) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    tls = f'tls = {{ {key} = "{tmp_path}/no.pem" }}'
    with pytest.raises(OSError, match=r"upstreams\.a\.tls"):
        client(tls, url="grpcs://127.0.0.1:1")
