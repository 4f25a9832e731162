"""What differs between two policy files in effect: values, not text.

Every value is compared as it counts in the end: a comment, an order, or a key that
says what would hold anyway is no difference. A change of a policy reaches many
routes and upstreams; it is told once, where it was written, with what it reaches.
Secrets are compared as they are, and told as `***`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from sidecar.config.effective import Held, Tree, effective
from sidecar.config.places import Place, dotted, within
from sidecar.config.view import plain
from sidecar.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sidecar.config.load import Loaded

Links = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs. Values are plain JSON, secrets `***`; of tables they are what the file sets of them."""

    place: Place
    kind: Literal["changed", "added", "removed"]
    before: Any
    """None where it is added, False where a table was off."""
    after: Any
    line_before: int = 0
    """Where the value stands in the file before; 0: the file does not say it."""
    line_after: int = 0
    targets: Links = ()
    """Those whose value it is, where it differs by protocol; empty: all."""
    reaches: tuple[Place, ...] = ()
    """What else has another value by it."""

    @property
    def key(self) -> str:
        """As one writes it: `policies.default.retry.tries`."""
        return dotted(self.place)


@dataclass(slots=True)
class _Side:
    """One of the two: its tree, without the routes' targets, which are beside it by route and name."""

    tree: Tree
    lines: Mapping[Place, int] | None
    """None: nobody knows, and every value of a table is told."""
    hidden: frozenset[Place] = frozenset()
    retries: dict[str, dict[str, Tree]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, route in self.tree["routes"].items():
            targets = route.pop("targets")
            self.retries[name] = {_name(target): target["retry"] for target in reversed(targets)}

    def written(self, tree: Any, own: Place = ()) -> Any:
        """What of it the file sets, below `own`, as it may be shown."""
        if isinstance(tree, Held):
            return plain(tree, self.hidden)
        shown = {key: self.written(item, own) for key, item in tree.items() if self._says(item, own)}
        return {key: item for key, item in shown.items() if item != {} or self.lines is None}

    def line(self, tree: Any, path: Place) -> int:
        """Where it stands; 0 where nothing of it does."""
        if self.lines is None or tree is None:
            return 0
        if isinstance(tree, Held):
            return self.lines.get(tree.place, 0)
        below = [line for held in _leaves(tree) if (line := self.lines.get(held.place, 0))]
        return self.lines.get(path, 0) or min(below, default=0)

    def _says(self, tree: Any, own: Place) -> bool:
        if self.lines is None or not isinstance(tree, Held):
            return True
        return tree.place in self.lines and within(tree.place, own)


class _Found(NamedTuple):
    """Two values that are not equal, at the same place; None where there is none."""

    path: Place
    before: Any
    after: Any
    links: Links = ()

    @property
    def whole(self) -> bool:
        """Something that is there on one side only."""
        return self.before is None or self.after is None

    @property
    def values(self) -> tuple[Any, Any]:
        return _values(self.before), _values(self.after)

    @property
    def origins(self) -> set[Place]:
        """Where in the file the values stand."""
        found: set[Place] = set()
        for tree in (self.before, self.after):
            if isinstance(tree, Held):
                found.add(tree.place)
            elif tree is not None:
                found |= {held.place[:-1] for held in _leaves(tree)}
        return found - {()}


def difference(before: Loaded, after: Loaded) -> list[Change]:
    """What differs, by section and key; nothing, if both mean the same."""
    old, new = (_Side(effective(one.settings), one.lines, one.secrets) for one in (before, after))
    return _told(old, new)


def difference_from_view(running: Mapping[str, Any], after: Loaded) -> list[Change]:
    """What differs from a configuration of which only its view is known: `***` is equal to `***`."""
    tree = _tree_of(running)
    for route in tree["routes"].values():
        route["targets"] = [_tree_of(target) for target in route["targets"].value]
    return _told(_Side(tree, None), _Side(_as_shown(effective(after.settings), after.secrets), after.lines))


def _told(old: _Side, new: _Side) -> list[Change]:
    for name in old.retries.keys() ^ new.retries.keys():
        side = old if name in old.retries else new
        side.tree["routes"][name]["retry"] = next(iter(side.retries[name].values()), {})
    found = [*_compared(old.tree, new.tree, ()), *_retries(old, new)]
    by_place = {one.path: one for one in found if not one.links}
    reached: dict[Place, list[Place]] = {}
    own = []
    for one in found:
        root = _root(one, by_place)
        if root is one:
            own.append(one)
        else:
            reached.setdefault(root.path, []).append(one.path)
    own.sort(key=_order)
    return [_change(one, old, new, tuple(sorted(set(reached.get(one.path, ()))))) for one in own]


def _change(found: _Found, old: _Side, new: _Side, reaches: tuple[Place, ...]) -> Change:
    path, before, after, links = found
    own = path if found.whole else ()
    return Change(
        place=path,
        kind="added" if before is None else "removed" if after is None else "changed",
        before=None if before is None else old.written(before, own),
        after=None if after is None else new.written(after, own),
        line_before=old.line(before, path),
        line_after=new.line(after, path),
        targets=links,
        reaches=reaches,
    )


def _compared(old: Any, new: Any, path: Place) -> Iterator[_Found]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | new.keys():
            yield from _compared(old.get(key), new.get(key), (*path, key))
    elif old is None or new is None or isinstance(old, dict) or isinstance(new, dict) or old.value != new.value:
        yield _Found(path, old, new)


def _retries(old: _Side, new: _Side) -> Iterator[_Found]:
    """What differs in the routes' `retry`, target by target: each protocol has values of its own."""
    for name in old.retries.keys() & new.retries.keys():
        before, after = old.retries[name], new.retries[name]
        pairs = [(link, before[link], after[link]) for link in sorted(before.keys() & after.keys())]
        if not pairs:  # another chain: only what a file says by itself counts, not what its protocols do
            old_table, new_table = next(iter(before.values()), {}), next(iter(after.values()), {})
            said = {key for table in (old_table, new_table) for key, held in table.items() if held.place}
            pairs = [("", _of(old_table, said), _of(new_table, said))]
        yield from _by_target(("routes", name, "retry"), pairs)


def _by_target(path: Place, pairs: Sequence[tuple[str, Tree, Tree]]) -> Iterator[_Found]:
    """One for all targets where they differ alike, else one for each way in which they do."""
    for key in {key for _, before, after in pairs for key in before.keys() & after.keys()}:
        alike: list[tuple[_Found, list[str]]] = []
        for link, old, new in pairs:
            found = _Found((*path, key), old[key], new[key])
            if found.before.value == found.after.value:
                continue
            links = next((links for other, links in alike if other.values == found.values), None)
            if links is None:
                alike.append((found, [link]))
            else:
                links.append(link)
        for found, links in alike:
            yield found if len(links) == len(pairs) else found._replace(links=tuple(links))


def _of(table: Tree, keys: set[str]) -> Tree:
    return {key: held for key, held in table.items() if key in keys}


def _root(found: _Found, by_place: Mapping[Place, _Found]) -> _Found:
    """The change that this one follows from; itself, if from none."""
    origins = set() if found.whole else found.origins
    for place in sorted(origins - {found.path}):
        for depth in range(len(place), 0, -1):
            cause = by_place.get(place[:depth])
            if cause is None:
                continue
            same = cause.values == found.values or origins == {place}
            if cause.whole or (depth == len(place) and same):
                return _root(cause, by_place)
    return found


def _order(found: _Found) -> tuple[int, Place, Links]:
    sections = list(Settings.model_fields)
    section = found.path[0]
    return sections.index(str(section)) if section in sections else len(sections), found.path, found.links


def _name(target: Tree) -> str:
    return f"{'static/' * target['static'].value}{target['upstream'].value}"


def _leaves(tree: Any) -> Iterator[Held]:
    if isinstance(tree, Held):
        yield tree
    else:
        for item in tree.values():
            yield from _leaves(item)


def _values(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _values(item) for key, item in tree.items()}
    return tree.value if tree is not None else None


def _tree_of(shown: Any) -> Any:
    """The view's values; where they were written it does not tell."""
    if isinstance(shown, dict):
        return {key: _tree_of(item) for key, item in shown.items()}
    return Held(shown, ())


def _as_shown(tree: Any, hidden: frozenset[Place]) -> Any:
    """The same tree with values as the view has them."""
    if isinstance(tree, Held):
        return Held(plain(tree, hidden), tree.place)
    if isinstance(tree, dict):
        return {key: _as_shown(item, hidden) for key, item in tree.items()}
    return [_as_shown(item, hidden) for item in tree]
