"""From an upstream's settings to its client: origins, pools, prepared heads, health checks."""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sidecar.http1.connect import Connector, Origin, tls_context
from sidecar.http1.pool import Pool, PoolLimits
from sidecar.upstreams.health import Checked, HealthCheck
from sidecar.upstreams.http import Address, HttpUpstream
from sidecar.upstreams.request_head import Additions, HeadWriter

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from sidecar.call import Header
    from sidecar.config.resolve import ResolvedUpstream

SECRET_NAME = re.compile(r"key|token|auth|cookie|secret", re.IGNORECASE)
"""Names of header fields that hold a credential."""


class HttpService:
    """An HTTP upstream with what belongs to it alone: its pools and its health check."""

    def __init__(self, upstream: HttpUpstream, pools: tuple[Pool, ...], check: HealthCheck | None) -> None:
        self.upstream = upstream
        self.pools = pools
        self.check = check

    async def aclose(self) -> None:
        if self.check is not None:
            await self.check.aclose()
        await self.upstream.aclose()


def identity(upstream: ResolvedUpstream) -> Hashable:
    """What makes it the same client: a change of the breaker, say, does not close connections."""
    own = upstream.settings
    return (
        upstream.urls, upstream.pool, upstream.timeout, upstream.health, own.headers, own.default_headers,
        own.reuse, own.host, own.via, own.forwarded, own.tls, own.proxy,
    )  # fmt: skip


def http_service(
    upstream: ResolvedUpstream, environ: Mapping[str, str], via: bytes, wall: Callable[[], float]
) -> HttpService:
    """The client of an http upstream. Raises `OSError` for certificates and proxies that cannot be used."""
    settings = upstream.settings
    context = _context(upstream)
    headers, defaults = _pairs(settings.headers), _pairs(settings.default_headers)
    addresses, checked = [], []
    for url in upstream.urls:
        try:
            origin = Origin.parse(
                url, context=context, server_name=settings.tls.server_name, proxy=settings.proxy, environ=environ
            )
        except ValueError as error:  # mostly a proxy of the environment's that is none of HTTP's
            raise OSError(errno.EINVAL, f"upstreams.{upstream.name}: {error}") from error
        limits = PoolLimits(upstream.pool.max, upstream.pool.idle, upstream.pool.idle_timeout)
        connector = Connector(origin)
        pool = Pool(connector, limits)
        base = b"" if origin.path else urlsplit(url).path.rstrip("/").encode()
        shown = b"%b://%b" % (origin.scheme.encode(), origin.authority)
        fixed = headers
        if origin.proxy_authorization:
            fixed = (*headers, (b"Proxy-Authorization", origin.proxy_authorization))
        additions = Additions(
            host=settings.host,
            authority=origin.authority,
            headers=fixed,
            default_headers=defaults,
            via=via if settings.via else b"",
            forwarded=settings.forwarded,
        )
        head = HeadWriter(additions, (shown if origin.absolute_form else b"") + base)
        addresses.append(Address(pool, head, shown + base))
        if upstream.health is not None:
            checked.append(Checked(connector, head.check(upstream.health.path.encode())))
    private = any(value and SECRET_NAME.search(name.decode("latin-1")) for name, value in (*headers, *defaults))
    client = HttpUpstream(
        addresses,
        connect=upstream.timeout.connect,
        idle=upstream.timeout.idle,
        wall=wall,
        reuse=settings.reuse,
        private=private,
    )
    check = None
    if upstream.health is not None:
        check = HealthCheck(upstream.name, checked, interval=upstream.health.interval, timeout=upstream.health.timeout)
    return HttpService(client, tuple(address.pool for address in addresses), check)


def _pairs(table: Mapping[str, str]) -> tuple[Header, ...]:
    return tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in table.items())


def _context(upstream: ResolvedUpstream) -> ssl.SSLContext | None:
    if not any(url.startswith("https:") for url in upstream.urls):
        return None
    tls = upstream.settings.tls
    try:
        return tls_context(ca=tls.ca, cert=tls.cert, key=tls.key, verify=tls.verify)
    except OSError as error:  # an ssl.SSLError is one
        raise unusable(f"upstreams.{upstream.name}.tls", (tls.ca, tls.cert, tls.key), error) from error


def unusable(key: str, files: Iterable[str], error: OSError) -> OSError:
    """The same error, naming the key and its files: OpenSSL itself says neither."""
    named = ", ".join(dict.fromkeys(filter(None, files)))
    return OSError(error.errno, f"{key}: {named} cannot be used: {error.strerror or error}")
