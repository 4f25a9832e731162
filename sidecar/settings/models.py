"""`[models.NAME]`, `[static.NAME]`, `[faults.NAME]`."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from sidecar.settings.policies import GrpcCode
from sidecar.settings.routes import MatchSettings
from sidecar.settings.table import Table
from sidecar.settings.texts import Headers
from sidecar.settings.values import Also, Flag, Frozen, Int, Items, Number, Seconds, SettingError


def _model(text: str) -> str:
    """`X-Sidecar-Model` tells it to the caller."""
    if any(c < " " or c > "\xff" or c == "\x7f" for c in text):
        raise SettingError("is no name of a model: it holds control characters, or letters beyond ISO 8859-1")
    return text


class ModelTargetSettings(Frozen):
    """One link of a model's chain: a model of an upstream. The last may be `static/NAME`."""

    upstream: str
    """The name of an upstream whose protocol is `openai` or `anthropic`."""
    model: Annotated[str, AfterValidator(_model)] = Field(min_length=1)
    """The model's name as the upstream knows it."""
    max_tokens: Int | None = Field(None, ge=1)
    """Sent where a translated request needs one and the caller set none; unset: 4096."""
    prefill: Flag = False
    """The model goes on from an answer's beginning that it is given, which `on_break = "continue"` needs. Not all can:
    newer Claude models and OpenAI's own refuse it.
    """

    @property
    def static(self) -> str:
        """The name of the `[static.NAME]` that answers here, empty for a model: no upstream may be called `static`."""
        return self.model if self.upstream == "static" else ""


def _target(value: object) -> object:
    """`"upstream/model"` is the short form."""
    if not isinstance(value, str):
        return value
    upstream, slash, model = value.partition("/")
    if not slash or not upstream or not model:
        raise SettingError("is not upstream/model", allowed="upstream/model, or static/NAME as the last")
    return {"upstream": upstream, "model": model}


class ModelSettings(Frozen):
    """`[models.NAME]`: what stands behind a model's name, on every route that leads to an LLM provider."""

    chain: Items[Annotated[ModelTargetSettings, BeforeValidator(_target), Also(type="string")]] = ()
    """In order of fallback, at least one: `"upstream/model"`, or a table. The last may be `"static/NAME"`."""


class StaticSettings(Frozen):
    """`[static.NAME]`: a last link for a chain, `static/NAME`; it answers whatever came before."""

    status: Int = Field(503, ge=200, le=599)
    """The status."""
    headers: Headers = Field(default_factory=Table, repr=False)
    """Header fields; to a gRPC call they stand behind the status."""
    body: str = ""
    """The body, as text."""
    grpc_code: GrpcCode = "UNAVAILABLE"
    """To a gRPC call: the status …"""
    grpc_message: str = ""
    """… and its text."""

    @property
    def decides(self) -> bool:
        """A body that is a decision answers decides over gRPC, too, unless a code is asked for."""
        return self.status < 400 and "grpc_code" not in self.model_fields_set


class FaultSettings(Frozen):
    """`[faults.NAME]`: chaos for testing one's own application."""

    match: MatchSettings = MatchSettings()
    """Which calls it may hit; unset: any."""
    percent: Number = Field(100.0, ge=0, le=100)
    """The share of their attempts that it hits, in percent; 0: none."""
    delay: Seconds = 0.0
    """Wait so long before the upstream is asked."""
    status: Int | None = Field(None, ge=200, le=599)
    """Answer with this status instead of asking the upstream."""
    reset: Flag = False
    """End without an answer, as if the upstream had reset the connection; not beside `status`."""
    first_token: Seconds = 0.0
    """Hold the reply's body back for so long behind its head."""
    cut_after_tokens: Int | None = Field(None, ge=0)
    """Cut the body after so many events of a stream, or messages; one that has neither in its middle. 0: at once."""
    stall: Seconds = 0.0
    """Be silent for so long behind the first event or message, or in the middle of the body."""
    malformed: Flag = False
    """Put an event or message that nobody can parse behind the first one, or spoil the body from its middle."""
