"""A stream that ends with a status of its own, after it was committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.call import Facts, Reply, What

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sidecar.call import Attempt, Call
    from tests.kit.stage import Stage

pytestmark = pytest.mark.virtual_time


class EndsWith:
    """An upstream whose stream of two messages ends with that status."""

    def __init__(self, code: str) -> None:
        self._code = code

    async def send(self, call: Call, attempt: Attempt) -> Reply:
        reply = Reply(200, b"", [], Facts(What.REPLY, status=200, grpc_code="OK"), {})
        reply.chunks = self._messages(reply)
        return reply

    async def _messages(self, reply: Reply) -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"
        reply.code = self._code

    async def aclose(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize(("code", "outcome"), [("OK", "ok"), ("NOT_FOUND", "client_error")])
async def test_its_outcome_is_not_that_of_its_beginning(stage: Stage, code: str, outcome: str) -> None:
    target = stage.target("a")
    target.service.upstream = EndsWith(code)
    stage.route(target)
    answer = await stage.call()
    assert (answer.body, answer.call.code) == (b"onetwo", code)
    assert stage.lines == ["0 a: ok", f"0 r = {outcome} 200"]
