"""A call that ends well leaves nothing that only the collector would find: being freed at once costs a quarter less."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from sidecar.call import Call, Reply
from tests.kit.llm_stage import ALONE, ANTHROPIC, OPENAI, SAID, stage
from tests.kit.running import one, running
from tests.kit.scripted import OK, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

WITH_TRAILERS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-End: 1\r\n\r\n"


@contextmanager
def nothing_is_left() -> Iterator[None]:
    gc.collect()
    before = _alive()  # other tests' own
    gc.disable()
    try:
        yield
        assert [left for left in _alive() if not any(left is one for one in before)] == []
    finally:
        gc.enable()


def _alive() -> list[object]:
    return [found for found in gc.get_objects() if type(found) in (Call, Reply)]


@pytest.mark.parametrize("answer", [OK, WITH_TRAILERS], ids=["whole", "in chunks"])
async def test_of_a_call(answer: bytes) -> None:
    async with scripted(answer) as upstream:
        with nothing_is_left():
            async with running(one(upstream.url)) as sidecar:
                assert (await sidecar.ask("/")).body == b"ok"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client", [OPENAI, ANTHROPIC])
async def test_of_an_llms_answer(client: str, stream: bool) -> None:
    with nothing_is_left():
        async with stage() as s:
            assert (await s.ask(ALONE[OPENAI], client=client, stream=stream)).text == SAID
