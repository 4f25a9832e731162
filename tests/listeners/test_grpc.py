"""The gRPC listener by itself: an exchange that a test plays, and what its callers get."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from sidecar.body import ReplayMemory
from sidecar.call import Facts, Reply, What
from sidecar.errors import CallerLeft, InternalError, NoRoute, UpstreamError
from sidecar.ids import Ids
from sidecar.listeners import grpc as grpc_listener
from sidecar.listeners.asked import Access
from sidecar.listeners.grpc import MOST_METHODS, GrpcListener
from sidecar.listeners.grpc_server import GrpcServer, ServerSettings
from sidecar.listeners.metadata import ReplyMetadata
from sidecar.listeners.read_metadata import MetadataReader
from tests.kit.h2_peer import h2_connected
from tests.kit.rpc_caller import ask, ask_unary, opened, told
from tests.kit.running import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sidecar.call import Call

    Answer = Callable[[Call], Awaitable[Reply]]

UNARY = b"/p.S/Unary"
BOTH = pytest.mark.parametrize("method", [UNARY.decode(), "/p.S/Any"], ids=["known-unary", "unknown"])


def replied(
    code: str = "OK", text: str = "", *, whole: bytes | None = None, chunks: AsyncIterator[bytes] | None = None
) -> Reply:
    reply = Reply(200, b"", [(b"theirs", b"1")], Facts(What.REPLY, grpc_code=code), {}, whole=whole)
    reply.code, reply.message, reply.chunks = code, text, chunks
    return reply


class Served:
    """A listener on a port, whose exchange is `answer`."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.crashes: list[BaseException] = []
        self.counts: list[int] = []
        self.calls: list[Call] = []
        self.ended: list[BaseException | None] = []
        self.listener = GrpcListener(
            MetadataReader(
                Access(frozenset(), frozenset(), b"", ()), Ids(), b"1.1 me", asyncio.get_running_loop().time
            ),
            ReplyMetadata(lambda: 0.0, lambda: 0.0),
            self._exchange,
            lambda method: method == UNARY,
            ReplayMemory(1 << 20),
            lambda _, error: self.crashes.append(error),
        )
        self.listener.on_change = lambda: self.counts.append(self.listener.calls)
        self.server = GrpcServer(
            ServerSettings("127.0.0.1:0", max_message=1 << 20, max_metadata=8192, max_connections=10), (self.listener,)
        )

    @asynccontextmanager
    async def _exchange(self, call: Call) -> AsyncIterator[Reply]:
        self.calls.append(call)
        try:
            yield await self.answer(call)
        except BaseException as error:
            self.ended.append(error)
            raise
        self.ended.append(None)


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[tuple[Served, grpc.aio.Channel]]:
    served = Served(answer)
    await served.server.start()
    async with grpc.aio.insecure_channel(served.server.address) as channel:
        yield served, channel
    await served.server.stop(None)


@BOTH
async def test_a_message_and_its_status(method: str) -> None:
    async def answer(call: Call) -> Reply:
        assert (call.unary, call.path) == (method.encode() == UNARY, method.encode())
        return replied(whole=await call.body.collect(100))

    async with serving(answer) as (served, channel):
        for message in (b"hi", b""):
            told_ = await ask_unary(channel, message, method=method)
            assert (told_.short, told_.field("theirs")) == (("OK", [message]), "1")
        assert served.calls[0].bytes_out == 2
        assert served.counts == [1, 0, 1, 0]
        assert served.ended == [None, None]


@BOTH
async def test_a_status_alone(method: str) -> None:
    async def answer(_: Call) -> Reply:
        return replied("NOT_FOUND", "none: später")

    async with serving(answer) as (_, channel):
        answer_ = await ask_unary(channel, method=method)
    assert (answer_.code, answer_.text, answer_.field("theirs")) == ("NOT_FOUND", "none: später", "1")


@BOTH
async def test_a_refusal_of_ours(method: str) -> None:
    async def answer(_: Call) -> Reply:
        raise NoRoute("nowhere")

    async with serving(answer) as (served, channel):
        assert (await ask_unary(channel, method=method)).code == "UNIMPLEMENTED"
        assert (served.crashes, served.listener.calls) == ([], 0)


