"""`[models.NAME]`, `[static.NAME]`, `[faults.NAME]`."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from sidecar.settings.policies import GrpcCode
from sidecar.settings.routes import MatchSettings
from sidecar.settings.table import Table
from sidecar.settings.texts import Headers
from sidecar.settings.values import Also, Flag, Frozen, Int, Items, Number, Seconds, SettingError


class ModelTargetSettings(Frozen):
    """One link of a model's chain: a model of an upstream."""

    upstream: str
    model: str = Field(min_length=1)
    """The model's name as the upstream knows it."""
    max_tokens: Int | None = Field(None, ge=1)
    """Where a translated request needs one; unset: 4096."""
    prefill: Flag = False
    """The model can go on from the beginning of an answer."""


def _target(value: object) -> object:
    """`"upstream/model"` is the short form."""
    if not isinstance(value, str):
        return value
    upstream, slash, model = value.partition("/")
    if not slash or not upstream or not model:
        raise SettingError("is not upstream/model")
    return {"upstream": upstream, "model": model}


class ModelSettings(Frozen):
    """`[models.NAME]`: what stands behind a model's name."""

    chain: Items[Annotated[ModelTargetSettings, BeforeValidator(_target), Also(type="string")]] = ()
    """In order of fallback."""


class StaticSettings(Frozen):
    """`[static.NAME]`: a last link for a chain, `static/NAME`; it answers whatever came before."""

    status: Int = Field(503, ge=200, le=599)
    grpc_code: GrpcCode = "UNAVAILABLE"
    grpc_message: str = ""
    headers: Headers = Field(default_factory=Table, repr=False)
    body: str = ""

    @property
    def decides(self) -> bool:
        """A body that is a decision answers decides over gRPC, too, unless a code is asked for."""
        return self.status < 400 and "grpc_code" not in self.model_fields_set


class FaultSettings(Frozen):
    """`[faults.NAME]`: chaos for testing one's own application."""

    match: MatchSettings = MatchSettings()
    percent: Number = Field(100.0, ge=0, le=100)
    delay: Seconds = 0.0
    status: Int | None = Field(None, ge=200, le=599)
    reset: Flag = False
    first_token: Seconds = 0.0
    cut_after_tokens: Int | None = Field(None, ge=0)
    stall: Seconds = 0.0
    malformed: Flag = False
