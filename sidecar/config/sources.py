"""Each value that counts, with where it comes from: a line of the file, the protocol, or us.

Plain JSON, for people and programs: `{"value", "from", "file"?, "line"?, "unit"?}`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, BeforeValidator

from sidecar.config.effective import Held
from sidecar.config.places import dotted, line_of
from sidecar.config.resolve import Layer, origin, stack
from sidecar.config.view import plain
from sidecar.settings.shape import model_at
from sidecar.settings.values import Bytes, Seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidecar.config.places import Place
    from sidecar.settings import Frozen

Json = dict[str, Any]

BUILT_IN = "built in"


@dataclass(frozen=True, slots=True)
class Sources:
    """The places of one policy file. Values of `hidden` places are shown as `***`."""

    file: str
    lines: Mapping[Place, int]
    hidden: frozenset[Place]

    def place(self, place: Place) -> Json:
        """Where in the file: key and line."""
        return {"from": dotted(place), "file": self.file, "line": line_of(place, self.lines)}

    def value(self, value: object, place: Place | None = None, otherwise: str = BUILT_IN, unit: str = "") -> Json:
        """A value that the file sets at `place`; else it comes from `otherwise`."""
        told = {"value": plain(Held(value, place or ()), self.hidden), **_unit(unit)}
        return {**told, "from": otherwise} if place is None else {**told, **self.place(place)}

    def key(self, table: Frozen, key: str, layers: Sequence[Layer], otherwise: str = BUILT_IN) -> Json:
        """One key of a merged table."""
        return self.value(getattr(table, key), origin(key, layers), otherwise, unit_of(table, key))

    def table(
        self, table: Frozen | None, name: str, owners: Sequence[Layer], values: Mapping[str, object], protocol: str
    ) -> Json:
        """A merged table key by key, or the one value False where it is off.

        `owners` may set the table `name`, strongest first; `values` are those of the protocol.
        """
        if table is None:
            return self.value(False, origin(name, owners))
        layers = stack(name, owners) or ()
        return {
            key: self.key(table, key, layers, f"protocol {protocol}" if key in values else BUILT_IN)
            for key in type(table).model_fields
        }


def unit_of(table: Frozen, key: str) -> str:
    """`s` for a duration, `bytes` for a size, else nothing."""
    return _unit_in(type(table), key)


def unit_at(place: Place) -> str:
    """The same by the place of a value in the file."""
    model, key = model_at(place[:-1]), str(place[-1]) if place else ""
    return "" if model is None or key not in model.model_fields else _unit_in(model, key)


def _unit_in(model: type[BaseModel], key: str) -> str:
    validators = [one for one in model.model_fields[key].metadata if isinstance(one, BeforeValidator)]
    return next((unit for unit, kind in (("s", Seconds), ("bytes", Bytes)) if _validator(kind) in validators), "")


def _validator(kind: object) -> object:
    return next(one for one in get_args(kind) if isinstance(one, BeforeValidator))


def _unit(unit: str) -> Json:
    return {"unit": unit} if unit else {}
