"""What pydantic found, in words for the person who wrote the file."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

from sidecar.config.places import Place, Problem, nearest
from sidecar.settings import SettingError
from sidecar.settings.shape import keys_at

if TYPE_CHECKING:
    from collections.abc import Mapping

UNKNOWN_KEY = "unknown key"

_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "an array",
    "model_type": "a table",
    "dict_type": "a table",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
}
_PLAIN = {
    "missing": "is missing",
    "finite_number": "must be a finite number",
    "string_too_short": "cannot be empty",
    "string_pattern_mismatch": "has not the form of a gRPC method",
}
_WHERE_ELSE = {
    ("routes", "timeout"): "timeouts belong on an upstream or in a policy",
    ("routes", "circuit_breaker"): "circuit breakers belong on an upstream or in a policy",
    ("upstreams", "retry"): "retries belong on a route or in a policy",
    ("upstreams", "deadline"): "deadlines belong on a route or in a policy",
    ("upstreams", "idempotent"): "belongs on a route",
    ("policies", "idempotent"): "belongs on a route",
}


def problem(error: Mapping[str, Any]) -> Problem:
    """One of pydantic's errors (`ValidationError.errors()`) as a problem."""
    place: Place = error["loc"]
    kind: str = error["type"]
    context: Mapping[str, Any] = error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(place)
    if kind == "literal_error":
        return _not_one_of(place, str(context["expected"]), error["input"])
    if isinstance(mistake := context.get("error"), SettingError):
        return Problem(place, mistake.problem, mistake.allowed, mistake.nearest)
    if kind in _WANTED:
        return Problem(place, f"must be {_WANTED[kind]}, not {_found(error['input'])}")
    if kind in _BOUNDS:
        word, bound = _BOUNDS[kind]
        return Problem(place, f"must be {word} {context[bound]:g}")
    return Problem(place, _PLAIN.get(kind, error["msg"]))


def _unknown(place: Place) -> Problem:
    name, keys = str(place[-1]), keys_at(place[:-1])
    if elsewhere := _WHERE_ELSE.get((str(place[0]), name)):
        return Problem(place, f"{UNKNOWN_KEY}: {elsewhere}")
    meant = nearest(name, keys)
    return Problem(place, UNKNOWN_KEY, "" if meant else ", ".join(keys), meant)


def _not_one_of(place: Place, expected: str, found: object) -> Problem:
    words = re.findall(r"'([^']*)'|(True|False)", expected)
    allowed = [quoted or flag.lower() for quoted, flag in words]
    return Problem(place, "is not one of the allowed values", ", ".join(allowed), nearest(str(found), allowed))


def _found(value: object) -> str:
    """What kind of TOML value it is; never the value, which may be a secret."""
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "true or false"),
        (int, "a whole number"),
        (float, "a number"),
        (str, "text"),
        (dict, "a table"),
        (list, "an array"),
        (tuple, "an array"),
        (dt.date, "a date"),
        (dt.time, "a time"),
    )
    return next((word for kind, word in kinds if isinstance(value, kind)), "nothing")
