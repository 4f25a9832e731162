"""The result of a translation, and its two failures."""

from __future__ import annotations

import pytest

from sidecar.dialects.translated import BadEvent, Translated, Untranslatable


def test_a_translation_says_what_it_lost() -> None:
    assert Translated({"stream": True}, ("seed",)).dropped == ("seed",)


@pytest.mark.parametrize("failure", [Untranslatable, BadEvent])
def test_a_failure_says_why(failure: type[Exception]) -> None:
    assert str(failure("n: more than one answer")) == "n: more than one answer"


def test_a_request_that_cannot_be_said_is_no_bad_event() -> None:
    assert not issubclass(Untranslatable, BadEvent)
    assert not issubclass(BadEvent, Untranslatable)
