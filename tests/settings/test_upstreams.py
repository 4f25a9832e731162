"""`[upstreams.NAME]`."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sidecar.settings import Protocol, UpstreamSettings


def test_an_upstream_is_http_with_a_pool_and_a_breaker() -> None:
    upstream = UpstreamSettings(url="http://a")
    assert (upstream.protocol, upstream.reuse, upstream.via, upstream.forwarded) == ("http", True, True, False)
    assert (upstream.pool.max, upstream.pool.idle, upstream.pool.idle_timeout) == (100, 100, 90)
    assert upstream.circuit_breaker is not None
    assert (upstream.health, upstream.tls.verify, upstream.host) == (None, True, "upstream")


def test_its_addresses_are_its_url_or_its_urls() -> None:
    assert UpstreamSettings(url="http://a").addresses == ("http://a",)
    assert UpstreamSettings(urls=("http://a", "http://b")).addresses == ("http://a", "http://b")
    assert UpstreamSettings().addresses == ()


@pytest.mark.parametrize(
    ("protocol", "unset", "bearer", "api_key"),
    [
        ("http", "authorization", "authorization", "api-key"),
        ("grpc", "authorization", "authorization", "api-key"),
        ("openai", "authorization", "authorization", "api-key"),
        ("anthropic", "x-api-key", "authorization", "x-api-key"),
        ("c-gateway", "x-api-key", "authorization", "x-api-key"),
        ("router", "x-api-key", "authorization", "x-api-key"),
    ],
)
def test_a_key_travels_as_the_protocols_own_clients_send_it(
    protocol: Protocol, unset: str, bearer: str, api_key: str
) -> None:
    assert UpstreamSettings(protocol=protocol).credential_header == unset
    assert UpstreamSettings(protocol=protocol, auth="bearer").credential_header == bearer
    assert UpstreamSettings(protocol=protocol, auth="api-key").credential_header == api_key


@pytest.mark.parametrize("host", ["upstream", "caller", "api.example.org", "h:8080", "[::1]:80"])
def test_the_host_that_is_sent(host: str) -> None:
    assert UpstreamSettings(host=host).host == host


@pytest.mark.parametrize("host", ["", "a b", "a\r\nb", "http://a", "a/b"])
def test_what_cannot_be_sent_as_host(host: str) -> None:
    with pytest.raises(ValidationError):
        UpstreamSettings(host=host)
