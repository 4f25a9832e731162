"""What a model says, before any dialect: its tokens, its limits, the signature of what it thought."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.llm import Usage
from sidecar.standins.llm_answers import (
    Answer,
    Redacted,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    cut_short,
    prompt_tokens,
    sealed,
    sign,
    words,
)


@given(text=st.text())
def test_the_words_of_a_text_are_the_text(text: str) -> None:
    assert "".join(words(text)) == text


def test_a_word_has_the_space_before_it() -> None:
    assert words("You said: hi \n") == ["You", " said:", " hi", " \n"]


@given(text=st.text(alphabet='ab"\\ é😀\n'))
def test_the_pieces_of_arguments_are_the_arguments(text: str) -> None:
    call = ToolCall("one", {"text": text})
    assert "".join(call.deltas) == call.json


def test_an_answer_costs_what_it_says_or_what_it_counts() -> None:
    answer = Answer(Thinking("a b"), "c d e", Redacted("x"), ToolCall("t", {"a": 1}), Refusal("no no"))
    assert answer.cost(7) == Usage(7, 2 + 3 + 1 + 3 + 2)
    assert answer.thinking_tokens == 2
    assert Answer("a", usage=Usage(1, 2, 3)).cost(7) == Usage(1, 2, 3)
    assert prompt_tokens(["a b", "c"], 2) == 9


@pytest.mark.parametrize(
    ("limit", "stops", "left", "why"),
    [
        (9, [], "a b c d", ""),
        (4, [], "a b c d", ""),
        (3, [], "a b c", "length"),
        (9, [" c"], "a b", "stop: c"),
        (9, [" d", " b", ""], "a", "stop: b"),
        (1, [" c"], "a", "length"),
        (0, [], "", "length"),
    ],
)
def test_an_answer_is_cut_at_its_limit_or_its_first_stop(limit: int, stops: list[str], left: str, why: str) -> None:
    answer = Answer("a b c d")
    assert cut_short(answer, limit, stops) == why
    assert answer.text == left


def test_what_stands_behind_a_cut_is_gone() -> None:
    answer = Answer(Thinking("hm"), "a b", "c d", ToolCall("one"))
    assert cut_short(answer, 3, []) == "length"
    assert answer.parts == [Thinking("hm"), Text(("a", " b")), Text(("c",))]


ANY = st.text(st.characters(exclude_categories=()))
"""Halves of surrogate pairs too, which JSON can bring."""


@given(thought=ANY, other=ANY)
def test_a_signature_belongs_to_its_thinking_alone(thought: str, other: str) -> None:
    signature = sign(thought)
    assert sealed(thought, signature)
    assert sealed("", signature), "its text may have been left out"
    assert sealed(other, signature) is (other in {thought, ""})
    assert not sealed(thought, signature + "x")