@BOTH
@pytest.mark.parametrize("where", ["before", "task", "relay"])
async def test_a_bug_of_ours_is_logged_and_not_shown(method: str, where: str) -> None:
    bug = ZeroDivisionError("secret")

    async def crashing() -> AsyncIterator[bytes]:
        yield b"1"
        raise bug

    async def answer(_: Call) -> Reply:
        if where == "relay":
            return replied(chunks=crashing())
        if where == "before":
            raise bug
        raise InternalError("it failed") from bug

    async with serving(answer) as (served, channel):
        answer_ = await ask_unary(channel, method=method)
        assert answer_.code == "INTERNAL"
        assert "secret" not in repr(answer_)
        assert served.crashes == [bug]


async def test_a_stream_that_broke_ends_with_what_its_upstream_said_else_unavailable() -> None:
    code = "DATA_LOSS"

    async def broken(reply: Reply) -> AsyncIterator[bytes]:
        yield b"1"
        reply.code, reply.message, reply.trailers = code, "why", [(b"more", b"2")]
        raise UpstreamError(Facts(What.BROKE, detail="it broke"))

    async def answer(_: Call) -> Reply:
        reply = replied("")
        reply.chunks = broken(reply)
        return reply

    async with serving(answer) as (_, channel):
        told_ = await ask(channel, method="/p.S/Any")
        assert (told_.short, told_.text, told_.field("more")) == (("DATA_LOSS", [b"1"]), "why", "2")
        code = ""
        told_ = await ask(channel, method="/p.S/Any")
        assert (told_.short, told_.text) == (("UNAVAILABLE", [b"1"]), "it broke")


async def test_who_has_left_is_told_nothing_and_crashes_nobody() -> None:
    async def answer(call: Call) -> Reply:
        async for _ in call.body.pieces():
            pass
        raise AssertionError

    async with serving(answer) as (served, channel):
        rpc = opened(channel)
        await rpc.write(b"1")
        await until(lambda: len(served.calls) == 1)
        rpc.cancel()
        await until(lambda: len(served.ended) == 1)
        assert isinstance(served.ended[0], CallerLeft | asyncio.CancelledError)
        await until(lambda: served.listener.calls == 0)
        assert served.crashes == []


async def test_who_takes_nothing_for_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_listener, "STUCK", 0.1)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 60_000

    async def answer(_: Call) -> Reply:
        return replied(chunks=endless())

    async with serving(answer) as (served, _), h2_connected(served.server.address) as peer:
        peer.reading = False
        peer.open("/p.S/Any").say(b"1", end=True)
        await until(lambda: len(served.ended) == 1)
        assert isinstance(served.ended[0], CallerLeft)
        await until(lambda: served.listener.calls == 0)


async def test_only_so_many_handlers_are_kept() -> None:
    async def answer(_: Call) -> Reply:
        raise NoRoute

    listener = Served(answer).listener

    def handler(method: str) -> Any:
        details: Any = SimpleNamespace(method=method)
        return listener.service(details)

    first = handler("/p.S/0")
    assert handler("/p.S/0") is first
    for number in range(MOST_METHODS):
        handler(f"/p.S/{number}")
    handler("/p.S/one-more")
    assert handler("/p.S/0") is not first


async def test_a_method_that_turns_out_to_be_unary_gets_another_handler() -> None:
    async def answer(_: Call) -> Reply:
        raise NoRoute

    listener = Served(answer).listener
    known = False
    listener._is_unary = lambda _: known
    details: Any = SimpleNamespace(method="/p.S/M")
    assert listener.service(details).unary_unary is None
    known = True
    assert listener.service(details).unary_unary is not None


async def test_messages_that_nobody_reads_are_not_taken() -> None:
    """Each read is asked for; a call that answers without its messages leaves them where they are."""

    async def answer(_: Call) -> Reply:
        return replied(whole=b"done")

    async with serving(answer) as (served, channel):
        rpc = opened(channel)
        assert (await told(rpc)).short == ("OK", [b"done"])
        assert served.calls[0].body.received == 0
