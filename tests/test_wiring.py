"""From an upstream's settings to its client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.config.resolve import ResolvedUpstream, resolve
from sidecar.upstreams.c_gateway import CGatewayUpstream
from sidecar.upstreams.http import HttpUpstream
from sidecar.wiring import HttpService, http_service, identity, unusable
from tests.kit.gateway import resolved, service_to
from tests.kit.policy_file import load
from tests.kit.running import one

if TYPE_CHECKING:
    from collections.abc import Mapping

URL = "http://127.0.0.1:1"


def upstream(keys: str = "", url: str = URL) -> ResolvedUpstream:
    return resolve(load(one(url, upstream=keys)).settings).upstreams["a"]


def service(keys: str = "", url: str = URL, environ: Mapping[str, str] | None = None) -> HttpService:
    return http_service(upstream(keys, url), environ or {}, b"1.1 sidecar-x", lambda: 0.0)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ("", True),
        ("circuit_breaker = { failure_threshold = 9 }", True),
        ("rate_limit = { per_minute = 3 }", True),
        ('headers = { X-A = "1" }', False),
        ("reuse = false", False),
        ('host = "caller"', False),
        ('proxy = "http://127.0.0.1:3128"', False),
        ('health = { path = "/" }', False),
        ('timeout = { idle = "9s" }', False),
    ],
)
async def test_what_makes_it_the_same_client(change: str, same: bool) -> None:
    assert (identity(upstream(change)) == identity(upstream())) is same


@pytest.mark.parametrize(
    ("keys", "private"),
    [
        ("", False),
        ('headers = { X-Tenant-ID = "a" }', False),
        ('headers = { authorization = "a" }', True),
        ('headers = { Cookie = "a" }', True),
        ('headers = { X-Secret-Thing = "a" }', True),
        ('headers = { X-API-Key = "" }', False),
        ('default_headers = { X-API-Key = "a" }', True),
    ],
)
async def test_when_a_credential_is_injected(keys: str, private: bool) -> None:
    assert service(keys).upstream.private is private


async def test_each_address_has_a_pool_and_a_check_of_its_own() -> None:
    keys = 'urls = ["http://127.0.0.1:1", "http://127.0.0.1:2/base"]\nhealth = { path = "/well" }'
    policy = one("UNUSED", upstream=keys).replace('url = "UNUSED"', "")
    made = http_service(resolve(load(policy).settings).upstreams["a"], {}, b"", lambda: 0.0)
    assert len(made.pools) == 2
    assert made.check is not None
    requests = [checked.request for checked in made.check._addresses]
    assert requests == [
        b"GET /well HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n",
        b"GET /base/well HTTP/1.1\r\nHost: 127.0.0.1:2\r\n\r\n",
    ]
    await made.aclose()


async def test_a_check_is_sent_as_calls_are() -> None:
    keys = 'health = { path = "/well" }\nhost = "api.test"\nheaders = { X-API-Key = "k", X-Off = "" }'
    made = service(keys + '\nproxy = "http://me:pw@127.0.0.1:3128"', "http://api.example.com/base")
    assert made.check is not None
    (checked,) = made.check._addresses
    assert checked.request == (
        b"GET http://api.example.com/base/well HTTP/1.1\r\nHost: api.test\r\nX-API-Key: k\r\n"
        b"Proxy-Authorization: Basic bWU6cHc=\r\n\r\n"
    )
    assert "Basic" not in repr(checked)
    await made.aclose()


@pytest.mark.parametrize("proxy", ["socks5://me:pw@proxy:1080", "http://proxy:none"])
async def test_a_proxy_of_the_environment_that_cannot_be_used_is_told_without_its_password(proxy: str) -> None:
    with pytest.raises(OSError, match=r"upstreams\.a: ") as told:
        service(url="http://api.example.com", environ={"http_proxy": proxy})
    assert "pw" not in str(told.value)


async def test_through_a_plain_proxy_the_target_is_a_whole_url_and_the_proxy_gets_our_credential() -> None:
    made = service('proxy = "http://me:pw@127.0.0.1:3128"', "http://api.example.com/base")
    assert isinstance(made.upstream, HttpUpstream)
    (address,) = made.upstream._addresses
    assert address.head._base == b"http://api.example.com/base"
    assert b"Proxy-Authorization: Basic bWU6cHc=" in address.head._fixed
    await made.aclose()


@pytest.mark.parametrize(("files", "said"), [(("a", "b", ""), "a, b"), (("a", "a", ""), "a")])
def test_files_that_cannot_be_used_are_named(files: tuple[str, ...], said: str) -> None:
    error = unusable("listen.http_tls", files, PermissionError(13, "Permission denied"))
    assert str(error) == f"[Errno 13] listen.http_tls: {said} cannot be used: Permission denied"


async def test_c_gateway_is_a_client_of_its_own_kind() -> None:
    made = service_to(URL, 'protocol = "c-gateway"\nheaders = { x-api-key = "k" }')
    assert isinstance(made.upstream, CGatewayUpstream)
    assert made.upstream.private
    (pool,) = made.pools
    assert (pool._limits.idle, pool._connector._lenient) == (0, True)
    await made.aclose()


def test_finish_and_the_protocol_make_another_client() -> None:
    keys = ("", "finish = true", 'protocol = "c-gateway"', 'protocol = "c-gateway"\nfinish = false')
    assert len({identity(resolved(URL, one)) for one in keys}) == len(keys)
