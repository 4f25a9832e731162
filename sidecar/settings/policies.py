"""The policy tables: how often, how long, how many. Defaults are those of protocol http.

`retry` and `deadline` are asked by routes, `timeout` and `circuit_breaker` by
upstreams; the other tables stand on either.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from sidecar.settings.texts import LimitKey
from sidecar.settings.values import (
    DURATION,
    Bytes,
    Flag,
    Frozen,
    Int,
    Items,
    Number,
    Seconds,
    Switchable,
    as_int,
    as_seconds,
)

Status = Annotated[int, Field(ge=400, le=599), BeforeValidator(as_int)]
GrpcCode = Literal[
    "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
]  # fmt: skip


class RetrySettings(Frozen):
    """`retry`: when and how often an attempt is made again on the same target."""

    tries: Int = Field(3, ge=1)
    """Attempts on one target, the first included."""
    max_attempts: Int = Field(6, ge=1)
    """Attempts of one call over its whole chain; one is always kept for each target still to come."""
    backoff: Seconds = 0.1
    """Wait before the second try."""
    max_backoff: Seconds = 5.0
    """Longest wait of the growing backoff."""
    multiplier: Number = Field(2.0, ge=1)
    """Each wait is so many times the one before."""
    jitter: Number = Field(0.5, ge=0, le=1)
    """A wait is uniform within ± this share; on a Retry-After jitter only adds."""
    statuses: Items[Status] = (408, 409, 429, 500, 502, 503, 504, 529)
    """Statuses that are tried again on the same target, where the call allows it at all; 409 never is over plain HTTP.
    """
    grpc_codes: Items[GrpcCode] = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED")
    """gRPC codes that are tried again on the same target, likewise."""
    patience: Seconds = 5.0
    """Longest Retry-After that is waited out while another target is left."""
    max_retry_after: Seconds = 60.0
    """Longest Retry-After that is waited out on the last target."""
    max_rest: Seconds = 900.0
    """Longest that a target rests on a Retry-After."""
    budget: Number = Field(0.2, ge=0)
    """Retries on the same target as a share of an upstream's calls over the last 10 s; fallback does not pay."""
    budget_min_per_second: Number = Field(3.0, ge=0)
    """Retries that are always allowed, so that a quiet upstream has some."""
    replay_buffer: Bytes = 1024**2
    """A longer request body is streamed and cannot be sent again."""


class TimeoutSettings(Frozen):
    """`timeout`: `"0s"` switches one off."""

    connect: Seconds = 2.0
    """Time to connect, and to wait for a place in a full pool."""
    attempt: Seconds = 20.0
    """Time of one attempt until the reply begins, while another could follow; the last has what is left of the
    deadline.
    """
    first_token: Seconds = 0.0
    """LLM providers: time until a stream's first content. What the file sets always holds; what it does not set (5m
    when the request asks for reasoning or thinking) only while another attempt could follow.
    """
    idle: Seconds = 300.0
    """Longest silence inside a reply."""


class CircuitBreakerSettings(Frozen):
    """`circuit_breaker`: when a target is left alone, and for how long. `false` switches it off."""

    failure_threshold: Int = Field(5, ge=1)
    """It opens when at least so many calls of the window failed …"""
    failure_rate: Number = Field(0.5, ge=0, le=1)
    """… and they are at least this share of it; 0: the count alone decides."""
    window: Int = Field(100, ge=1)
    """The window is the last so many calls …"""
    window_time: Seconds = Field(30.0, gt=0)
    """… that are younger than this."""
    success_threshold: Int = Field(2, ge=1)
    """So many probes must succeed before it closes."""
    recovery_first: Seconds = Field(5.0, gt=0)
    """How long it is open the first time (never more than `recovery_timeout`); doubles with each failed probe."""
    recovery_timeout: Seconds = Field(60.0, gt=0)
    """The longest it is open."""
    probes: Int = Field(1, ge=1)
    """Calls at once while half-open."""
    probe_timeout: Seconds = Field(5.0, gt=0)
    """A probe whose reply has not begun by then gives its place back."""
    failure_statuses: Items[Status] = (500, 502, 503, 504, 529)
    """Statuses that count as a failure."""
    slow_call: Seconds = 0.0
    """A success slower than this counts as a failure; 0 = never."""


