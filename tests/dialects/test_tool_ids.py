"""Ids of tool calls: what Anthropic refuses is spelled, and every id comes back as it was."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.tool_ids import from_anthropic_id, to_anthropic_id

VALID = re.compile(r"[a-zA-Z0-9_-]+")


@pytest.mark.parametrize("known", ["toolu_01D7FLrfh4GYq7yT1ULFeyMV", "call_abc-123", "0", "_", "-"])
def test_a_valid_id_stays_as_it_is(known: str) -> None:
    assert to_anthropic_id(known) == from_anthropic_id(known) == known


def test_kimis_ids_come_back_as_they_were_for_a_one_way_rewrite_misled_the_model() -> None:
    """`functions.Read:0` sent on as `functions_Read_0` was blamed for a model's failures to call tools."""
    spelled = to_anthropic_id("functions.Read:0")
    assert spelled == "sidecar_b64_ZnVuY3Rpb25zLlJlYWQ6MA"
    assert from_anthropic_id(spelled) == "functions.Read:0"


@pytest.mark.parametrize("call", ["", " ", "a b", "call.1", "call\n", "ключ", "\ud83d", "sidecar_b64_Zg=="])
def test_an_id_that_would_be_refused_is_spelled(call: str) -> None:
    assert VALID.fullmatch(to_anthropic_id(call))
    assert from_anthropic_id(to_anthropic_id(call)) == call


def test_an_id_that_is_itself_a_spelling_is_spelled_once_more() -> None:
    once = to_anthropic_id("functions.Read:0")
    twice = to_anthropic_id(once)
    assert twice != once
    assert from_anthropic_id(twice) == once


@pytest.mark.parametrize(
    "call", ["sidecar_b64_Z", "sidecar_b64_Zh", "sidecar_b64__w", "sidecar_b64_YQ", "sidecar_b64_call-1"]
)
def test_an_id_that_only_looks_like_a_spelling_is_none(call: str) -> None:
    """Cut base64, bits left over, no UTF-8, the spelling of a valid id: none of them is made by us."""
    assert from_anthropic_id(call) == call
    assert to_anthropic_id(call) == call


looking_alike = st.text("abZY0_-=", max_size=8).map("sidecar_b64_".__add__)
ids = st.text(max_size=12) | looking_alike | st.from_regex(VALID, fullmatch=True)


@given(ids)
def test_any_id_comes_back(call: str) -> None:
    assert VALID.fullmatch(to_anthropic_id(call))
    assert from_anthropic_id(to_anthropic_id(call)) == call


@given(looking_alike | st.from_regex(VALID, fullmatch=True))
def test_any_valid_id_comes_back_by_the_other_way_round(call: str) -> None:
    if VALID.fullmatch(call):
        assert to_anthropic_id(from_anthropic_id(call)) == call


@given(st.lists(ids, unique=True, max_size=6))
def test_two_ids_are_never_spelled_alike(several: list[str]) -> None:
    assert len({to_anthropic_id(call) for call in several}) == len(several)
