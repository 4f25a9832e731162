"""The kinds of value that keys take: numbers, flags, durations, sizes, lists.

All times are float seconds and all sizes int bytes once read; `0` is off. Types
are strict: `"3"` is no number. Only a `Reference`, the text that one `${NAME}`
stood for, takes the type of its key.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import core_schema

T = TypeVar("T")

DURATION = r"^(\d+(?:\.\d+)?)(ms|s|m|h)$"
SIZE = r"^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB|KB|MB|GB)$"

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {
    "B": 1,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
}
_FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}

A_DURATION = '"250ms", "1.5s", "2m", "1h" or seconds as a number'
A_SIZE = '"64KiB", "1MiB", "500KB" or bytes as a number'


class Frozen(BaseModel):
    """What all settings share: unknown keys are mistakes, nothing changes after load, docstrings describe keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, hide_input_in_errors=True
    )


class Also:
    """In the JSON Schema: a value may have this shape too, which a validator turns into the other."""

    def __init__(self, **shape: object) -> None:
        self.shape = shape

    def __get_pydantic_json_schema__(
        self, core: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, object]:
        return {"anyOf": [handler(core), self.shape]}


class SettingError(ValueError):
    """A value that a key does not take, in words for the person who wrote it."""

    def __init__(self, problem: str, *, allowed: str = "", nearest: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.allowed = allowed
        self.nearest = nearest


class Reference(str):
    """What a string that is exactly one `${NAME}` stood for: text that takes the type of its key."""

    __slots__ = ()


def parse_duration(text: str) -> float:
    """Seconds. Raises `SettingError`."""
    if match := re.match(DURATION, text.strip(), re.ASCII):
        return float(match[1]) * _SECONDS[match[2]]
    raise SettingError("is not a duration", allowed=A_DURATION)


def parse_size(text: str) -> int:
    """Bytes. Raises `SettingError`."""
    if match := re.match(SIZE, text.strip(), re.ASCII):
        return round(float(match[1]) * _BYTES[match[2]])
    raise SettingError("is not a size", allowed=A_SIZE)


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\s*\d+(\.\d+)?\s*", text, re.ASCII) else None


def as_seconds(value: object) -> object:
    if isinstance(value, Reference) and (number := _number(value)) is not None:
        return number
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SettingError("is not a duration", allowed=A_DURATION)
    return _not_negative(value)


def _as_bytes(value: object) -> object:
    if isinstance(value, Reference) and (number := _number(value)) is not None and number.is_integer():
        return int(number)
    if isinstance(value, str):
        return parse_size(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise SettingError("is not a size", allowed=A_SIZE)
    return _not_negative(value)


def _not_negative(value: float) -> float:
    if value < 0:
        raise SettingError("cannot be negative")
    return value


def as_int(value: object) -> object:
    if not isinstance(value, Reference):
        return value
    if re.fullmatch(r"\s*[+-]?\d{1,18}\s*", value, re.ASCII):
        return int(value)
    raise SettingError("must be a whole number")


def _as_float(value: object) -> object:
    if not isinstance(value, Reference):
        return value
    if re.fullmatch(r"\s*[+-]?\d+(\.\d+)?\s*", value, re.ASCII):
        return float(value)
    raise SettingError("must be a number")


def as_flag(value: object) -> object:
    if not isinstance(value, Reference):
        return value
    if (flag := _FLAGS.get(value.strip().lower())) is None:
        raise SettingError("must be true or false", allowed="true, false, 1, 0, yes, no, on, off")
    return flag


def _as_tuple(value: object) -> object:
    if isinstance(value, Reference):
        return tuple(Reference(item.strip()) for item in value.split(",") if item.strip())
    return tuple(value) if isinstance(value, list) else value


def _as_table(value: object) -> object:
    """`false` switches an inherited table off, `true` is a table that sets nothing."""
    flag = as_flag(value) if isinstance(value, Reference) else value
    if flag is False:
        return None
    return {} if flag is True else flag


Int = Annotated[int, BeforeValidator(as_int)]
Number = Annotated[float, BeforeValidator(_as_float), Field(allow_inf_nan=False)]
Flag = Annotated[bool, BeforeValidator(as_flag)]

Seconds = Annotated[
    float,
    Field(allow_inf_nan=False),
    BeforeValidator(as_seconds),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": DURATION}]}),
]
"""A duration; `0` switches it off."""

Bytes = Annotated[
    int,
    BeforeValidator(_as_bytes),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": SIZE}]}),
]
"""A size."""

Items = Annotated[tuple[T, ...], BeforeValidator(_as_tuple)]
"""An array; a `Reference` is split at its commas."""

Switchable = Annotated[T | None, BeforeValidator(_as_table), Also(type="boolean")]
"""A table, or `false` to switch off what a weaker layer says: None, and in `model_fields_set`."""

Secret = Annotated[
    str,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "properties": {"file": {"type": "string", "description": "The file that holds the value."}},
                    "required": ["file"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
"""Text that is not to be shown (its fields say `repr=False`); in the file also `{ file = "/run/secrets/x" }`."""


def switch(words: dict[str, Any]) -> BeforeValidator:
    """A flag that also takes words: a `Reference` to one of them stays that word."""
    return BeforeValidator(lambda value: str(value) if value in words else as_flag(value))


Access = Annotated[Literal[True, False, "errors"], switch({"errors": None})]