class RateLimitSettings(Frozen):
    """`rate_limit`: how many calls may start per time. Leaky buckets: after a burst, calls pass evenly spaced. All
    windows that are set take the call, or none does. `false` switches it off.
    """

    per_second: Int = Field(0, ge=0)
    """Calls per second; 0: no such window."""
    per_minute: Int = Field(0, ge=0)
    """Calls per minute; 0: no such window."""
    per_hour: Int = Field(0, ge=0)
    """Calls per hour; 0: no such window."""
    per_day: Int = Field(0, ge=0)
    """Calls per day; 0: no such window."""
    tokens_per_minute: Int = Field(0, ge=0)
    """Tokens of LLM calls, input and output: an estimate is taken before the call and corrected by what the provider
    tells. Only where a target is an LLM provider. 0: no such window.
    """
    burst: Int = Field(0, ge=0)
    """How many may start at once, in the shortest window; 0: as many as it allows."""
    key: LimitKey = "global"
    """Per whom: `global`, `ip`, `api_key` (`X-API-Key`, else `Authorization`), `header:NAME`. Calls without it share
    one bucket.
    """
    max_wait: Seconds = 0.0
    """How long a call waits for its turn before it is refused."""
    max_keys: Int = Field(100_000, ge=1)
    """Busy buckets that are kept; new keys beyond it share one."""
    store: Literal["local", "redis"] = "local"
    """Where the count is kept: in this process, or in `[redis]`, where all sidecars count together whose route or
    upstream has this name.
    """


class ConcurrencySettings(Frozen):
    """`concurrency`: how many calls may be in flight, and how many may wait for a place. `false` switches it off."""

    max: Int = Field(100, ge=1)
    """Calls in flight."""
    queue: Int = Field(0, ge=0)
    """Calls that wait for a place, first come, first served."""
    max_wait: Seconds = 0.0
    """How long one waits at most, before 503 `overloaded`."""
    adaptive: Flag = False
    """Find the best `max` by latency."""


def _after(value: object) -> object:
    return "p95" if value == "p95" else as_seconds(value)


class HedgeSettings(Frozen):
    """`hedge`: a second attempt of an idempotent call before the first has failed; the earlier reply wins."""

    after: Annotated[
        float | Literal["p95"],
        BeforeValidator(_after),
        WithJsonSchema({"anyOf": [{"const": "p95"}, {"type": "number"}, {"type": "string", "pattern": DURATION}]}),
    ] = "p95"
    """When the second attempt starts: seconds, or `p95` of the target's own times."""
    max: Int = Field(1, ge=1)
    """Further attempts at once."""


class CacheSettings(Frozen):
    """`cache`: answers that are kept and given again."""

    ttl: Seconds = 300.0
    """How long an answer is kept."""
    max_bytes: Bytes = 64 * 1024**2
    """Memory for kept answers."""
    coalesce: Flag = True
    """Equal calls at the same time are sent once."""


class UpstreamPolicy(Frozen):
    """The tables that an upstream asks."""

    timeout: TimeoutSettings = TimeoutSettings()
    """How long each step may take."""
    circuit_breaker: Switchable[CircuitBreakerSettings] = CircuitBreakerSettings()
    """When a target is left alone; `false`: never."""


class RoutePolicy(Frozen):
    """The tables that a route asks."""

    deadline: Seconds = 300.0
    """Of a call, until its reply begins; a stream may last longer. Unset: the longest that the protocols of the chain
    have.
    """
    retry: RetrySettings = RetrySettings()
    """When and how often an attempt is made again on the same target."""


class SharedPolicy(Frozen):
    """The optional tables, off when absent."""

    rate_limit: Switchable[RateLimitSettings] = None
    """How many calls may start per time; unset: any number."""
    concurrency: Switchable[ConcurrencySettings] = None
    """How many calls may be in flight; unset: any number."""
    hedge: Switchable[HedgeSettings] = None
    """A second attempt before the first has failed; unset: none."""
    cache: Switchable[CacheSettings] = None
    """Answers that are kept and given again; unset: none."""


class PolicySettings(UpstreamPolicy, RoutePolicy, SharedPolicy):
    """`[policies.NAME]`: what routes and upstreams that name it start from; it starts from `[policies.default]`."""
