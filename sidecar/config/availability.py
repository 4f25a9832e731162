"""What a policy file may say already but this version cannot do yet: one table, which shrinks.

A key is refused where it would promise something; a value that promises nothing
(`""`, `false`, a default) passes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidecar.config.places import Problem, select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOT_YET = "not yet available in this version"


def _on(value: Any) -> bool:
    return str(value).lower() not in {"false", "0", "no", "off"}


_TABLE: tuple[tuple[str, Callable[[Any], bool]], ...] = (
    ("*.*.hedge", _on),
    ("*.*.cache", _on),
    ("*.*.concurrency.adaptive", _on),
)


def unavailable(document: Any) -> Iterator[Problem]:
    """A problem for each place that asks for more than this version does."""
    for pattern, asks in _TABLE:
        for place, value in select(document, pattern):
            if asks(value):
                yield Problem(place, NOT_YET)
