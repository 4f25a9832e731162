"""`[routes.NAME]`: which calls go where."""

from typing import Literal

from pydantic import Field

from sidecar.settings.listen import RouteLimitsSettings
from sidecar.settings.policies import RoutePolicy, SharedPolicy
from sidecar.settings.table import Table
from sidecar.settings.texts import Host, Method, PathPattern, Prefix, Rewrite
from sidecar.settings.values import Flag, Frozen, Int, Items


class MatchSettings(Frozen):
    """`match`: all conditions that are set must hold. The query is ignored."""

    path: PathPattern | None = None
    """`/a/b` is exact; `/a/*` is a prefix and also matches `/a`; unset: any path."""
    host: Host | None = None
    """The `Host`, without its port; not beside `grpc`."""
    methods: Items[Method] = ()
    """Empty: any method."""
    headers: Table[str] = Field(default_factory=Table)
    """Header name to its value, or `*` for any value."""
    grpc: str | None = Field(None, pattern=r"^([A-Za-z_][\w.]*)?(/\w*)?\*?$", min_length=1)
    """gRPC calls instead of HTTP ones: `package.Service/Method`, or a prefix with `*`."""


class WeightedSettings(Frozen):
    """One part of `traffic`."""

    upstream: str
    """Its name."""
    weight: Int = Field(ge=1)
    """Its share is this over the sum of all."""


class RouteSettings(RoutePolicy, SharedPolicy):
    """`[routes.NAME]`; any policy table beside `policy` overrides it key by key."""

    match: MatchSettings = MatchSettings()
    """Which calls; needed."""
    chain: Items[str] = ()
    """Upstreams in order of fallback; the last may be `static/NAME`."""
    traffic: Items[WeightedSettings] = ()
    """Instead of `chain`: split by weight, then fall back in order."""
    policy: str = "default"
    """The name of a policy."""
    idempotent: Flag = False
    """Sending a call twice does the same as once, whatever its method."""
    strip: Prefix = ""
    """A prefix that is taken off the path: `"/shop"`."""
    rewrite: Rewrite = ""
    """What the path, or the stripped part of it, is replaced with."""
    limits: RouteLimitsSettings = RouteLimitsSettings()
    """What callers may send, narrower than in `[limits]`."""
    stream: Literal["live", "complete"] = "live"
    """LLM: a stream's tokens pass as they come, or are held back until the answer is whole, so that one that breaks can
    be tried again.
    """
    on_break: Literal["error", "continue"] = "error"
    """LLM: a live stream that breaks ends with an error event of its dialect, or a later target whose model has
    `prefill` goes on where the text broke off.
    """
    translation: Literal["lenient", "strict"] = "lenient"
    """LLM: fields that only tune or account may be lost at a target of the other dialect (`X-Sidecar-Dropped` names
    them), or such a target is skipped.
    """
    fallback_on_refusal: Flag = False
    """LLM: a content refusal is an answer and is passed on; true: the next target is asked."""
