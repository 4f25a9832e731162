"""What an upstream is told of the trace: each attempt is a span of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.stage import a_call

if TYPE_CHECKING:
    from tests.kit.stage import Stage

pytestmark = pytest.mark.virtual_time


class Spans:
    """A call's span that numbers its attempts."""

    def __init__(self) -> None:
        self.attempts: list[str] = []
        self.addresses: list[int] = []

    def attempt(self, target: str, address: int) -> bytes:
        self.attempts.append(target)
        self.addresses.append(address)
        return b"00-trace-%d-01" % len(self.attempts)

    def answered(self, model: str) -> None:
        """Of an LLM's answer: there is none here."""


async def test_each_attempt_has_a_span(stage: Stage) -> None:
    stage.route(stage.target("a", "reset", "reset", tries=2), stage.target("b"))
    call = a_call()
    call.span = spans = Spans()
    await stage.send(call)
    assert spans.attempts == ["a", "a", "b"]
    assert call.traceparent == b"00-trace-3-01"


async def test_without_a_trace_the_caller_s_goes_on(stage: Stage) -> None:
    stage.route(stage.target("a"))
    call = a_call()
    call.traceparent = b"00-theirs-1-01"
    await stage.send(call)
    assert call.traceparent == b"00-theirs-1-01"
