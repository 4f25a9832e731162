"""What differs, in words."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.cli.changes import change_document, change_lines, listed, value_text
from sidecar.config.difference import Change


def lines(change: Change) -> list[str]:
    return [line for line, _ in change_lines([change], "old.toml", "new.toml")]


def test_a_change_stands_on_a_line_with_both_places() -> None:
    change = Change(("routes", "r", "retry", "tries"), "changed", 3, 5, 7, 9)
    assert lines(change) == ["~ routes.r.retry.tries  3 → 5  (old.toml:7, new.toml:9)"]


def test_what_only_one_file_says_has_one_line() -> None:
    assert lines(Change(("limits", "drain"), "changed", 25.0, 30.0, 0, 9)) == [
        "~ limits.drain  25s → 30s  (new.toml:9)"
    ]
    assert lines(Change(("limits", "drain"), "changed", 25.0, 90.5)) == ["~ limits.drain  25s → 90.5s"]


def test_what_comes_and_goes() -> None:
    table = {"match": {"path": "/*", "host": None}, "deadline": 2.5, "retry": {"jitter": 1.0}}
    told = '{ match = { path = "/*" }, deadline = "2.5s", retry = { jitter = 1 } }'
    assert lines(Change(("routes", "r"), "added", None, table, 0, 9)) == [f"+ routes.r  {told}  (new.toml:9)"]
    assert lines(Change(("routes", "r"), "removed", table, None, 9)) == [f"- routes.r  {told}  (old.toml:9)"]
    assert lines(Change(("routes", "r"), "added", None, {"chain": ["upstream"] * 20})) == ["+ routes.r  { … }"]


def test_long_values_stand_below_each_other() -> None:
    old = [{"upstream": "openai", "model": f"gpt-{size}", "max_tokens": None, "prefill": False} for size in "ab"]
    new = [*old, {"upstream": "anthropic", "model": "claude", "max_tokens": 8192, "prefill": True}]
    added = '{ upstream = "anthropic", model = "claude", max_tokens = 8192, prefill = true }'
    assert lines(Change(("models", "smart", "chain"), "changed", old, new, 4, 5)) == [
        "~ models.smart.chain  (old.toml:4, new.toml:5)",
        '    - ["openai/gpt-a", "openai/gpt-b"]',
        f'    + ["openai/gpt-a", "openai/gpt-b", {added}]',
    ]


def test_who_it_reaches_is_named() -> None:
    reaches = (("routes", "r", "retry", "tries"), ("routes", "s", "retry", "tries"), ("upstreams", "a.b", "via"))
    change = Change(("policies", "default", "retry", "tries"), "changed", 3, 5, reaches=reaches)
    assert lines(change)[1] == "    so for routes r, s; upstreams a.b"


def test_targets_are_named_where_the_value_is_theirs_alone() -> None:
    change = Change(("routes", "r", "retry", "backoff"), "changed", 0.1, 1.0, targets=("a", "b"))
    assert lines(change) == ["~ routes.r.retry.backoff (a, b)  100ms → 1s"]


def test_a_secret_is_another_one() -> None:
    change = Change(("admin", "token"), "changed", "***", "***", 1, 2)
    assert lines(change) == ["~ admin.token  ***, another one  (old.toml:1, new.toml:2)"]


@pytest.mark.parametrize(
    ("value", "place", "text"),
    [
        (None, ("upstreams", "a", "url"), "unset"),
        (False, ("routes", "r", "rate_limit"), "off"),
        ({}, ("upstreams", "a", "circuit_breaker"), "on"),
        (True, ("upstreams", "a", "reuse"), "true"),
        ("", ("listen", "probe"), '""'),
        (["a", "b"], ("routes", "r", "chain"), '["a", "b"]'),
        ([{"upstream": "a", "weight": 3}], ("routes", "r", "traffic"), '[{ upstream = "a", weight = 3 }]'),
        (1 << 20, ("limits", "replay_total"), "1MiB"),
        (0.2, ("routes", "r", "retry", "budget"), "0.2"),
        (0, ("limits", "max_body_bytes"), "0"),
        ({"X-Key": "***"}, ("upstreams", "a", "headers"), "{ X-Key = *** }"),
    ],
)
def test_values_are_told_as_one_writes_them(value: Any, place: tuple[str, ...], text: str) -> None:
    assert value_text(value, place) == text


def test_of_many_names_the_first_are_told() -> None:
    names = [f"r{number}" for number in range(1000)]
    assert listed(names[:9]) == "r0, r1, r2, r3, r4, r5, r6, r7, r8"
    assert listed(names) == "r0, r1, r2, r3, r4, r5, r6, r7 and 992 more"


def test_for_programs() -> None:
    change = Change(("limits", "drain"), "changed", 25.0, 30.0, 0, 9, reaches=(("routes", "a.b", "deadline"),))
    assert change_document(change) == {
        "key": "limits.drain",
        "kind": "changed",
        "before": 25,
        "after": 30,
        "unit": "s",
        "line_before": None,
        "line_after": 9,
        "targets": [],
        "reaches": ['routes."a.b".deadline'],
    }
    assert "unit" not in change_document(Change(("listen", "probe"), "changed", "", "x"))
