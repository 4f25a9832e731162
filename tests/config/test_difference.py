"""What differs between two policy files: values in effect, told where they were written."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.config import redacted
from sidecar.config.difference import Change, difference, difference_from_view
from sidecar.config.effective import Held, effective
from tests.kit.policy_file import load

if TYPE_CHECKING:
    from pathlib import Path

A = '[upstreams.a]\nurl = "http://a"\n'
B = '[upstreams.b]\nurl = "http://b"\nprotocol = "openai"\n'
R = '[routes.r]\nmatch = { path = "/*" }\nchain = ["a"]\n'
ONE = A + R


def at(key: str) -> tuple[str, ...]:
    return tuple(key.split("."))


def changes(old: str, new: str, environ: dict[str, str] | None = None) -> list[Change]:
    return difference(load(old, environ), load(new, environ))


def only(old: str, new: str, environ: dict[str, str] | None = None) -> Change:
    (change,) = changes(old, new, environ)
    return change


def test_a_value_is_told_with_its_lines() -> None:
    assert only(ONE + "[limits]\nmax_headers = 5", "[limits]\n\nmax_headers = 6\n" + ONE) == Change(
        at("limits.max_headers"), "changed", 5, 6, line_before=7, line_after=3
    )


def test_a_key_that_is_not_written_has_no_line() -> None:
    assert only(ONE, ONE + '[limits]\ndrain = "30s"') == Change(at("limits.drain"), "changed", 25, 30, line_after=7)


@pytest.mark.parametrize(
    "same",
    [
        ONE.replace("\n", "\r\n"),
        "# a comment\n" + ONE,
        R + A,
        ONE + '[limits]\ndrain = "25s"',
        ONE + "[policies.default.retry]\ntries = 3",
        ONE.replace('"http://a"', '"${URL:-http://a}"'),
        ONE.replace('match = { path = "/*" }', '[routes.r.match]\npath = "/*"\n[routes.r]').replace(
            "[routes.r]\n", "", 1
        ),
    ],
)
def test_what_means_the_same_is_no_difference(same: str) -> None:
    assert changes(ONE, same) == []


def test_a_policy_is_told_once_with_all_that_it_reaches() -> None:
    routes = R + R.replace(".r]", ".s-t]").replace("/*", "/s").replace('["a"]', '["b", "a"]')
    policy = "[policies.default.retry]\ntries = {}\n[policies.slow.retry]\nbudget = 1\n"
    assert only(A + B + routes + policy.format(4), A + B + routes + policy.format(5)) == Change(
        at("policies.default.retry.tries"), "changed", 4, 5, 13, 13,
        reaches=(at("policies.slow.retry.tries"), at("routes.r.retry.tries"), at("routes.s-t.retry.tries")),
    )  # fmt: skip


def test_a_new_policy_is_one_thing_with_what_the_file_says_of_it() -> None:
    new = ONE + 'policy = "slow"\n[policies.slow.retry]\ntries = 9\n[policies.slow]\ndeadline = "1s"\n'
    policy, named = changes(ONE, new)
    assert policy == Change(
        at("policies.slow"), "added", None, {"retry": {"tries": 9}, "deadline": 1}, line_after=7,
        reaches=(at("routes.r.deadline"), at("routes.r.retry.tries")),
    )  # fmt: skip
    assert named == Change(at("routes.r.policy"), "changed", "default", "slow", line_after=6)


def test_another_policy_shows_where_its_values_stand() -> None:
    policies = "[policies.x.retry]\ntries = 4\n[policies.y.retry]\ntries = 5\n"
    named, tries = changes(ONE + 'policy = "x"\n' + policies, ONE + 'policy = "y"\n' + policies)
    assert named.key == "routes.r.policy"
    assert tries == Change(at("routes.r.retry.tries"), "changed", 4, 5, 8, 10)


def test_another_protocol_brings_values_that_nobody_wrote() -> None:
    told = {change.key: change for change in changes(ONE, ONE.replace("[routes.r]", 'protocol = "openai"\n[routes.r]'))}
    assert told["upstreams.a.protocol"] == Change(at("upstreams.a.protocol"), "changed", "http", "openai", line_after=3)
    assert told["upstreams.a.timeout.connect"] == Change(at("upstreams.a.timeout.connect"), "changed", 2, 5)
    assert told["routes.r.retry.backoff"] == Change(at("routes.r.retry.backoff"), "changed", 0.1, 0.5)


def test_a_retry_value_that_differs_by_protocol_is_told_by_target() -> None:
    old = A + B + R.replace('["a"]', '["a", "b"]')
    first, second = changes(old, old + 'retry = { backoff = "1s" }')
    assert {first.key, second.key} == {"routes.r.retry.backoff"}
    assert [(one.targets, one.before, one.after, one.line_after) for one in (first, second)] == [
        (("a",), 0.1, 1, 9),
        (("b",), 0.5, 1, 9),
    ]


def test_of_another_chain_only_what_is_written_is_told() -> None:
    old = A + B + R
    assert only(old, old.replace('["a"]', '["b"]').replace("chain", 'deadline = "300s"\nchain')).key == "routes.r.chain"
    new = old.replace('["a"]', '["b"]') + 'deadline = "300s"\nretry = { tries = 7 }'
    assert [change.key for change in changes(old, new)] == ["routes.r.chain", "routes.r.retry.tries"]


def test_a_chain_is_told_as_a_list() -> None:
    old = A + A.replace(".a]", ".c]") + R.replace('["a"]', '["a", "c"]')
    assert only(old, old.replace('["a", "c"]', '["c"]')) == Change(
        at("routes.r.chain"), "changed", ["a", "c"], ["c"], 7, 7
    )


def test_a_renamed_route_is_removed_and_added() -> None:
    removed, added = changes(ONE, ONE.replace("[routes.r]", "[routes.s]\nretry = { tries = 2 }"))
    assert removed == Change(at("routes.r"), "removed", {"match": {"path": "/*"}, "chain": ["a"]}, None, line_before=3)
    assert added == Change(
        at("routes.s"), "added", None, {"match": {"path": "/*"}, "chain": ["a"], "retry": {"tries": 2}}, line_after=3
    )


def test_a_table_that_is_switched_on_or_off() -> None:
    limit = ONE + "rate_limit = { per_minute = 4 }"
    assert only(ONE, limit) == Change(at("routes.r.rate_limit"), "changed", False, {"per_minute": 4}, line_after=6)
    off = ONE.replace("[routes.r]", "circuit_breaker = false\n[routes.r]")
    assert only(off, ONE) == Change(at("upstreams.a.circuit_breaker"), "changed", False, {}, line_before=3)


def test_a_policys_table_reaches_its_routes_too() -> None:
    new = ONE + "[policies.default]\nrate_limit = { per_minute = 4 }"
    change = only(ONE + "[policies.default]", new)
    assert (change.key, change.after) == ("policies.default.rate_limit", {"per_minute": 4})
    assert change.reaches == (at("routes.r.rate_limit"),)
    assert only(new, new.replace("4", "5")).reaches == (at("routes.r.rate_limit.per_minute"),)


def test_a_secret_is_told_as_changed_and_never_shown(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"{name}-secret")

    def key(file: str) -> str:
        return ONE.replace("[routes.r]", f'api_key = {{ file = "{tmp_path / file}" }}\n[routes.r]')

    assert only(key("one"), key("two")) == Change(at("upstreams.a.api_key"), "changed", "***", "***", 3, 3)
    (tmp_path / "two").write_text("one-secret")
    assert changes(key("one"), key("two")) == []
    token = ONE + '[admin]\ntoken = "${T}"'
    assert only(token, token.replace("T", "U"), {"T": "aaa", "U": "bbb"}).after == "***"
    change = only(token.replace("${T}", ""), token.replace("${T}", "bbb"))
    assert (change.before, change.after) == ("", "***")
    proxy = ONE.replace("[routes.r]", 'proxy = "http://me:aaa@p:1"\n[routes.r]')
    change = only(proxy, proxy.replace("aaa", "bbb"))
    assert (change.before, change.after) == ("http://***@p:1", "http://***@p:1")


def test_a_value_and_the_variable_that_has_it_are_equal() -> None:
    assert changes(ONE + "[limits]\nmax_headers = 7", ONE + '[limits]\nmax_headers = "${N}"', {"N": "7"}) == []


def shown(text: str, environ: dict[str, str] | None = None) -> dict[str, Any]:
    view: dict[str, Any] = json.loads(json.dumps(redacted(load(text, environ))))
    return view


def test_from_a_view_the_old_lines_are_not_known() -> None:
    old, new = ONE + "[policies.default.retry]\ntries = 4", ONE + "[policies.default.retry]\ntries = 5"
    assert difference_from_view(shown(old), load(old)) == []
    assert difference_from_view(shown(old), load(new)) == [
        Change(at("policies.default.retry.tries"), "changed", 4, 5, line_after=7, reaches=(at("routes.r.retry.tries"),))
    ]
    (removed, _) = difference_from_view(shown(ONE), load(ONE.replace("[routes.r]", "[routes.s]")))
    assert (removed.key, removed.before["chain"], removed.before["retry"]["tries"]) == ("routes.r", ["a"], 3)


def test_from_a_view_secrets_are_equal() -> None:
    token = ONE + '[admin]\ntoken = "${T}"'
    assert difference_from_view(shown(token, {"T": "a"}), load(token, {"T": "b"})) == []


UPSTREAM = st.sampled_from(
    ["", 'protocol = "openai"', "circuit_breaker = false", "circuit_breaker = { window = 7 }", 'policy = "slow"',
     'headers = { X-Key = "k" }', 'headers = { X-Key = "l", Y = "m" }', "pool = { max = 3 }",
     "timeout = { connect = 4 }"]
)  # fmt: skip
ROUTE = st.sampled_from(
    ["", 'policy = "slow"', "retry = { tries = 2 }", "retry = { backoff = 0.5 }", "rate_limit = { per_hour = 3 }",
     "rate_limit = false", 'deadline = "9s"', "limits = { max_headers = 9 }"]
)  # fmt: skip
POLICY = st.sampled_from(
    ["", "retry = { tries = 2 }", "retry = { tries = 4, backoff = 1 }", "timeout = { connect = 4 }", 'deadline = "9s"',
     "circuit_breaker = false", "rate_limit = { per_hour = 3 }"]
)  # fmt: skip
CHAIN = st.sampled_from([["a"], ["b"], ["a", "b"], ["b", "a"], ["a", "static/sorry"], ["static/sorry"]])


@st.composite
def policies(draw: st.DrawFn) -> str:
    lines = ['[static.sorry]\nbody = "sorry"']
    lines += [
        f"[policies.{name}]\n{draw(POLICY)}" for name in ("default", "slow") if name == "slow" or draw(st.booleans())
    ]
    lines += [f'[upstreams.{name}]\nurl = "http://{name}"\n{draw(UPSTREAM)}' for name in "ab"]
    for name in draw(st.sets(st.sampled_from("rst"))):
        chain = json.dumps(draw(CHAIN))
        lines.append(f'[routes.{name}]\nmatch = {{ path = "/{name}" }}\nchain = {chain}\n{draw(ROUTE)}')
    return "\n".join(draw(st.permutations(lines)))


def values(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: values(item) for key, item in tree.items()}
    return tree.value if isinstance(tree, Held) else [values(item) for item in tree]


KINDS: dict[str, Literal["changed", "added", "removed"]] = {
    "added": "removed",
    "removed": "added",
    "changed": "changed",
}


@settings(max_examples=60)
@given(policies(), policies())
def test_the_other_way_round_it_is_mirrored(old: str, new: str) -> None:
    forth = difference(load(old), load(new))
    mirrored = [
        replace(
            one,
            kind=KINDS[one.kind], before=one.after, after=one.before,
            line_before=one.line_after, line_after=one.line_before,
        )
        for one in forth
    ]  # fmt: skip
    assert difference(load(new), load(old)) == mirrored
    assert bool(forth) == (values(effective(load(old).settings)) != values(effective(load(new).settings)))


@settings(max_examples=30)
@given(policies())
def test_equal_texts_have_no_difference(text: str) -> None:
    assert changes(text, text) == []
    assert difference_from_view(shown(text), load(text)) == []
