"""What outlives a configuration.

Frozen settings are the identity of parts: asked for an equal `(kind, name,
settings)`, the part that the configuration before made is given again, with its
window, its level, its open connections (rule 10).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

T = TypeVar("T")

Key = tuple[str, str, "Hashable"]
Named = tuple[str, str]
"""Kind and name."""


class Parts:
    """The parts of one configuration, beginning with those of the one before."""

    def __init__(self, before: Parts | None = None) -> None:
        self._before: dict[Key, Any] = before._parts if before is not None else {}  # noqa: SLF001 - one of our own kind
        self._parts: dict[Key, Any] = {}

    def get(self, kind: str, name: str, settings: Hashable, make: Callable[[], T]) -> T:
        """The part for these settings, from before or new."""
        key = (kind, name, settings)
        if key not in self._parts:
            self._parts[key] = self._before[key] if key in self._before else make()
        part: T = self._parts[key]
        return part

    def keys(self) -> set[Key]:
        return set(self._parts)

    def named_before(self, kind: str, name: str) -> Any:
        """The part of that kind and name before, whatever its settings; None when there was none."""
        return self._before_by_name.get((kind, name))

    @cached_property
    def _before_by_name(self) -> dict[Named, Any]:
        """Made once: looked for one by one, a limit that changes for 1,000 routes took 0.1 s, and for 4,000 1.5 s."""
        return {key[:2]: part for key, part in reversed(self._before.items())}

    def of(self, kind: str) -> Iterator[tuple[str, Any]]:
        """Name and part of all parts of a kind."""
        return ((name, part) for (of_kind, name, _), part in self._parts.items() if of_kind == kind)

    def made(self) -> list[Any]:
        """Parts that were not there before: to be closed if building fails."""
        return _without(self._parts, self._before)

    def dropped(self) -> list[Any]:
        """Parts of before that are not asked for any more."""
        return _without(self._before, self._parts)

    def forget_before(self) -> None:
        """The configuration before is over: what it alone had need not be kept in memory."""
        self._before = {}
        self.__dict__.pop("_before_by_name", None)


def _without(these: Mapping[Key, Any], those: Mapping[Key, Any]) -> list[Any]:
    """Parts that the others have not. Told apart by what they are: to find their settings again takes 30 ms of 1,000
    routes, in which no call goes on.
    """
    others = {id(part) for part in those.values()}
    return [part for part in these.values() if id(part) not in others]


class Turnover(NamedTuple):
    """What becomes of parts when another configuration is swapped in: each kind and name in one of the four, sorted."""

    made: tuple[Named, ...]
    """Not there before."""
    reset: tuple[Named, ...]
    """There before and after, with other settings: their state begins anew."""
    kept: tuple[Named, ...]
    dropped: tuple[Named, ...]
    """Not there any more."""


def turnover(before: Parts, after: Parts) -> Turnover:
    """What becomes of the parts of `before`, which `after` began with."""
    old, new = before.keys(), after.keys()
    old_names, new_names = ({key[:2] for key in keys} for keys in (old, new))
    changed = {key[:2] for key in old ^ new}
    both = old_names & new_names
    return Turnover(
        *(
            tuple(sorted(names))
            for names in (new_names - old_names, both & changed, both - changed, old_names - new_names)
        )
    )
