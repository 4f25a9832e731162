"""How replies end and what they look like on the socket, byte for byte."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib

import pytest

from sidecar.standins.anthropic import AnthropicStandin
from sidecar.standins.llm_faults import HEALTHY, Fault, Kind
from sidecar.standins.openai import OpenAIStandin
from tests.kit.caller import PATIENCE
from tests.kit.llm_caller import Bytes, bytes_of, chat, message


async def streamed(fault: Fault = HEALTHY, text: str = "one two three four") -> Bytes:
    async with OpenAIStandin(fault=fault) as provider:
        return await bytes_of(provider, chat(text, stream=True))


async def whole(fault: Fault) -> Bytes:
    async with OpenAIStandin(fault=fault) as provider:
        return await bytes_of(provider, chat())


def texts(chunks: list[bytes]) -> list[str]:
    """The content of each event that has some."""
    found = [json.loads(chunk.removeprefix(b"data: ")) for chunk in chunks if b"[DONE]" not in chunk]
    deltas = [choice["delta"].get("content") for one in found for choice in one["choices"]]
    return [delta for delta in deltas if delta]


async def test_each_event_is_a_chunk_and_the_last_chunk_is_empty() -> None:
    told = await streamed()
    chunks, ended = told.chunks
    assert ended
    assert texts(chunks) == ["You", " said:", " one", " two", " three", " four"]
    assert chunks[-1] == b"data: [DONE]\n\n"
    assert told.field("content-type") == "text/event-stream; charset=utf-8"


@pytest.mark.both_loops
async def test_on_either_loop_it_is_written_and_broken() -> None:
    assert (await whole(HEALTHY)).field("content-type") == "application/json"
    assert (await streamed(Fault(Kind.CUT_RESET, tokens=2))).reset


async def test_a_healthy_reply_leaves_the_connection_to_the_next_request() -> None:
    async with OpenAIStandin() as provider:
        reader, writer = await asyncio.open_connection(provider.host, provider.port)
        body = json.dumps(chat(stream=True)).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        for _ in range(2):
            writer.write(head + body)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
            assert (await reader.readuntil(b"\r\n0\r\n\r\n")).count(b"data: ") == 9
        writer.close()
    assert len({seen.port for seen in provider.requests}) == 1


async def test_cut_it_closes_between_two_events() -> None:
    told = await streamed(Fault(Kind.CUT, tokens=2))
    chunks, ended = told.chunks
    assert (texts(chunks), ended, told.reset) == (["You", " said:"], False, False)
    assert told.body.endswith(b"\n\n\r\n")


async def test_cut_inside_it_closes_within_an_event() -> None:
    told = await streamed(Fault(Kind.CUT_INSIDE, tokens=2))
    chunks, ended = told.chunks
    assert (texts(chunks), ended, told.reset) == (["You", " said:"], False, False)
    torn = told.body.rpartition(b"\r\n")[2]
    assert torn.startswith(b"data: {")
    assert b"\n" not in torn


async def test_cut_with_a_reset_it_sends_what_it_had() -> None:
    told = await streamed(Fault(Kind.CUT_RESET, tokens=1))
    assert told.reset
    assert texts(told.chunks[0]) == ["You"]


async def test_cut_before_the_first_token_the_quiet_events_have_come() -> None:
    chunks, ended = (await streamed(Fault(Kind.CUT, tokens=0))).chunks
    assert (len(chunks), texts(chunks), ended) == (1, [], False)


async def test_cut_after_more_tokens_than_there_are_it_ends_without_the_empty_chunk() -> None:
    chunks, ended = (await streamed(Fault(Kind.CUT, tokens=99))).chunks
    assert (chunks[-1], ended) == (b"data: [DONE]\n\n", False)


async def test_half_closed_it_hears_its_caller_leave() -> None:
    async with OpenAIStandin(fault=Fault(Kind.HALF_CLOSED, tokens=1)) as provider:
        told = await bytes_of(provider, chat(stream=True))
        assert (texts(told.chunks[0]), told.chunks[1]) == (["You"], False)
        async with asyncio.timeout(PATIENCE):
            await provider.left.wait()
    assert provider.abandoned == 1


async def test_without_its_final_chunk_a_stream_is_otherwise_whole() -> None:
    chunks, ended = (await streamed(Fault(Kind.NO_FINAL_CHUNK))).chunks
    assert (chunks[-1], ended) == (b"data: [DONE]\n\n", False)


@pytest.mark.parametrize("kind", [Kind.RESET, Kind.CLOSE])
async def test_there_may_be_no_reply_at_all(kind: Kind) -> None:
    told = await whole(Fault(kind))
    assert (told.head, told.body, told.reset) == (b"", b"", kind is Kind.RESET)


async def test_there_may_be_no_http_at_all() -> None:
    assert (await whole(Fault(Kind.GARBAGE))).head.startswith(b"\x00\x01\x02")


@pytest.mark.parametrize(("kind", "reset"), [(Kind.CUT, False), (Kind.CUT_INSIDE, False), (Kind.CUT_RESET, True)])
async def test_a_whole_answer_is_cut_in_its_middle(kind: Kind, reset: bool) -> None:
    told = await whole(Fault(kind))
    assert len(told.body) == int(told.field("content-length")) // 2
    assert told.reset is reset


async def test_it_may_promise_more_than_it_sends() -> None:
    told = await whole(Fault(Kind.SHORT, size=7))
    assert int(told.field("content-length")) == len(told.body) + 7


async def test_it_may_send_more_than_it_promised() -> None:
    told = await whole(Fault(Kind.LONG))
    assert int(told.field("content-length")) < len(told.body)
    assert json.loads(told.body)["object"] == "chat.completion"


async def test_a_whole_answer_may_be_no_json() -> None:
    told = await whole(Fault(Kind.MALFORMED))
    assert (told.status, told.body) == (200, b'{"broken": ')


async def test_it_may_answer_nothing() -> None:
    assert (await whole(Fault(Kind.EMPTY))).body == b""
    assert (await streamed(Fault(Kind.EMPTY))).body == b"0\r\n\r\n"


async def test_it_may_compress_what_nobody_asked_for() -> None:
    told = await whole(Fault(Kind.GZIP))
    assert told.field("content-encoding") == "gzip"
    assert json.loads(gzip.decompress(told.body))["object"] == "chat.completion"
    chunks, ended = (await streamed(Fault(Kind.GZIP))).chunks
    press = zlib.decompressobj(wbits=31)
    assert press.decompress(chunks[0]).endswith(b"\n\n"), "each event can be read when it has come"
    assert ended


async def test_events_may_come_in_any_pieces() -> None:
    told = await streamed(Fault(Kind.DRIBBLE, size=7))
    chunks, _ = told.chunks
    assert max(map(len, chunks)) == 7
    assert b"".join(chunks).endswith(b"data: [DONE]\n\n")


async def test_a_stream_may_begin_with_a_byte_order_mark() -> None:
    assert (await streamed(Fault(Kind.BOM))).chunks[0][0] == b"\xef\xbb\xbf"


async def test_lines_may_end_as_in_http_and_comments_may_stand_between() -> None:
    async with AnthropicStandin(fault=Fault(Kind.CRLF)) as provider:
        text = b"".join((await bytes_of(provider, message(stream=True))).chunks[0])
        assert text.startswith(b"event: message_start\r\ndata: {")
        assert text.count(b"\n") == text.count(b"\r\n")
        await provider.switch(Fault(Kind.COMMENTS))
        text = b"".join((await bytes_of(provider, message(stream=True))).chunks[0])
    assert text.startswith(b": keep-alive\n\n:\n\nevent: message_start\n")


async def test_data_may_stand_on_several_lines() -> None:
    first = (await streamed(Fault(Kind.LINES))).chunks[0][0]
    lines = first.removesuffix(b"\n\n").split(b"\n")
    assert all(line.startswith(b"data:") for line in lines)
    assert json.loads(b"\n".join(line.removeprefix(b"data:") for line in lines))["object"] == "chat.completion.chunk"


async def test_one_token_may_be_huge_and_a_slow_reader_gets_all_of_it() -> None:
    chunks, ended = (await streamed(Fault(Kind.HUGE, size=5_000_000))).chunks
    assert ended
    assert max(map(len, texts(chunks))) == 5_000_000


@pytest.mark.parametrize("kind", [Kind.SLOW, Kind.FIRST_TOKEN, Kind.STALL])
@pytest.mark.parametrize("stream", [True, False])
async def test_it_may_take_its_time_and_answers_well_in_the_end(kind: Kind, stream: bool) -> None:
    async with OpenAIStandin(fault=Fault(kind, delay=0.05)) as provider:
        began = asyncio.get_running_loop().time()
        told = await bytes_of(provider, chat(stream=stream))
    assert asyncio.get_running_loop().time() - began >= 0.045
    assert b"four" in told.body


async def test_before_the_first_token_head_and_quiet_events_have_come() -> None:
    async with AnthropicStandin(fault=Fault(Kind.FIRST_TOKEN, delay=3600)) as provider:
        body = json.dumps(message(stream=True)).encode()
        reader, writer = await asyncio.open_connection(provider.host, provider.port)
        head = f"POST /v1/messages HTTP/1.1\r\nHost: a\r\nanthropic-version: 2023-06-01\r\nContent-Length: {len(body)}"
        writer.write(head.encode() + b"\r\n\r\n" + body)
        async with asyncio.timeout(PATIENCE):
            came = await reader.readuntil(b"event: ping\ndata: {")
            writer.close()
            await provider.left.wait()
    assert b"content_block_start" in came
    assert b"content_block_delta" not in came


async def test_without_done_and_open_it_waits_for_its_caller_to_leave() -> None:
    async with OpenAIStandin(fault=Fault(Kind.NO_DONE_OPEN)) as provider:
        reader, writer = await asyncio.open_connection(provider.host, provider.port)
        body = json.dumps(chat(stream=True)).encode()
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        async with asyncio.timeout(PATIENCE):
            await reader.readuntil(b'"finish_reason":"stop"')
            writer.close()
            await provider.left.wait()


async def test_it_has_a_pace() -> None:
    async with OpenAIStandin(pace=0.01) as provider:
        began = asyncio.get_running_loop().time()
        await bytes_of(provider, chat(stream=True))
    assert asyncio.get_running_loop().time() - began >= 0.05


async def test_who_waits_for_leave_gets_it() -> None:
    async with OpenAIStandin() as provider:
        told = await bytes_of(provider, chat(), fields={"Expect": "100-continue"})
    assert told.head == b"HTTP/1.1 100 Continue"
    assert told.body.startswith(b"HTTP/1.1 200 OK")
