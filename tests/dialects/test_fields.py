"""Fields that may be any JSON: each is read as its type or refused, and losses are told once, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from sidecar.dialects.fields import Lost, count, document, documents, flag, items, number, some_text, text, word
from sidecar.dialects.translated import Untranslatable

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (text, ""),
        (some_text, "x"),
        (document, {}),
        (documents, [{}, {"a": 1}]),
        (items, [1]),
        (flag, False),
        (number, 0.5),
        (number, -1),
        (count, 1),
    ],
)
def test_what_has_its_type_is_handed_on(read: Callable[[Any, str], Any], value: Any) -> None:
    assert read(value, "field") == value


@pytest.mark.parametrize(
    ("read", "value", "said"),
    [
        (text, 1, "is no string"),
        (some_text, "", "is empty"),
        (some_text, None, "is no string"),
        (document, [], "is no object"),
        (documents, [{}, 1], "is no object"),
        (documents, {}, "is no list"),
        (items, "x", "is no list"),
        (flag, 1, "is neither true nor false"),
        (number, True, "is no number"),
        (number, "1", "is no number"),
        (count, 0, "is no count of at least 1"),
        (count, 1.0, "is no count of at least 1"),
        (count, True, "is no count of at least 1"),
    ],
)
def test_what_has_not_is_refused_with_its_place(read: Callable[[Any, str], Any], value: Any, said: str) -> None:
    with pytest.raises(Untranslatable, match=f"^field: {said}$"):
        read(value, "field")


def test_losses_are_told_once_and_as_first_met() -> None:
    lost = Lost()
    for name in ("seed", "messages.name", "seed", "logit_bias"):
        lost.add(name)
    assert lost.names() == ("seed", "messages.name", "logit_bias")


@pytest.mark.parametrize("name", ["a\r\nX-Evil: 1", "ключ", "a b", "", "x" * 65, "a,b"])
def test_a_name_that_would_break_a_header_is_a_question_mark(name: str) -> None:
    lost = Lost()
    lost.add(name)
    assert lost.names() == ("?",)


def test_an_unknown_field_that_says_nothing_is_no_loss() -> None:
    lost = Lost()
    said: dict[str, object] = {
        "known": 1,
        "null": None,
        "text": "",
        "list": [],
        "object": {},
        "zero": 0,
        "no": False,
        "more": "x",
    }
    lost.unknown(said, ("known",), "messages.")
    assert lost.names() == ("messages.zero", "messages.no", "messages.more")


def test_a_word_of_the_callers_is_shown_but_not_all_of_it() -> None:
    assert word("audio") == "'audio'"
    assert word(None) == "None"
    assert len(word("x" * 9999)) == 40
    assert word([]) == "[…]"
    assert word(orjson.loads(b'{"a":' * 1000 + b"1" + b"}" * 1000)) == "{…}"  # deeper than Python can show
