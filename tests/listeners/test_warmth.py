"""`stream = "complete"`: a caller that waits long gets a head and comments, and behind them whatever came of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from sidecar.errors import CallerLeft
from sidecar.listeners.http import HttpListener
from sidecar.listeners.reply_head import ReplyHeads
from sidecar.listeners.warmth import WAITING
from sidecar.llm import LlmOptions
from tests.kit.providers import (
    CUT,
    DONE,
    ROLE,
    STOP,
    LlmStage,
    answers,
    asks,
    completion,
    event,
    fails,
    streams,
    text,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sidecar.call import Call
    from tests.kit.providers import Says

pytestmark = pytest.mark.virtual_time

WELL = ROLE + text("Hello") + STOP + DONE
OVERLOADED = event({"error": {"message": "busy", "type": "server_error", "code": "server_is_overloaded"}})


class FakeRequest:
    """What the listener does to a request, with the moment; `gone`: its caller is."""

    def __init__(self, stage: LlmStage) -> None:
        self._stage = stage
        self.did: list[tuple[float, str]] = []
        self.head = b""
        self.body = b""
        self.status = 0
        self.answered = False
        self.gone = False
        self.full = False

    def start(self, status: int, head: bytes, _length: int | None, **_told: object) -> None:
        self._do("start")
        self.answered, self.status, self.head = True, status, head

    def write(self, piece: bytes) -> bool:
        self._do("wait" if piece == WAITING else "write")
        self.body += piece
        return not self.full

    async def drain(self) -> None:
        self._do("drain")

    def end(self, _trailers: object) -> None:
        self._do("end")

    def abort(self) -> None:
        self.did.append((self._stage.now, "abort"))

    def respond(self, status: int, head: bytes, body: bytes, **_told: object) -> None:
        self.start(status, head, len(body))
        self.body = body

    def _do(self, what: str) -> None:
        if self.gone:
            raise CallerLeft
        self.did.append((self._stage.now, what))


class Serving:
    """One request, served by the listener over the stage's engine."""

    def __init__(self, stage: LlmStage, *script: Says, **options: Any) -> None:
        stage.llm(stage.model("a", *script, tries=1, model="small"), options=LlmOptions(stream="complete"), **options)
        self.stage = stage
        self.request = FakeRequest(stage)
        self.call: Call | None = None
        self.crashed: list[BaseException] = []
        heads = ReplyHeads(stage.clock, lambda: 0.0)
        self._listener = HttpListener(
            self,  # type: ignore[arg-type]  # reads the call below
            heads,
            stage.engine.exchange,
            lambda _call: None,
            lambda _call, error: self.crashed.append(error),
            lambda _call, _refusal: None,
        )

    def read(self, _request: object) -> Call:
        self.call = asks(stream=True)
        self.call.started = self.stage.clock()
        return self.call

    async def serve(self) -> FakeRequest:
        await self._listener.serve(self.request)  # type: ignore[arg-type]  # as much of one as is used
        return self.request

    def serving(self) -> asyncio.Task[FakeRequest]:
        return asyncio.create_task(self.serve())


@pytest.fixture
async def stage() -> AsyncIterator[LlmStage]:
    made = LlmStage()
    yield made
    made.everything_is_given_back()


async def test_an_answer_that_is_soon_there_has_its_own_head(stage: LlmStage) -> None:
    request = await Serving(stage, streams(ROLE, text("Hello"), 9.0, STOP, DONE)).serve()
    assert (request.body, request.status) == (WELL, 200)
    assert b"X-Sidecar-Model: small" in request.head
    assert request.did[0] == (9.0, "start")
    await stage.until(60)
    assert request.did[-1][0] == 9.0, "nothing beats on"


async def test_one_that_takes_long_comes_behind_comments_and_ends_with_what_the_head_could_not_say(
    stage: LlmStage,
) -> None:
    request = await Serving(stage, streams(ROLE, 25.0, text("Hello"), STOP, DONE)).serve()
    assert request.did == [(10.0, "start"), (10.0, "wait"), (20.0, "wait"), *[(25.0, "write")] * 2, (25.0, "end")]
    assert b"Content-Type: text/event-stream" in request.head
    assert b"X-Sidecar-Model" not in request.head
    told = request.body.removeprefix(WAITING * 2 + WELL)
    assert all(line.startswith(b": X-Sidecar-") for line in told.splitlines() if line)
    assert b": X-Sidecar-Model: small\n" in told
    assert b": X-Sidecar-Attempts: 1\n" in told
    assert request.body.startswith(WAITING * 2 + WELL)


async def test_a_reader_that_is_slow_is_waited_for(stage: LlmStage) -> None:
    serving = Serving(stage, streams(ROLE, 12.0, text("Hello"), STOP, DONE))
    serving.request.full = True
    assert (12.0, "drain") in (await serving.serve()).did


BUSY = {"error": {"message": "busy", "code": "server_is_overloaded"}}


@pytest.mark.parametrize(
    ("said", "code", "told"),
    [
        (streams(ROLE, text("Hel"), 15.0, OVERLOADED), "server_is_overloaded", b"Error-Category: server"),
        (answers(BUSY, 503, after=15.0), "server_is_overloaded", b"Error-Category: server"),
        (streams(ROLE, 15.0, CUT), "upstream_reset", b"Error-Category: server"),
        (fails(after=15.0), "upstream_reset", b"Upstream: a"),
        (answers(completion(), after=15.0), "upstream_protocol_error", b"Model: small"),
    ],
    ids=["error event", "error", "break", "reset", "no stream"],
)
async def test_a_failure_is_an_error_event_and_no_end(stage: LlmStage, said: Says, code: str, told: bytes) -> None:
    request = await Serving(stage, said).serve()
    assert (request.status, request.did[-1]) == (200, (15.0, "abort"))
    error, comments = request.body.removeprefix(WAITING).split(b"\n\n", 1)
    assert orjson.loads(error.removeprefix(b"data: "))["error"]["code"] == code
    assert b": X-Sidecar-" + told + b"\n" in comments
    assert b"[DONE]" not in request.body


async def test_a_bug_of_ours_is_cut_off(stage: LlmStage) -> None:
    serving = Serving(stage, fails(after=15.0))

    def crash(_name: object) -> None:
        raise ZeroDivisionError

    stage.providers["a"].send = crash  # type: ignore[method-assign, assignment]  # it crashes
    request = await serving.serve()
    assert (request.status, len(serving.crashed)) == (500, 1)


async def test_a_caller_that_left_is_not_written_to(stage: LlmStage) -> None:
    serving = Serving(stage, streams(ROLE, text("Hel"), None))
    task = serving.serving()
    await stage.until(5)
    serving.request.gone = True
    await stage.until(40)
    assert serving.request.did == []
    task.cancel()
    await asyncio.wait([task])
    await stage.until(99)
    assert serving.request.did == []


async def test_one_that_leaves_later_stops_the_comments(stage: LlmStage) -> None:
    serving = Serving(stage, streams(ROLE, text("Hel"), None))
    task = serving.serving()
    await stage.until(25)
    task.cancel()
    await asyncio.wait([task])
    await stage.until(99)
    assert serving.request.did == [(10.0, "start"), (10.0, "wait"), (20.0, "wait")]
