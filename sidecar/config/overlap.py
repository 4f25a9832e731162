"""Which of two routes a request meets: how specific a `match` is, and whether one request can meet both.

The route table orders by `rank`; the loader refuses two routes of equal rank
that overlap, so that matching never depends on the order of the file.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sidecar.settings import MatchSettings

Rank = tuple[bool, bool, int, int]


def rank(match: MatchSettings) -> Rank:
    """Higher wins: a host; an exact path; a longer prefix; more conditions on method and headers."""
    exact, path = _path(match)
    return match.host is not None, exact, len(path), len(_conditions(match))


def tie(a: MatchSettings, b: MatchSettings) -> bool:
    """Neither wins and one request could meet both: a mistake.

    At the same host and path the one wins that asks all that the other asks about
    and more; one on `x` and `y` and one on `z` only look unequal.
    """
    mine, theirs = _conditions(a), _conditions(b)
    return rank(a)[:3] == rank(b)[:3] and not (mine < theirs or mine > theirs) and overlap(a, b)


def ties(matches: Mapping[str, MatchSettings]) -> Iterator[tuple[str, str]]:
    """The pairs of names whose matches tie.

    Only those of the same host and the same path can: a thousand routes are no
    half a million pairs.
    """
    alike: dict[object, list[str]] = {}
    for name, match in matches.items():
        alike.setdefault((match.grpc is None, match.host, _path(match)), []).append(name)
    for names in alike.values():
        yield from ((a, b) for a, b in combinations(names, 2) if tie(matches[a], matches[b]))


def overlap(a: MatchSettings, b: MatchSettings) -> bool:
    """Whether one request could meet both."""
    if a.grpc is not None or b.grpc is not None:
        if a.grpc is None or b.grpc is None or not grpc_overlap(a.grpc, b.grpc):
            return False
    elif not (_paths_overlap(a, b) and _methods_overlap(a, b)):
        return False
    return _hosts_overlap(a, b) and _headers_overlap(a, b)


def covers(path: str, prefix: str) -> bool:
    """Whole segments only: `/a` covers `/a` and `/a/b`, not `/ab`."""
    return path == prefix or path.startswith(f"{prefix}/")


def _path(match: MatchSettings) -> tuple[bool, str]:
    """Whether the path is exact, and the path or prefix without its star; any path is the empty prefix."""
    if match.grpc is not None:
        return not match.grpc.endswith("*"), match.grpc.removesuffix("*")
    path = "/*" if match.path is None else match.path
    return (False, path.removesuffix("/*")) if path.endswith("/*") else (True, path)


def _conditions(match: MatchSettings) -> frozenset[str]:
    """What it asks about beside host and path; no header is called like this."""
    return frozenset({":method"} if match.methods else ()) | {name.lower() for name in match.headers}


def _hosts_overlap(a: MatchSettings, b: MatchSettings) -> bool:
    return a.host is None or b.host is None or a.host == b.host


def _paths_overlap(a: MatchSettings, b: MatchSettings) -> bool:
    (a_exact, a_path), (b_exact, b_path) = _path(a), _path(b)
    if a_exact and b_exact:
        return a_path == b_path
    if a_exact:
        return covers(a_path, b_path)
    if b_exact:
        return covers(b_path, a_path)
    return covers(a_path, b_path) or covers(b_path, a_path)


def _methods_overlap(a: MatchSettings, b: MatchSettings) -> bool:
    return not a.methods or not b.methods or not set(a.methods).isdisjoint(b.methods)


def _headers_overlap(a: MatchSettings, b: MatchSettings) -> bool:
    mine = {name.lower(): value for name, value in a.headers.items()}
    theirs = {name.lower(): value for name, value in b.headers.items()}
    return all("*" in {mine[name], theirs[name]} or mine[name] == theirs[name] for name in mine.keys() & theirs.keys())


def grpc_overlap(a: str, b: str) -> bool:
    """Whether one method could meet both patterns."""
    a_open, b_open = a.endswith("*"), b.endswith("*")
    a_name, b_name = a.removesuffix("*"), b.removesuffix("*")
    if a_open and b_open:
        return a_name.startswith(b_name) or b_name.startswith(a_name)
    if a_open or b_open:
        return b_name.startswith(a_name) if a_open else a_name.startswith(b_name)
    return a == b
