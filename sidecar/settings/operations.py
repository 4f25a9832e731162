"""`[redis]`, `[telemetry]`, `[admin]`: what the sidecar needs and shows to be run."""

from typing import Literal

from pydantic import Field

from sidecar.settings.texts import Credential, OtlpUrl, RedisUrl
from sidecar.settings.values import Access, Flag, Frozen, Int, Number


class RedisSettings(Frozen):
    """`[redis]`: for limits with `store = "redis"`, and for news of breakers."""

    url: RedisUrl = Field("redis://127.0.0.1:6379/0", repr=False)
    """Where it is, by which name and password, and which database: `rediss://USER:PASSWORD@HOST:PORT/0` for TLS."""
    on_failure: Literal["local", "reject"] = "local"
    """Where Redis does not count within 0.1 s: `local` counts in each sidecar by itself and says so in health, `reject`
    answers calls that a shared limit guards with 503 `overloaded`.
    """
    share_breakers: Flag = False
    """Tell other sidecars when a breaker opens or closes by itself, and hear them: after one's opening a single
    failure opens the same breaker here, after its closing the next call may be a probe. No call is refused for it.
    """


class TelemetrySettings(Frozen):
    """`[telemetry]`: log, metrics and traces."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that a line must be worth to be written."""
    log_format: Literal["json", "console"] = "json"
    """For machines, or for people."""
    access_log: Access = True
    """A line for each finished call, for what went wrong only (`errors`), or for none."""
    access_log_sample: Number = Field(1.0, ge=0, le=1)
    """The share of lines kept; errors, retries, fallbacks and slow calls always are."""
    otlp: OtlpUrl = ""
    """A collector of OpenTelemetry's: traces of calls go there by OTLP over HTTP, to `/v1/traces` below this address;
    empty: nowhere. Needs the package's extra `otlp`. `OTEL_SERVICE_NAME` and its like in the environment count, only
    `OTEL_EXPORTER_OTLP_ENDPOINT` does not.
    """
    server_timing: Flag = False
    """Answers carry `Server-Timing`."""
    max_series: Int = Field(10_000, ge=1)
    """Label sets of metrics; new ones beyond it become `other`."""


class AdminSettings(Frozen):
    """`[admin]`: who may change things."""

    token: Credential = Field("", repr=False)
    """Needed for every change; off loopback also for every read. Sent as `Authorization: Bearer`."""
