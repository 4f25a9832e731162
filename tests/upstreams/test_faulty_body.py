"""Bodies that a fault disturbs, as those above the upstream read them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.call import Facts, Reply, What, Wire
from sidecar.errors import UpstreamError
from sidecar.upstreams.faults import Fault
from sidecar.upstreams.faulty_body import TORN_MESSAGE, disturb
from tests.kit.inner import Closed, grpc_answer, http_answer, in_pieces
from tests.kit.virtual_loop import START, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.virtual_time

ONE, TWO, DONE = b'data: {"n": 1}\n\n', b'data: {"n": 2}\n\n', b"data: [DONE]\n\n"
COMMENT = b": still here\n\n"


def events(*pieces: bytes | Exception | None, kind: bytes = b"text/event-stream") -> Reply:
    reply = http_answer(200, b"")
    reply.fields[b"content-type"] = kind
    in_pieces(reply, *pieces)
    return reply


async def read(reply: Reply, *, idle: float = 0.0, wire: Wire = Wire.HTTP, **told: Any) -> list[str]:
    """What came, each with the seconds before it; `broke` with its reason at the end of one that was cut."""
    disturb(reply, Fault("f", **told), idle, wire)
    return await heard(reply)


async def heard(reply: Reply) -> list[str]:
    clock = asyncio.get_running_loop().time
    assert reply.chunks is not None
    lines: list[str] = []
    try:
        async for piece in reply.chunks:
            text = piece.decode("latin-1").strip()
            lines.append(f"{clock() - START:g} {text}")
    except UpstreamError as error:
        lines.append(f"{clock() - START:g} {error.facts.what.value}: {error.facts.detail}")
    return lines


# Streams of events.


async def test_the_first_token_is_held_back() -> None:
    assert await read(events(ONE, TWO, DONE), first_token=20) == [
        '20 data: {"n": 1}',
        '20 data: {"n": 2}',
        "20 data: [DONE]",
    ]


async def test_a_stream_is_silent_behind_its_first_event_and_goes_on() -> None:
    assert await read(events(COMMENT + ONE + TWO, DONE), stall=30) == [
        "0 : still here",
        '0 data: {"n": 1}',
        '30 data: {"n": 2}',
        "30 data: [DONE]",
    ]


@pytest.mark.parametrize("pieces", [(ONE + COMMENT + TWO + DONE,), (ONE[:5], ONE[5:] + COMMENT, TWO, DONE)])
async def test_a_stream_is_cut_behind_so_many_events_with_data(pieces: tuple[bytes, ...]) -> None:
    assert await read(events(*pieces), cut=2) == [
        '0 data: {"n": 1}',
        "0 : still here",
        '0 data: {"n": 2}',
        "0 broke: fault f: cut",
    ]


async def test_a_stream_is_cut_before_its_first_event() -> None:
    assert await read(events(ONE), cut=0) == ["0 broke: fault f: cut"]


async def test_a_shorter_stream_is_whole() -> None:
    assert await read(events(ONE, DONE), cut=3) == ['0 data: {"n": 1}', "0 data: [DONE]"]


async def test_a_stream_is_cut_without_waiting_for_the_next_event() -> None:
    assert await read(events(ONE, None), cut=1) == ['0 data: {"n": 1}', "0 broke: fault f: cut"]


async def test_an_event_is_spoiled_under_the_name_of_the_one_before_it() -> None:
    delta = b'event: content_block_delta\ndata: {"type": "content_block_delta"}\n\n'
    reply = events(delta + delta)
    reply.length = 2 * len(delta)
    assert (await read(reply, malformed=True))[1] == '0 event: content_block_delta\ndata: {"torn'
    assert reply.length is None, "it is longer than was announced"


async def test_an_event_without_a_name_too_and_only_one_of_a_stream() -> None:
    lines = await read(events(ONE, TWO, DONE), malformed=True)
    assert lines == ['0 data: {"n": 1}', '0 data: {"torn', '0 data: {"n": 2}', "0 data: [DONE]"]


async def test_what_the_stream_ends_in_the_middle_of_passes() -> None:
    assert await read(events(ONE, b"data: to"), stall=1) == ['0 data: {"n": 1}', "1 data: to"]


async def test_a_stream_that_breaks_by_itself_does() -> None:
    inner = events(ONE, UpstreamError(Facts(What.BROKE, detail="of its own")))
    assert await read(inner, stall=1) == ['0 data: {"n": 1}', "1 broke: of its own"]


async def test_a_stream_that_is_encoded_is_as_any_other_body() -> None:
    reply = events(b"1234", b"56")
    reply.fields[b"content-encoding"] = b"gzip"
    assert await read(reply, cut=3) == ["0 12", "0 broke: fault f: cut"]


async def test_everything_at_once() -> None:
    lines = await read(events(ONE, TWO, DONE), first_token=5, malformed=True, stall=7, cut=2)
    assert lines == ['5 data: {"n": 1}', '5 data: {"torn', '12 data: {"n": 2}', "12 broke: fault f: cut"]


async def test_two_faults_disturb_one_body() -> None:
    reply = events(ONE, TWO, DONE)
    disturb(reply, Fault("slow", first_token=5), 0.0, Wire.HTTP)
    disturb(reply, Fault("short", cut=1), 0.0, Wire.HTTP)
    assert await heard(reply) == ['5 data: {"n": 1}', "5 broke: fault short: cut"]


# Silence that an upstream would not be allowed either.


@pytest.mark.parametrize("told", [{"first_token": 20.0}, {"stall": 20.0}])
async def test_who_is_silent_for_longer_than_the_idle_time_breaks(told: dict[str, Any]) -> None:
    assert (await read(events(ONE, TWO), idle=8, **told))[-1] == "8 broke: fault f: no byte of the reply came for 8 s"


async def test_the_idle_time_itself_is_allowed() -> None:
    assert await read(events(ONE), idle=8, first_token=8) == ['8 data: {"n": 1}']


@pytest.mark.parametrize("below", [True, False])
async def test_who_is_hastened_may_be_silent_for_less(below: bool) -> None:
    hastened: list[float] = []
    reply = events(ONE, TWO)
    reply.hasten = hastened.append if below else None
    disturb(reply, Fault("f", stall=20), 300, Wire.HTTP)
    assert reply.hasten is not None
    reply.hasten(0.25)
    assert (await heard(reply))[-1] == "0.25 broke: fault f: no byte of the reply came for 0.25 s"
    assert hastened == ([0.25] if below else [])


# Any other body.


BODY = json.dumps({"object": "chat.completion", "choices": []}).encode()


def in_parts(*pieces: bytes, length: int | None = None) -> Reply:
    reply = http_answer(200, b"")
    reply.length = length
    in_pieces(reply, *pieces)
    return reply


@pytest.mark.parametrize("length", [None, len(BODY)])
async def test_a_whole_body_is_cut_in_its_middle(length: int | None) -> None:
    reply = http_answer(200, BODY)
    reply.length = length
    half = BODY[: len(BODY) // 2 + len(BODY) % 2].decode()
    assert await read(reply, cut=40) == [f"0 {half}".strip(), "0 broke: fault f: cut"]
    assert (reply.whole, reply.length) == (None, len(BODY))


async def test_a_body_whose_length_is_told_is_cut_in_its_middle_too() -> None:
    assert await read(in_parts(b"12", b"3456", b"78", length=8), cut=1) == ["0 12", "0 34", "0 broke: fault f: cut"]
    assert await read(in_parts(b"1234", b"5678", length=8), cut=1) == ["0 1234", "0 broke: fault f: cut"]


async def test_one_of_unknown_length_in_its_first_part() -> None:
    assert await read(in_parts(b"", b"123", b"456"), cut=1) == ["0 12", "0 broke: fault f: cut"]


async def test_a_body_is_silent_in_its_middle() -> None:
    assert await read(in_parts(b"12", b"34"), stall=30) == ["0 1", "30 2", "30 34"]


async def test_the_first_byte_is_held_back() -> None:
    assert await read(http_answer(200, b"12"), first_token=3) == ["3 1", "3 2"]


async def test_a_spoiled_body_has_its_length_and_no_parser_takes_it() -> None:
    reply = http_answer(200, BODY)
    disturb(reply, Fault("f", malformed=True), 0.0, Wire.HTTP)
    assert reply.chunks is not None
    spoiled = b"".join([piece async for piece in reply.chunks])
    assert len(spoiled) == len(BODY)
    with pytest.raises(ValueError):
        json.loads(spoiled)


async def test_of_a_body_in_parts_the_one_behind_the_middle_is_spoiled() -> None:
    assert await read(in_parts(b"12", b"34", b"56", length=4), malformed=True) == ["0 12", "0 \xff\xff", "0 56"]


@pytest.mark.parametrize("told", [{"first_token": 1.0}, {"stall": 1.0}, {"cut": 0}, {"malformed": True}])
async def test_what_has_no_body_stays_as_it_is(told: dict[str, Any]) -> None:
    for reply in (http_answer(204, b""), http_answer(200, b"")):
        disturb(reply, Fault("f", **told), 0.0, Wire.HTTP)
        assert (reply.whole, reply.chunks) == (b"", None)


# gRPC streams.


async def test_messages_of_a_grpc_stream_are_its_events() -> None:
    def stream() -> Reply:
        reply = grpc_answer(b"")
        in_pieces(reply, b"first", b"", b"third")
        return reply

    assert await read(stream(), wire=Wire.GRPC, cut=1) == ["0 first", "0 broke: fault f: cut"]
    lines = await read(stream(), wire=Wire.GRPC, stall=3, malformed=True, cut=2)
    assert [line.strip() for line in lines] == [
        "0 first",
        f"0 {TORN_MESSAGE.decode('latin-1')}",
        "3",
        "3 broke: fault f: cut",
    ]


# What is held.


async def test_the_reply_s_connection_is_still_its_own() -> None:
    reply = http_answer(200, b"")
    closed: Closed = in_pieces(reply, ONE, TWO)
    await read(reply, cut=1)
    assert reply.closer is closed
    assert closed.times == 0, "whoever has the reply gives it back"


async def test_who_waits_can_leave() -> None:
    reply = events(ONE)
    disturb(reply, Fault("f", first_token=3600), 0.0, Wire.HTTP)
    reading = asyncio.create_task(heard(reply))
    await asyncio.sleep(1)
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()
    assert asyncio.get_running_loop().time() - START == 1


# Anything.


@given(
    pieces=st.lists(st.sampled_from([ONE, TWO, DONE, COMMENT, b"\n", b"data", b": x\r\n\r\n", b"\xff"])),
    kind=st.sampled_from([b"text/event-stream; charset=utf-8", b"application/json"]),
    length=st.none() | st.integers(0, 200),
    delays=st.tuples(st.sampled_from([0.0, 2.0]), st.sampled_from([0.0, 3.0])),
)
def test_a_body_that_is_only_delayed_is_the_same(
    pieces: list[bytes], kind: bytes, length: int | None, delays: tuple[float, float]
) -> None:
    async def play() -> bytes:
        reply = events(*pieces, kind=kind)
        reply.length = length
        disturb(reply, Fault("f", first_token=delays[0], stall=delays[1]), 0.0, Wire.HTTP)
        chunks: AsyncIterator[bytes] | None = reply.chunks
        assert chunks is not None
        return b"".join([piece async for piece in chunks])

    assert run(play()) == b"".join(pieces)


@given(cut=st.integers(0, 6), count=st.integers(0, 5))
def test_never_more_events_pass_than_the_fault_lets(cut: int, count: int) -> None:
    lines = run(read(events(*[ONE] * count), cut=cut))
    told = [line for line in lines if "broke" not in line]
    assert len(told) == min(cut, count)
    assert (lines != told) == (cut <= count)
