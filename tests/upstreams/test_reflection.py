"""What an upstream tells of its methods, when it is asked, and what becomes of one that does not answer."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.reflection import aio as real
from grpc_reflection.v1alpha.reflection_pb2_grpc import add_ServerReflectionServicer_to_server

from sidecar.upstreams.grpc import Channel, ChannelSettings
from sidecar.upstreams.grpc_metadata import MetadataWriter
from sidecar.upstreams.reflection import Reflection
from sidecar.upstreams.reflection_answers import LONGEST_ANSWER, MOST_METHODS, V1, V1_ALPHA
from tests.kit.caller import PATIENCE
from tests.kit.reflecting import (
    FOUR_KINDS,
    KINDS,
    LIST,
    EndsError,
    by_file,
    described,
    file_of,
    listed,
    reflecting,
    scripted,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from sidecar.call import Header

NOWHERE = "127.0.0.1:1"
S = listed("test.S")


class Asked(Reflection):
    """Ends when it would pause; `pauses` are those it wanted. `known` is what was learned."""

    def __init__(
        self,
        channels: list[Channel],
        metadata: tuple[Header, ...],
        patience: float,
        meanwhile: Callable[[float], Awaitable[None]] | None,
    ) -> None:
        super().__init__("a", channels, metadata, patience=patience, sleep=self._pause)
        self._meanwhile = meanwhile
        self.known: dict[bytes, bool] = {}
        self.pauses: list[float] = []

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if self._meanwhile is None:
            raise asyncio.CancelledError
        await self._meanwhile(seconds)

    def hear(self, found: Mapping[bytes, bool]) -> None:
        self.known.update(found)

    async def end(self) -> dict[bytes, bool]:
        """Start it, and wait until it has no more to ask."""
        self.start(self.hear)
        assert self._task is not None
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait((self._task,))
        assert self._task.cancelled() or self._task.exception() is None
        return self.known


@asynccontextmanager
async def asking(
    *targets: str,
    metadata: tuple[Header, ...] = (),
    patience: float = PATIENCE,
    meanwhile: Callable[[float], Awaitable[None]] | None = None,
    max_message: int = 64 << 20,
) -> AsyncIterator[Asked]:
    channels = [Channel(ChannelSettings(target, max_message=max_message)) for target in targets]
    reflection = Asked(channels, metadata, patience, meanwhile)
    try:
        yield reflection
    finally:
        await reflection.aclose()
        for channel in channels:
            await channel.close()


async def test_all_four_kinds_are_told_apart() -> None:
    async with reflecting(by_file(FOUR_KINDS)) as server, asking(server.target) as reflection:
        assert await reflection.end() == KINDS
        assert reflection.pauses == []
    assert server.asked == [(V1, LIST), (V1, "test.S")]


async def test_a_channel_is_not_closed_under_a_question() -> None:
    answers = by_file(FOUR_KINDS)

    async def respond(asked: str) -> bytes:
        if asked != LIST:
            await reflection._channels[0].close()
        answer = answers(asked)
        assert isinstance(answer, bytes)
        return answer

    async with reflecting(respond) as server, asking(server.target) as reflection:
        assert await reflection.end() == KINDS
        assert reflection._channels[0].state == "shutdown"


async def test_the_library_s_own_server_which_has_the_draft_only() -> None:
    pool = DescriptorPool()
    pool.Add(FOUR_KINDS)
    server = grpc.aio.server()
    servicer = real.ReflectionServicer(["test.S"], pool=pool)
    add_ServerReflectionServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with asking(f"127.0.0.1:{port}") as reflection:
        assert await reflection.end() == KINDS
    await server.stop(None)


async def test_the_draft_is_asked_for_where_there_is_no_first_version() -> None:
    async with reflecting(by_file(FOUR_KINDS), V1_ALPHA) as server, asking(server.target) as reflection:
        assert await reflection.end() == KINDS
    assert server.asked == [(V1, LIST), (V1_ALPHA, LIST), (V1_ALPHA, "test.S")]


async def test_who_has_no_reflection_is_not_asked_again() -> None:
    async with reflecting(None) as server, asking(server.target) as reflection:
        assert await reflection.end() == {}
        assert reflection.pauses == []
        reflection.start(reflection.hear)
    assert server.asked == [(V1, LIST), (V1_ALPHA, LIST)]


async def test_services_of_one_file_are_asked_for_once() -> None:
    both, third = file_of("A", "B"), file_of("C", package="other")
    async with reflecting(by_file(both, third)) as server, asking(server.target) as reflection:
        assert await reflection.end() == {b"/test.A/Get": True, b"/test.B/Get": True, b"/other.C/Get": True}
    assert [asked for _, asked in server.asked] == [LIST, "test.A", "other.C"]


async def test_the_upstream_s_own_fields_go_with_the_questions() -> None:
    own = MetadataWriter(
        [(b"X-API-Key", b"k")], [(b"x-tenant-id", b"t"), (b"x-api-key", b"other"), (b"empty", b"")], b"1.1 me"
    ).own
    async with reflecting(by_file(FOUR_KINDS)) as server, asking(server.target, metadata=own) as reflection:
        await reflection.end()
    assert {("x-api-key", "k"), ("x-tenant-id", "t"), ("via", "1.1 me")} <= set(server.metadata)
    assert [value for name, value in server.metadata if name in ("x-api-key", "empty")] == ["k"]


async def test_an_address_that_cannot_be_reached_is_passed_over() -> None:
    async with (
        reflecting(by_file(FOUR_KINDS)) as second,
        reflecting(None) as third,
        asking(NOWHERE, second.target, third.target) as reflection,
    ):
        assert await reflection.end() == KINDS
        assert reflection.pauses == []
    assert third.asked == []


async def test_a_server_that_comes_up_later_is_asked_then() -> None:
    async with reflecting(None) as was_there:
        port = int(was_there.target.rpartition(":")[2])
    come = asyncio.Event()

    async def meanwhile(_seconds: float) -> None:
        if len(reflection.pauses) == 3:
            come.set()
            async with asyncio.timeout(PATIENCE):
                await reflection._channels[0]._channel.channel_ready()

    async def comes() -> None:
        await come.wait()
        async with reflecting(by_file(FOUR_KINDS), port=port):
            await over.wait()

    over = asyncio.Event()
    coming = asyncio.create_task(comes())
    async with asking(f"127.0.0.1:{port}", meanwhile=meanwhile) as reflection:
        assert await reflection.end() == KINDS
        assert reflection.pauses == [1.0, 2.0, 4.0]
    over.set()
    await coming


async def test_pauses_grow_to_a_minute() -> None:
    async def meanwhile(_seconds: float) -> None:
        if len(reflection.pauses) == 9:
            raise asyncio.CancelledError

    async with asking(NOWHERE, meanwhile=meanwhile) as reflection:
        assert await reflection.end() == {}
    assert reflection.pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize(
    ("code", "again"),
    [
        ("UNAVAILABLE", True),
        ("DEADLINE_EXCEEDED", True),
        ("PERMISSION_DENIED", False),
        ("UNAUTHENTICATED", False),
        ("RESOURCE_EXHAUSTED", False),
        ("INTERNAL", False),
        ("UNKNOWN", False),
        ("NOT_FOUND", False),
    ],
)
async def test_any_status_is_an_answer_but_that_it_is_not_there(code: str, *, again: bool) -> None:
    async with reflecting(scripted(EndsError(code))) as server, asking(server.target) as reflection:
        assert await reflection.end() == {}
        assert (reflection.pauses != []) is again
    assert server.asked == [(V1, LIST)]


async def test_a_server_that_never_answers_is_given_up_and_tried_again() -> None:
    async def never(_asked: str) -> bytes:
        await asyncio.Event().wait()
        return b""

    async with reflecting(never) as server, asking(server.target, patience=0.05) as reflection:
        assert await reflection.end() == {}
        assert reflection.pauses == [1.0]


async def test_what_it_told_before_it_broke_off_is_known() -> None:
    answers = listed("test.S", "test.T"), described(FOUR_KINDS), EndsError("UNAVAILABLE")
    async with reflecting(scripted(*answers)) as server, asking(server.target) as reflection:
        assert await reflection.end() == KINDS
        assert reflection.pauses == [1.0]


async def test_a_service_without_a_description_does_not_hide_the_others() -> None:
    answers = listed("test.Bare", "test.S"), b"", described(FOUR_KINDS)
    async with reflecting(scripted(*answers)) as server, asking(server.target) as reflection:
        assert await reflection.end() == KINDS


async def test_two_files_that_do_not_agree() -> None:
    """A stream takes every kind of call."""
    answers = S, described(file_of("S", methods="Get"), file_of("S", methods="Get>"), file_of("S", methods="Get"))
    async with reflecting(scripted(*answers)) as server, asking(server.target) as reflection:
        assert await reflection.end() == {b"/test.S/Get": False}


@pytest.mark.parametrize(
    "answers",
    [
        (b"\xff\xff",),
        (b"",),
        (described(FOUR_KINDS),),
        (S, b"\xff\xff"),
        (S, described(b"\xff")),
        (S, S),
        (S, b"\x00" * (LONGEST_ANSWER + 1)),
    ],
    ids=["garbage", "nothing", "not-what-was-asked", "garbage-later", "garbage-within", "list-again", "too-long"],
)
async def test_nonsense_is_an_answer_that_tells_nothing(
    answers: tuple[bytes, ...], caplog: pytest.LogCaptureFixture
) -> None:
    async with reflecting(scripted(*answers)) as server, asking(server.target) as reflection:
        assert await reflection.end() == {}
        assert reflection.pauses == []
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []


async def test_an_answer_that_is_too_long_for_the_channel() -> None:
    answers = S, b"\x00" * 2000
    async with (
        reflecting(scripted(*answers)) as server,
        asking(server.target, max_message=1000) as reflection,
    ):
        assert await reflection.end() == {}
        assert reflection.pauses == []


async def test_a_server_that_ends_without_a_word() -> None:
    async with reflecting(scripted(EndsError("OK"))) as server, asking(server.target) as reflection:
        assert await reflection.end() == {}
        assert reflection.pauses == []


async def test_more_methods_than_anybody_has() -> None:
    many = [file_of(f"S{n}", methods=" ".join(f"M{m}" for m in range(MOST_METHODS // 2 + 1))) for n in range(3)]
    async with reflecting(by_file(*many)) as server, asking(server.target) as reflection:
        assert len(await reflection.end()) == MOST_METHODS
    assert [asked for _, asked in server.asked] == [LIST, "test.S0", "test.S1"]


async def test_who_learns_later_is_told_at_once_and_nobody_asks_again() -> None:
    async with reflecting(by_file(FOUR_KINDS)) as server, asking(server.target) as reflection:
        await reflection.end()
        later: dict[bytes, bool] = {}
        reflection.start(later.update)
        assert later == KINDS
    assert len(server.asked) == 2


async def test_closing_ends_a_question_under_way() -> None:
    begun, left = asyncio.Event(), asyncio.Event()

    async def waits(_asked: str) -> bytes:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return b""

    async with reflecting(waits) as server:
        async with asking(server.target) as reflection:
            reflection.start(reflection.hear)
            async with asyncio.timeout(PATIENCE):
                await begun.wait()
        async with asyncio.timeout(PATIENCE):
            await left.wait()
    assert reflection.known == {}


async def test_a_channel_that_is_closed_tells_nothing() -> None:
    async with asking(NOWHERE) as reflection:
        await reflection._channels[0].close()
        assert await reflection.end() == {}


async def test_closing_what_was_never_started() -> None:
    async with asking(NOWHERE):
        pass
