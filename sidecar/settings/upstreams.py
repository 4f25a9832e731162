"""`[upstreams.NAME]`: whom the sidecar calls, and how."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from sidecar.settings.policies import SharedPolicy, UpstreamPolicy
from sidecar.settings.table import Table
from sidecar.settings.texts import Credential, Headers, PathText, ProxyUrl, Url
from sidecar.settings.values import Flag, Frozen, Int, Items, Seconds, Secret, SettingError

Protocol = Literal["http", "c-gateway", "grpc", "router", "openai", "anthropic"]


class HealthSettings(Frozen):
    """`health`: an active check of every address; the upstream rests while none passes."""

    path: PathText
    """Asked with GET; a 2xx is healthy."""
    interval: Seconds = Field(10.0, gt=0)
    """From one check to the next."""
    timeout: Seconds = Field(2.0, gt=0)
    """A check that takes longer has failed."""


class PoolSettings(Frozen):
    """`pool`: connections to each address of an upstream."""

    max: Int = Field(100, ge=0)
    """Connections at once, 0: no limit. A full pool makes a call wait `timeout.connect`, then the next target is asked,
    or 503 `overloaded`.
    """
    idle: Int = Field(100, ge=0)
    """Idle connections that are kept."""
    idle_timeout: Seconds = 90.0
    """How long an idle connection is kept."""


class TlsClientSettings(Frozen):
    """`tls`: how an upstream proves who it is, and how we do."""

    ca: str = ""
    """File with the authorities to trust (PEM); empty: the system's."""
    cert: str = ""
    """File with our certificate chain (PEM)."""
    key: str = ""
    """File with our private key (PEM); empty: it is in `cert`."""
    server_name: str = ""
    """The name that the certificate must bear; empty: the URL's host."""
    verify: Flag = True
    """False: any certificate will do. For development only."""


class KeepaliveSettings(Frozen):
    """`keepalive`: pings on a gRPC connection."""

    time: Seconds = 10.0
    """From one ping to the next; 0: none."""
    timeout: Seconds = 5.0
    """A connection that does not answer a ping in this time is dead."""


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?", text):
        raise SettingError("is not a host", allowed="upstream, caller, or a host name with or without port")
    return text


class UpstreamSettings(UpstreamPolicy, SharedPolicy):
    """`[upstreams.NAME]`; any policy table beside `policy` overrides it key by key."""

    protocol: Protocol = "http"
    """What it speaks, and which values hold where the file says nothing; `openai` is any server that speaks its API."""
    url: Url | None = None
    """`http://host:port/base`, `https://…` or `unix:/path`; for gRPC `grpc://host:port`, `grpcs://…` or `unix:/path`.
    """
    urls: Items[Url] = ()
    """Several addresses instead of `url`: two random choices, fewer in flight. Three failures in a row set one aside
    for 1s, doubling to 30s.
    """
    headers: Headers = Field(default_factory=Table, repr=False)
    """Set on every request; an empty value is not sent."""
    default_headers: Headers = Field(default_factory=Table, repr=False)
    """Set where the caller sent none; an empty value is not sent."""
    query: Table[Secret] = Field(default_factory=Table, repr=False)
    """Parameters added to the query of every request, instead of the caller's of that name; an empty value is not sent.
    Not for grpc, router and c-gateway.
    """
    auth: Literal["bearer", "api-key"] | None = None
    """How `api_key` is sent: `Authorization: Bearer`, or `x-api-key` (http, grpc, openai: `api-key`). Unset: bearer for
    http, grpc and openai, else api-key.
    """
    api_key: Credential = Field("", repr=False)
    """The credential, sent on every request; empty: the caller's own is passed on."""
    policy: str = "default"
    """The name of a policy."""
    health: HealthSettings | None = None
    """An active check; unset: none."""
    pool: PoolSettings = PoolSettings()
    """Connections to each address."""
    reuse: Flag = True
    """False: one connection per request."""
    finish: Flag = False
    """A cancelled call's connection is read to its end in the background."""
    host: Annotated[str, AfterValidator(_host)] = "upstream"
    """The `Host` sent: `upstream` (the URL's), `caller` (as received), or a name."""
    via: Flag = True
    """Send `Via`, by which loops are found."""
    forwarded: Flag = False
    """Send `X-Forwarded-For`, `-Host` and `-Proto`."""
    tls: TlsClientSettings = TlsClientSettings()
    """For `https` and `grpcs`."""
    proxy: ProxyUrl = ""
    """A forward proxy; empty: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, never for loopback, unix sockets or names
    without a dot.
    """
    unary: Items[str] = ()
    """For grpc: methods known to be one message each way, which cost less: `package.Service/Method`, or a prefix with
    `*`.
    """
    keepalive: KeepaliveSettings | None = None
    """gRPC pings; unset: none."""

    @property
    def credential_header(self) -> str:
        """The header that carries `api_key`, in lower case."""
        by_default = "bearer" if self.protocol in {"http", "grpc", "openai"} else "api-key"
        if (self.auth or by_default) == "bearer":
            return "authorization"
        return "api-key" if by_default == "bearer" else "x-api-key"

    @property
    def addresses(self) -> tuple[str, ...]:
        """All URLs, whichever key named them."""
        return self.urls or ((self.url,) if self.url else ())
