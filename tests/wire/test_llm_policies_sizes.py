"""What LLM calls may hold and how many there may be at once; and what passes through without being held."""

from __future__ import annotations

import json

import pytest

from sidecar.standins.llm_faults import Fault, Kind
from tests.kit.llm_raw import chat_body, chats, code_of, messages, route_of, streamed
from tests.kit.llm_stage import CLAUDE_ONLY, GPT_FIRST, GPT_ONLY, Stage, stage
from tests.kit.peer import listening
from tests.kit.running import QUICK, request, running, until
from tests.kit.scripted import reply, scripted

SLOT = "concurrency = { max = 1 }"
HELD = '[limits]\nmax_held_bytes = "16KiB"\n'


async def begin_stream(s: Stage) -> None:
    """A stream that stands still behind its first word."""
    caller = await s.sidecar.caller()
    caller.send(request("/v1/chat/completions", method="POST", body=chat_body(GPT_ONLY, stream=True)))
    assert (await caller.head()).status == 200
    await caller.reader.readuntil(b'"You"')


async def test_the_models_of_an_upstream_share_its_slots() -> None:
    async with stage(openai_keys=SLOT) as s:
        await s.openai.switch(Fault(Kind.STALL, tokens=1, delay=600))
        await begin_stream(s)
        busy = await chats(s.sidecar, "gpt-4o-mini")
        assert code_of(busy) == (503, "overloaded")
        assert "x-should-retry" not in busy.fields
        assert route_of(await chats(s.sidecar, GPT_FIRST)) == ("anthropic", "1")
        assert s.counts == (1, 1)


async def test_a_slot_is_held_until_the_stream_is_over() -> None:
    async with stage(openai_keys=SLOT) as s:
        await s.openai.switch(Fault(Kind.STALL, tokens=1, delay=600))
        await begin_stream(s)
        assert (await chats(s.sidecar, GPT_ONLY)).status == 503
        await s.sidecar.hang_up()
        await s.openai.switch(Fault())
        await until(lambda: s.openai.abandoned == 1)
        assert b"[DONE]" in await streamed(s.sidecar, GPT_ONLY)
        assert (await chats(s.sidecar, GPT_ONLY)).status == 200


async def test_a_body_that_must_be_whole_has_a_greatest_size() -> None:
    async with stage(policies=HELD) as s:
        answer = await chats(s.sidecar, GPT_ONLY, text="x" * 20_000)
        assert code_of(answer) == (413, "body_too_large")
        told = await messages(s.sidecar, CLAUDE_ONLY, text="x" * 20_000)
        assert (told.status, json.loads(told.body)["error"]["type"]) == (413, "request_too_large")
        assert s.counts == (0, 0)


async def test_and_so_it_has_when_nobody_told_it_before() -> None:
    async with stage(policies=HELD) as s:
        caller = await s.sidecar.caller()
        body = chat_body(GPT_ONLY, "x" * 20_000)
        head = request("/v1/chat/completions", "Transfer-Encoding: chunked", method="POST")
        caller.send(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        assert code_of(await caller.answer()) == (413, "body_too_large")


async def test_all_kept_bodies_together_have_one_too() -> None:
    limits = '[limits]\nreplay_total = "64KiB"\n'
    async with stage(policies=limits) as s:
        answer = await chats(s.sidecar, GPT_ONLY, text="x" * 500_000)
        assert code_of(answer) == (503, "overloaded")
        assert (await chats(s.sidecar, GPT_ONLY)).status == 200
        assert s.counts == (1, 0)


async def test_a_file_streams_through_to_the_first_upstream_and_is_not_held() -> None:
    small = '[limits]\nmax_held_bytes = "64KiB"\nreplay_total = "64KiB"\n'
    form = b"--b\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n" + b"x" * 4_000_000 + b"\r\n--b--\r\n"
    async with (
        scripted(reply("500 No", body=b"{}")) as first,
        scripted() as second,
        running(small + both(f'"{first.url}/v1"', f'"{second.url}/v1"')) as sidecar,
    ):
        kind = "Content-Type: multipart/form-data; boundary=b"
        answer = await sidecar.ask("/v1/files", kind, "Authorization: Bearer mine", method="POST", body=form)
        assert (answer.status, route_of(answer)) == (500, ("openai", "1"))
        assert first.bodies == [form]
        assert (first.fields()["authorization"], first.fields()["content-type"]) == ("Bearer sk-ours", kind[14:])
        assert second.requests == []


def both(openai: str, anthropic: str) -> str:
    """One route to both, without a retry's wait."""
    return f"""{QUICK}
[upstreams.openai]
protocol = "openai"
url = {openai}
api_key = "sk-ours"
[upstreams.claude]
protocol = "anthropic"
url = {anthropic}
api_key = "sk-ours"
[routes.llm]
match = {{ path = "/v1/*" }}
chain = ["openai", "claude"]
"""


async def test_a_path_that_nobody_knows_goes_nowhere_but_to_the_first() -> None:
    async with stage(retry="tries = 1", route="") as s:
        await s.openai.switch(Fault(Kind.STATUS, status=500))
        answer = await s.sidecar.ask("/v1/batches", method="POST", body=b"{}")
        assert (answer.status, route_of(answer), s.counts) == (500, ("openai", "1"), (1, 0))


async def test_a_websocket_is_tunnelled_with_our_key() -> None:
    async with (
        listening() as upstream,
        running(both(f'"{upstream.url}/v1"', '"http://127.0.0.1:1/v1"')) as sidecar,
    ):
        caller = await sidecar.caller()
        asked = ("Connection: Upgrade", "Upgrade: websocket", "Authorization: Bearer mine", "Sec-WebSocket-Version: 13")
        caller.send(request("/v1/realtime?model=gpt-realtime", *asked))
        peer = await upstream.accept()
        head = await peer.request()
        assert head.startswith(b"GET /v1/realtime?model=gpt-realtime HTTP/1.1\r\n")
        assert [line for line in head.split(b"\r\n") if b"authorization" in line.lower()] == [
            b"Authorization: Bearer sk-ours"
        ]
        peer.say(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
        assert (await caller.head()).status == 101
        await caller.exactly(b"hello")
        caller.send(b"session.update")
        assert await peer.receive(14) == b"session.update"
        caller.writer.write_eof()
        assert await peer.reader.read() == b""
        peer.end()
        assert await caller.ended() == b""


@pytest.mark.parametrize(
    "field", ["X-Sidecar-Timeout: 200ms", "x-stainless-read-timeout: 0.45", "x-stainless-timeout: 0.45"]
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_callers_own_time_is_kept(field: str, stream: bool) -> None:
    async with stage() as s:
        await s.openai.switch(Fault(Kind.SLOW, delay=600))
        answer = await chats(s.sidecar, GPT_FIRST, field, stream=stream)
        assert code_of(answer) == (504, "deadline_exceeded")
        assert route_of(answer) == ("openai", "1")  # it need not have got that far, where a machine pauses
        assert s.anthropic.count == 0


async def test_a_stream_that_has_begun_may_outlast_it() -> None:
    async with stage() as s:
        s.openai.pace = 0.6
        answer = await chats(s.sidecar, GPT_ONLY, "X-Sidecar-Timeout: 2s", stream=True)
        assert answer.body.endswith(b"data: [DONE]\n\n")
