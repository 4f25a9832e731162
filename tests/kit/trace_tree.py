"""A trace as people read it: spans below their parents, each with what it says, events among them by time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.kit.otlp import Span

TIME = re.compile(r"[\d.]+ ms")


def tree(spans: Sequence[Span]) -> str:
    """All spans of one call."""
    (root,) = [span for span in spans if span.kind == "server"]
    lines = list(_span(root, ""))
    for child in spans:
        if child.parent == root.span_id:
            lines += _span(child, "    ")
    return "\n".join(lines) + "\n"


def _span(span: Span, indent: str) -> Iterator[str]:
    error = "  error" if span.status == "error" else ""
    yield f"{indent}{span.name}  ({span.kind}, {(span.end - span.start) / 1e6:.1f} ms){error}"
    for name, value in span.said.items():
        yield f"{indent}  {name} = {value}"
    for name, said in span.events:
        yield f"{indent}  * {name}"
        for key, value in said.items():
            yield f"{indent}      {key} = {value}"


def without_chance(text: str) -> str:
    """What is the same each time: no durations, ports and ids."""
    text = TIME.sub("… ms", text)
    text = re.sub(r"(seconds|time_to_first_chunk)( ?= ?)[\d.]+", r"\1\2…", text)
    return re.sub(r"(server\.port|request_id|http\.version)( ?= ?)\S+", r"\1\2…", text)
