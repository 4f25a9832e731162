"""What is known of the tokens of an answer that did not come to its end."""

from __future__ import annotations

import pytest

from sidecar.engine.spending import seen
from sidecar.llm import Usage


@pytest.mark.parametrize(
    ("usage", "deltas", "known"),
    [
        (None, 0, None),
        (None, 4, Usage(output=4)),
        (Usage(10, 1, 2), 0, Usage(10, 1, 2)),
        (Usage(10, 1, 2), 4, Usage(10, 4, 2)),
        (Usage(10, 9, 2), 4, Usage(10, 9, 2)),
    ],
)
def test_each_delta_is_a_token_at_least(usage: Usage | None, deltas: int, known: Usage | None) -> None:
    assert seen(usage, deltas) == known
