"""From an upstream's settings to its client: origins, pools, prepared heads, health checks."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from sidecar.http1.connect import Connector, Origin, tls_context
from sidecar.http1.drains import Drains
from sidecar.http1.pool import Pool, PoolLimits
from sidecar.settings.protocols import PROVIDERS
from sidecar.settings.texts import SECRET_NAME, SECRET_PARAMETER
from sidecar.upstreams.c_gateway import CGatewayUpstream
from sidecar.upstreams.gateway_head import GatewayHeadWriter
from sidecar.upstreams.health import Checked, HealthCheck
from sidecar.upstreams.http import Address, HttpUpstream
from sidecar.upstreams.llm_request import ANTHROPIC_VERSION
from sidecar.upstreams.request_head import Additions, HeadWriter

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from sidecar.call import Header
    from sidecar.config.resolve import ResolvedUpstream

_READABLE = (b"Accept-Encoding", b"identity")
"""What providers answer is read here: compressed it could not be, event by event."""

_VERSION = (b"anthropic-version", ANTHROPIC_VERSION)
"""Without one, Anthropic's API answers 400."""


class HttpService:
    """An HTTP upstream with what belongs to it alone: its pools, its health check, and what it reads to its end."""

    def __init__(
        self,
        upstream: HttpUpstream | CGatewayUpstream,
        pools: tuple[Pool, ...],
        check: HealthCheck | None,
        drains: Drains | None = None,
    ) -> None:
        self.upstream = upstream
        self.pools = pools
        self.check = check
        self._drains = drains

    def cut(self) -> None:
        """Close at once what is still read to its end: the process is ending."""
        if self._drains is not None:
            self._drains.cut()

    async def aclose(self) -> None:
        """Close what is idle; the busy connections end with their replies."""
        if self.check is not None:
            await self.check.aclose()
        await self.upstream.aclose()


def identity(upstream: ResolvedUpstream) -> Hashable:
    """What makes it the same client: a change of the breaker or of `attempt`, say, closes no connection."""
    own, timeout = upstream.settings, upstream.timeout
    return (
        own.protocol, upstream.urls, upstream.pool, timeout.connect, timeout.idle, upstream.health, own.headers,
        own.default_headers, own.reuse, own.finish, own.host, own.via, own.forwarded, own.tls, own.proxy, own.query,
        own.api_key, own.auth,
    )  # fmt: skip


def addressee(upstream: ResolvedUpstream) -> Hashable:
    """Who is asked, and as whom: what it said of coming back later holds for no other."""
    own = upstream.settings
    return own.protocol, upstream.urls, own.headers, own.default_headers, own.query, own.api_key, own.auth


def http_service(
    upstream: ResolvedUpstream,
    environ: Mapping[str, str],
    via: bytes,
    wall: Callable[[], float],
    trust: Callable[..., ssl.SSLContext] = tls_context,
) -> HttpService:
    """The client of an upstream that speaks HTTP. An LLM provider's does not add the credential: whose it is depends
    on the call. `trust` makes what TLS needs, or gives what it made before for the same files.

    Raises `OSError` for certificates and proxies that cannot be used.
    """
    settings = upstream.settings
    gateway = settings.protocol == "c-gateway"
    provider = settings.protocol in PROVIDERS
    writer = GatewayHeadWriter if gateway else HeadWriter
    drains = Drains() if settings.finish else None
    context = _context(upstream, trust)
    headers, defaults = pairs(settings.headers), pairs(settings.default_headers)
    credential = credential_of(upstream)
    own = () if credential is None else (credential,)
    headers += (_READABLE,) if provider else own
    asked = (*own, *((_VERSION,) if settings.protocol == "anthropic" else ())) if provider else ()
    addresses, checked = [], []
    for url in upstream.urls:
        try:
            origin = Origin.parse(
                url, context=context, server_name=settings.tls.server_name, proxy=settings.proxy, environ=environ
            )
        except ValueError as error:  # mostly a proxy of the environment's that is none of HTTP's
            raise OSError(errno.EINVAL, f"upstreams.{upstream.name}: {error}") from error
        idle = upstream.pool.idle if settings.reuse else 0
        limits = PoolLimits(upstream.pool.max, idle, upstream.pool.idle_timeout)
        connector = Connector(origin, lenient_length=gateway)  # it tells a length twice when it is overloaded
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
            query=_query(settings.query),
            ids=not provider,
        )
        head = writer(additions, (shown if origin.absolute_form else b"") + base)
        addresses.append(Address(pool, head, shown + base))
        if upstream.health is not None:
            checked.append(Checked(connector, head.check(upstream.health.path.encode(), *asked)))
    client = HttpUpstream(
        addresses,
        connect=upstream.timeout.connect,
        idle=upstream.timeout.idle,
        wall=wall,
        reuse=settings.reuse,
        private=injects_secret(upstream),
        finish=drains,
    )
    check = None
    if upstream.health is not None:
        interval, timeout = upstream.health.interval, upstream.health.timeout
        check = HealthCheck(upstream.name, checked, interval=interval, timeout=timeout, finish=drains)
    pools = tuple(address.pool for address in addresses)
    return HttpService(CGatewayUpstream(client) if gateway else client, pools, check, drains)


def credential_of(upstream: ResolvedUpstream) -> Header | None:
    """The field that carries the file's `api_key`; None when there is no key."""
    own = upstream.settings
    if not own.api_key:
        return None
    name, key = own.credential_header, own.api_key.encode("latin-1")
    return (b"Authorization", b"Bearer " + key) if name == "authorization" else (name.encode(), key)


def injects_secret(upstream: ResolvedUpstream) -> bool:
    """Whether a credential of ours goes there, in whatever field or parameter, by its name."""
    own = upstream.settings
    fields = (*own.headers.items(), *own.default_headers.items())
    return (
        bool(own.api_key)
        or any(value and SECRET_NAME.search(name) for name, value in fields)
        or any(value and SECRET_PARAMETER.search(name) for name, value in own.query.items())
    )


def pairs(table: Mapping[str, str]) -> tuple[Header, ...]:
    """A table of the file as header fields."""
    return tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in table.items())


def _query(table: Mapping[str, str]) -> bytes:
    """A table of the file as parameters; like a field's, an empty value is not sent."""
    return "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in table.items() if value
    ).encode()


def _context(upstream: ResolvedUpstream, trust: Callable[..., ssl.SSLContext]) -> ssl.SSLContext | None:
    if not any(url.startswith("https:") for url in upstream.urls):
        return None
    tls = upstream.settings.tls
    try:
        return trust(ca=tls.ca, cert=tls.cert, key=tls.key, verify=tls.verify)
    except OSError as error:  # an ssl.SSLError is one
        raise unusable(f"upstreams.{upstream.name}.tls", (tls.ca, tls.cert, tls.key), error) from error


def unusable(key: str, files: Iterable[str], error: OSError) -> OSError:
    """The same error, naming the key and its files: OpenSSL itself says neither."""
    named = ", ".join(dict.fromkeys(filter(None, files)))
    return OSError(error.errno, f"{key}: {named} cannot be used: {error.strerror or error}")
