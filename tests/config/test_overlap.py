"""The overlap of two matches, held against a matcher that tries every request of a small world."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.overlap import overlap, rank, tie, ties
from sidecar.settings import MatchSettings, Table

HOSTS = ("x", "y", "z")
PATHS = ("/", "/a", "/a/", "/ab", "/a/b", "/a/bc", "/a/b/c", "/b")
METHODS = ("GET", "POST", "PUT")
VALUES = ("", "1", "2", "3")
"""Of the headers k and l; the first stands for a request without it."""


def meets(match: MatchSettings, request: tuple[str, ...]) -> bool:
    host, path, method, k, ell = request
    if match.host is not None and match.host != host:
        return False
    if match.path is not None and not path_meets(match.path, path):
        return False
    if match.methods and method not in match.methods:
        return False
    sent = {"k": k, "l": ell}
    return all(sent[name] and wanted in {"*", sent[name]} for name, wanted in match.headers.items())


def path_meets(pattern: str, path: str) -> bool:
    if not pattern.endswith("/*"):
        return pattern == path
    return path == pattern[:-2] or path.startswith(pattern[:-1])


matches = st.builds(
    MatchSettings,
    path=st.sampled_from([None, "/*", "/", "/a", "/a/*", "/a/b", "/a/b/*", "/ab", "/ab/*", "/b"]),
    host=st.sampled_from([None, "x", "y"]),
    methods=st.sampled_from([(), ("GET",), ("POST",), ("GET", "POST")]),
    headers=st.dictionaries(st.sampled_from(["k", "l"]), st.sampled_from(["*", "1", "2"])).map(Table),
)


@given(matches, matches)
def test_two_matches_overlap_when_a_request_meets_both(a: MatchSettings, b: MatchSettings) -> None:
    world = product(HOSTS, PATHS, METHODS, VALUES, VALUES)
    assert overlap(a, b) == any(meets(a, request) and meets(b, request) for request in world)


@given(matches, matches)
def test_overlap_and_tie_know_no_order(a: MatchSettings, b: MatchSettings) -> None:
    assert overlap(a, b) == overlap(b, a)
    assert tie(a, b) == tie(b, a)


@given(matches, matches)
def test_of_two_that_overlap_and_do_not_tie_one_ranks_higher(a: MatchSettings, b: MatchSettings) -> None:
    assert tie(a, b) or not overlap(a, b) or rank(a) != rank(b)


@given(st.lists(matches, max_size=12))
def test_all_ties_are_found(world: list[MatchSettings]) -> None:
    named = {str(index): match for index, match in enumerate(world)}
    assert set(ties(named)) == {(a, b) for a, b in combinations(named, 2) if tie(named[a], named[b])}


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        (MatchSettings(host="x", path="/*"), MatchSettings(path="/a")),
        (MatchSettings(path="/a"), MatchSettings(path="/a/*")),
        (MatchSettings(path="/a"), MatchSettings(path="/a/b/*")),
        (MatchSettings(path="/a/b/*"), MatchSettings(path="/a/*")),
        (MatchSettings(path="/a/*"), MatchSettings(path="/*", methods=("GET",), headers=Table({"k": "*"}))),
        (MatchSettings(path="/a", methods=("GET",)), MatchSettings(path="/a")),
        (MatchSettings(path="/a", headers=Table({"k": "*"})), MatchSettings(path="/a")),
        (MatchSettings(path="/", methods=("A",), headers=Table({"k": "*"})), MatchSettings(path="/", methods=("A",))),
        (MatchSettings(headers=Table({"k": "*", "l": "*"})), MatchSettings(headers=Table({"K": "1"}))),
        (MatchSettings(grpc="p.S/M"), MatchSettings(grpc="p.S/*")),
        (MatchSettings(grpc="p.S/*"), MatchSettings(grpc="p.*")),
        (MatchSettings(grpc="p.*", headers=Table({"k": "*"})), MatchSettings(grpc="p.*")),
        (MatchSettings(grpc="p.*", host="x"), MatchSettings(grpc="p.S/M")),
    ],
)  # fmt: skip
def test_the_more_specific_match_wins(winner: MatchSettings, loser: MatchSettings) -> None:
    assert rank(winner) > rank(loser)
    assert not tie(winner, loser)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (MatchSettings(path="/a"), MatchSettings(path="/a")),
        (MatchSettings(path="/*"), MatchSettings()),
        (MatchSettings(path="/a", methods=("GET", "PUT")), MatchSettings(path="/a", methods=("GET",))),
        (MatchSettings(path="/a", methods=("GET",)), MatchSettings(path="/a", headers=Table({"k": "*"}))),
        (MatchSettings(path="/a", headers=Table({"k": "1"})), MatchSettings(path="/a", headers=Table({"l": "1"}))),
        (MatchSettings(headers=Table({"k": "1", "m": "1"})), MatchSettings(headers=Table({"l": "1"}))),
        (MatchSettings(headers=Table({"k": "1", "m": "1"})), MatchSettings(methods=("GET",))),
        (MatchSettings(path="/a", headers=Table({"K": "1"})), MatchSettings(path="/a", headers=Table({"k": "*"}))),
        (MatchSettings(grpc="p.S/*"), MatchSettings(grpc="p.S/*")),
        (MatchSettings(grpc="p.*", headers=Table({"k": "1"})), MatchSettings(grpc="p.*", headers=Table({"l": "1"}))),
    ],
)
def test_a_tie(a: MatchSettings, b: MatchSettings) -> None:
    assert tie(a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (MatchSettings(path="/a/*"), MatchSettings(path="/b/*")),
        (MatchSettings(path="/a", methods=("GET",)), MatchSettings(path="/a", methods=("PUT",))),
        (MatchSettings(path="/a", host="x"), MatchSettings(path="/a", host="y")),
        (MatchSettings(path="/a", headers=Table({"k": "1"})), MatchSettings(path="/a", headers=Table({"K": "2"}))),
        (MatchSettings(grpc="p.S/M"), MatchSettings(path="/p.S/M")),
        (MatchSettings(grpc="p.S/M"), MatchSettings(grpc="p.S/N")),
        (MatchSettings(grpc="p.*", host="x"), MatchSettings(grpc="p.*", host="y")),
        (MatchSettings(grpc="p.*", headers=Table({"k": "1"})), MatchSettings(grpc="p.*", headers=Table({"k": "2"}))),
    ],
)
def test_no_tie_where_no_request_meets_both(a: MatchSettings, b: MatchSettings) -> None:
    assert not tie(a, b)


def test_a_grpc_prefix_covers_what_begins_with_it() -> None:
    assert overlap(MatchSettings(grpc="p.S/M"), MatchSettings(grpc="p.*"))
    assert overlap(MatchSettings(grpc="p.*"), MatchSettings(grpc="p.S/M"))
    assert overlap(MatchSettings(grpc="p.*"), MatchSettings(grpc="*"))
