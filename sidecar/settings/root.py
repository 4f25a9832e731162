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
    limits: LimitsSettings = LimitsSettings()
    policies: Table[PolicySettings] = Field(default_factory=Table)
    upstreams: Table[UpstreamSettings] = Field(default_factory=Table)
    routes: Table[RouteSettings] = Field(default_factory=Table)
    models: Table[ModelSettings] = Field(default_factory=Table)
    static: Table[StaticSettings] = Field(default_factory=Table)
    faults: Table[FaultSettings] = Field(default_factory=Table)
    redis: RedisSettings = RedisSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    admin: AdminSettings = AdminSettings()
