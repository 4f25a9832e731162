"""The whole policy file."""

from pydantic import Field

from sidecar.settings.listen import LimitsSettings, ListenSettings
from sidecar.settings.models import FaultSettings, ModelSettings, StaticSettings
from sidecar.settings.operations import AdminSettings, RedisSettings, TelemetrySettings
from sidecar.settings.policies import PolicySettings
from sidecar.settings.routes import RouteSettings
from sidecar.settings.table import Table
from sidecar.settings.upstreams import UpstreamSettings
from sidecar.settings.values import Frozen


class Settings(Frozen):
    """A sidecar's policy file."""

    listen: ListenSettings = ListenSettings()
    """Where callers come in."""
    limits: LimitsSettings = LimitsSettings()
    """Guards on what callers may send."""
    policies: Table[PolicySettings] = Field(default_factory=Table)
    """What routes and upstreams that name one start from; each starts from `policies.default`."""
    upstreams: Table[UpstreamSettings] = Field(default_factory=Table)
    """Whom the sidecar calls, and how."""
    routes: Table[RouteSettings] = Field(default_factory=Table)
    """Which calls go where."""
    models: Table[ModelSettings] = Field(default_factory=Table)
    """What stands behind a model's name."""
    static: Table[StaticSettings] = Field(default_factory=Table)
    """Answers for the last link of a chain."""
    faults: Table[FaultSettings] = Field(default_factory=Table)
    """Chaos for testing one's own application."""
    redis: RedisSettings = RedisSettings()
    """What limits with `store = "redis"` are counted in."""
    telemetry: TelemetrySettings = TelemetrySettings()
    """Log and metrics."""
    admin: AdminSettings = AdminSettings()
    """Who may change things."""
