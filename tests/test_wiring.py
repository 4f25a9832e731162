"""From an upstream's settings to its client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.config.resolve import ResolvedUpstream, resolve
from sidecar.upstreams.c_gateway import CGatewayUpstream
from sidecar.upstreams.http import HttpUpstream
from sidecar.wiring import HttpService, credential_of, http_service, identity, unusable
from tests.kit.gateway import resolved, service_to
from tests.kit.policy_file import load
from tests.kit.running import one
from tests.kit.stage import a_call

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
        ('timeout = { attempt = "9s" }', True),
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


def provider(keys: str = "", protocol: str = "openai", url: str = "http://127.0.0.1:1/v1") -> HttpService:
    return service(f'protocol = "{protocol}"\n{keys}', url)


def head(made: HttpService, *fields: tuple[bytes, bytes], target: bytes = b"/chat/completions") -> bytes:
    """What a call with these fields has become at the upstream's first address."""
    assert isinstance(made.upstream, HttpUpstream)
    call = a_call(b"POST", target, headers=list(fields), fields={name.lower(): value for name, value in fields})
    return made.upstream._addresses[0].head.write(call, length=2, chunked=False)


async def test_a_provider_gets_what_the_caller_sent_readable_and_without_ids_of_ours() -> None:
    made = provider('api_key = "sk-ours"\nquery = { api-version = "1 &", v = "" }')
    assert head(made, (b"accept-encoding", b"gzip, br"), (b"X-Mine", b"1"), (b"Via", b"1.0 fred")) == (
        b"POST /v1/chat/completions?api-version=1%20%26 HTTP/1.1\r\nHost: 127.0.0.1:1\r\nX-Mine: 1\r\n"
        b"Via: 1.0 fred\r\nAccept-Encoding: identity\r\nContent-Length: 2\r\n\r\n"
    )


async def test_a_provider_has_all_that_an_http_upstream_has() -> None:
    keys = 'host = "api.test"\nproxy = "http://me:pw@127.0.0.1:3128"\nforwarded = true\ndefault_headers = { X-A = "1" }'
    told = head(provider(keys, url="http://api.example.com/v1"))
    assert told.startswith(b"POST http://api.example.com/v1/chat/completions HTTP/1.1\r\nHost: api.test\r\n")
    for line in (b"Proxy-Authorization: Basic bWU6cHc=", b"X-A: 1", b"X-Forwarded-Proto: http"):
        assert line + b"\r\n" in told
    policy = one("UNUSED", upstream='protocol = "anthropic"\nurls = ["https://a.test/v1", "http://b.test/v1"]')
    made = http_service(
        resolve(load(policy.replace('url = "UNUSED"', "")).settings).upstreams["a"], {}, b"", lambda: 0.0
    )
    assert [pool._connector.origin.host for pool in made.pools] == ["a.test", "b.test"]
    assert made.pools[0]._connector.origin.context is not None
    await made.aclose()


async def test_a_provider_has_as_many_connections_as_there_are_calls() -> None:
    (pool,) = provider().pools
    assert (pool._limits.max, pool._limits.idle) == (0, 100)
    (pool,) = provider("pool = { max = 3 }").pools
    assert pool._limits.max == 3


@pytest.mark.parametrize(
    ("protocol", "auth", "field"),
    [
        ("openai", "", (b"Authorization", b"Bearer k\xe9")),
        ("openai", 'auth = "bearer"', (b"Authorization", b"Bearer k\xe9")),
        ("openai", 'auth = "api-key"', (b"api-key", b"k\xe9")),
        ("anthropic", "", (b"x-api-key", b"k\xe9")),
        ("anthropic", 'auth = "api-key"', (b"x-api-key", b"k\xe9")),
        ("anthropic", 'auth = "bearer"', (b"Authorization", b"Bearer k\xe9")),
        ("http", "", (b"Authorization", b"Bearer k\xe9")),
        ("c-gateway", "", (b"x-api-key", b"k\xe9")),
    ],
)
def test_the_field_that_carries_the_files_key(protocol: str, auth: str, field: tuple[bytes, bytes]) -> None:
    assert credential_of(upstream(f'protocol = "{protocol}"\napi_key = "k\\u00e9"\n{auth}')) == field
    assert credential_of(upstream(f'protocol = "{protocol}"')) is None
    empty = upstream(f'protocol = "{protocol}"\napi_key = "${{NOBODY_SETS_THIS:-}}"\n{auth}')
    assert credential_of(empty) is None


@pytest.mark.parametrize(
    ("keys", "sent"),
    [
        ('api_key = "k"', b"Authorization: Bearer k"),
        ('api_key = "k"\nauth = "api-key"', b"api-key: k"),
        ('api_key = "k"\nprotocol = "c-gateway"', b"X-API-Key: k"),
    ],
)
async def test_other_services_get_the_files_key_with_every_request_instead_of_the_callers(
    keys: str, sent: bytes
) -> None:
    name = sent.partition(b":")[0]
    made = service_to(URL, f'{keys}\nhealth = {{ path = "/well" }}')
    client = made.upstream._http if isinstance(made.upstream, CGatewayUpstream) else made.upstream
    call = a_call(headers=[(name, b"theirs")], fields={name.lower(): b"theirs"})
    lines = client._addresses[0].head.write(call, length=None, chunked=False).split(b"\r\n")
    assert [line for line in lines if line.lower().startswith(name.lower())] == [sent]
    assert made.check is not None
    (checked,) = made.check._addresses
    assert sent in checked.request.split(b"\r\n")
    assert made.upstream.private


@pytest.mark.parametrize(
    ("keys", "private"),
    [
        ("", False),
        ('api_key = "k"', True),
        ('api_key = ""', False),
        ('query = { api-version = "1" }', False),
        ('query = { key = "k" }', True),
        ('query = { "sig\\u0142" = "\\u0142" }', True),
        ('query = { key = "" }', False),
    ],
)
async def test_a_key_makes_answers_private_wherever_it_is_sent(keys: str, private: bool) -> None:
    for protocol in ("http", "openai", "anthropic"):
        assert provider(keys, protocol).upstream.private is private


@pytest.mark.parametrize(
    ("protocol", "further"),
    [
        ("openai", b"Authorization: Bearer k\r\n"),
        ("anthropic", b"x-api-key: k\r\nanthropic-version: 2023-06-01\r\n"),
    ],
)
async def test_a_check_of_a_provider_is_asked_with_the_files_key(protocol: str, further: bytes) -> None:
    made = provider('api_key = "k"\nhealth = { path = "/models" }\nquery = { v = "1" }', protocol)
    assert made.check is not None
    (checked,) = made.check._addresses
    assert checked.request == (
        b"GET /v1/models?v=1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\nAccept-Encoding: identity\r\n%b\r\n" % further
    )


def test_the_key_and_the_query_make_another_client() -> None:
    keys = ("", 'api_key = "a"', 'api_key = "b"', 'api_key = "a"\nauth = "api-key"', 'query = { v = "1" }')
    assert len({identity(upstream(one)) for one in keys}) == len(keys)
