"""Every knob of the policy file as frozen models: the product on one page.

Field names are the file's keys, docstrings say what each does, defaults are
those of protocol http. Times are float seconds, sizes int bytes, 0 is off.
`model_fields_set` tells what the file set. All of it is hashable and equal by
value: equal settings are the same part after a reload (rule 10).
"""

from sidecar.settings.address import Address, parse_address
from sidecar.settings.listen import LimitsSettings, ListenSettings, RouteLimitsSettings, TlsServerSettings
from sidecar.settings.models import FaultSettings, ModelSettings, ModelTargetSettings, StaticSettings
from sidecar.settings.operations import AdminSettings, RedisSettings, TelemetrySettings
from sidecar.settings.policies import (
    CacheSettings,
    CircuitBreakerSettings,
    ConcurrencySettings,
    HedgeSettings,
    PolicySettings,
    RateLimitSettings,
    RetrySettings,
    TimeoutSettings,
)
from sidecar.settings.root import Settings
from sidecar.settings.routes import MatchSettings, RouteSettings, WeightedSettings
from sidecar.settings.table import Table
from sidecar.settings.upstreams import (
    HealthSettings,
    KeepaliveSettings,
    PoolSettings,
    Protocol,
    TlsClientSettings,
    UpstreamSettings,
)
from sidecar.settings.values import Frozen, Reference, SettingError, parse_duration, parse_size

__all__ = [
    "Address",
    "AdminSettings",
    "CacheSettings",
    "CircuitBreakerSettings",
    "ConcurrencySettings",
    "FaultSettings",
    "Frozen",
    "HealthSettings",
    "HedgeSettings",
    "KeepaliveSettings",
    "LimitsSettings",
    "ListenSettings",
    "MatchSettings",
    "ModelSettings",
    "ModelTargetSettings",
    "PolicySettings",
    "PoolSettings",
    "Protocol",
    "RateLimitSettings",
    "RedisSettings",
    "Reference",
    "RetrySettings",
    "RouteLimitsSettings",
    "RouteSettings",
    "SettingError",
    "Settings",
    "StaticSettings",
    "Table",
    "TelemetrySettings",
    "TimeoutSettings",
    "TlsClientSettings",
    "TlsServerSettings",
    "UpstreamSettings",
    "WeightedSettings",
    "parse_address",
    "parse_duration",
    "parse_size",
]
