"""`[listen]` and `[limits]`: where callers come in, and what they may send."""

from pydantic import Field

from sidecar.settings.address import AddressText
from sidecar.settings.texts import Credential, Host, Network, Origin
from sidecar.settings.values import Bytes, Frozen, Int, Items, Seconds


class TlsServerSettings(Frozen):
    """TLS on a listener."""

    cert: str = Field(min_length=1)
    """File with the certificate chain (PEM)."""
    key: str = Field(min_length=1)
    """File with the private key (PEM)."""
    client_ca: str = ""
    """File with the authorities that a client's certificate must come from; empty: clients need none."""


class ListenSettings(Frozen):
    """`[listen]`: addresses are `host:port` (port 0: the system chooses), `[::1]:port`, `unix:/path`; `""` is off."""

    http: AddressText = "127.0.0.1:7070"
    """HTTP/1.1 for applications."""
    grpc: AddressText = "127.0.0.1:7071"
    """gRPC for applications, all four kinds of call."""
    admin: AddressText = "127.0.0.1:7072"
    """Health, metrics, state and switches, for people."""
    probe: AddressText = ""
    """`/livez`, `/readyz` and `/metrics` only, never a token: for the kubelet and Prometheus on a pod address."""
    hosts: Items[Host] = ()
    """Further `Host` names that callers on a loopback address may use."""
    origins: Items[Origin] = ()
    """Web origins whose pages may call, besides loopback ones: `"http://dev.example:3000"`."""
    trusted: Items[Network] = ()
    """Networks of proxies whose `X-Forwarded-For` counts: `"10.0.0.0/8"`."""
    http_token: Credential = Field("", repr=False)
    """Callers must send it as `X-Sidecar-Token`; empty: none is asked."""
    http_tls: TlsServerSettings | None = None
    """TLS on the http listener."""
    grpc_tls: TlsServerSettings | None = None
    """TLS on the gRPC listener."""
    admin_tls: TlsServerSettings | None = None
    """TLS on the admin listener."""


class RouteLimitsSettings(Frozen):
    """`[routes.NAME.limits]`: guards on what callers of one route may send. What is not set is that of `[limits]`, and
    `max_headers` and `max_header_bytes` can only be less.
    """

    max_inflight: Int = Field(0, ge=0)
    """Calls at once, 0 = no limit; beyond it 503 `overloaded`."""
    max_headers: Int = Field(128, ge=1)
    """Header fields of a request, or pairs of gRPC metadata; 431 beyond it."""
    max_header_bytes: Bytes = Field(32 * 1024, ge=256)
    """Size of a request's head, or of gRPC metadata; 431 beyond it."""
    max_body_bytes: Bytes = 0
    """Size of a request body; 413 beyond it. 0: no limit, it streams through. gRPC: of each message, 0:
    `max_held_bytes`.
    """
    max_held_bytes: Bytes = 64 * 1024**2
    """Size of a body that must be held whole, as that of an LLM request or of a decide for the Router; 413 beyond it.
    """


class LimitsSettings(RouteLimitsSettings):
    """`[limits]`: guards on what callers may send."""

    max_connections: Int = Field(4096, ge=1)
    """Caller connections; beyond it accept is paused. Lowered to fit the file-descriptor limit, with a log line."""
    replay_total: Bytes = 256 * 1024**2
    """Memory over all kept request bodies; beyond it bodies stream and cannot be sent again."""
    header_timeout: Seconds = 10.0
    """Longest time for a request's head; then 408 and close."""
    body_timeout: Seconds = 60.0
    """Longest silence inside a request body; then 408."""
    keepalive: Seconds = 75.0
    """How long an idle caller connection is kept."""
    drain: Seconds = 25.0
    """On SIGTERM: how long at most calls go on being accepted and finished."""
    linger: Seconds = 2.0
    """On SIGTERM: draining ends when no caller connection was open for this long. On a terminal nobody lingers."""
