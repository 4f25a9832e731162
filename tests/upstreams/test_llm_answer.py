"""A whole answer: read to its end or left as it was, and said anew with a head that fits it."""

from __future__ import annotations

import contextlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.call import Facts, Reply, What
from sidecar.dialects.ask import read_ask
from sidecar.errors import UpstreamError
from sidecar.llm import Dialect, LlmOptions
from sidecar.upstreams.llm_answer import answered, read_whole, rewritten_head
from sidecar.upstreams.llm_request import Model, Provider
from tests.kit.inner import http_answer, in_pieces
from tests.kit.messages import anything, bent, message, text
from tests.kit.providers import asks, completion

PATHS = [b"/v1/chat/completions", b"/v1/messages", b"/v1/responses", b"/v1/embeddings"]


async def test_a_body_in_pieces_is_kept_whole_and_its_connection_given_back() -> None:
    reply = http_answer(200, b"")
    closed = in_pieces(reply, b"one ", b"two")
    assert await read_whole(reply, 7) == b"one two"
    assert (reply.whole, reply.chunks, reply.closer, closed.times) == (b"one two", None, None, 1)


async def test_a_longer_one_is_as_it_was() -> None:
    reply = http_answer(200, b"")
    closed = in_pieces(reply, b"one ", b"two ", b"three")
    assert await read_whole(reply, 6) is None
    assert reply.chunks is not None
    assert [piece async for piece in reply.chunks] == [b"one ", b"two ", b"three"]
    assert closed.times == 0
    assert await read_whole(http_answer(200, b"0123456"), 6) is None


async def test_one_that_has_none_is_empty() -> None:
    reply = Reply(200, b"", [], Facts(What.REPLY, status=200), {})
    assert await read_whole(reply, 6) == b""


async def test_one_that_is_cut_was_no_evidence() -> None:
    reply = http_answer(200, b"")
    closed = in_pieces(reply, b"one", UpstreamError(Facts(What.BROKE, detail="cut")))
    with pytest.raises(UpstreamError) as caught:
        await read_whole(reply, 99)
    assert (caught.value.facts, closed.times) == (Facts(What.RESET, detail="cut"), 1)


async def test_a_crash_on_the_way_gives_the_connection_back() -> None:
    reply = http_answer(200, b"")
    closed = in_pieces(reply, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await read_whole(reply, 99)
    assert closed.times == 1


@pytest.mark.parametrize(
    ("dialect", "theirs", "known"),
    [(Dialect.OPENAI, b"request-id", b"x-request-id"), (Dialect.ANTHROPIC, b"X-Request-ID", b"request-id")],
)
def test_an_answer_said_anew_has_a_head_of_its_own(dialect: Dialect, theirs: bytes, known: bytes) -> None:
    of_bytes = [(b"Content-Encoding", b"br"), (b"ETag", b"1"), (b"Content-Length", b"9")]
    reply = http_answer(200, b"", (theirs, b"req_1"), (b"Retry-After", b"1"), *of_bytes)
    rewritten_head(reply, dialect, b"text/event-stream")
    assert reply.headers == [(b"Content-Type", b"text/event-stream"), (known, b"req_1"), (b"Retry-After", b"1")]
    assert reply.fields[known] == b"req_1"


@given(
    anything | bent(message(text("Hi")), completion()), st.sampled_from(PATHS), st.sampled_from(Dialect), st.booleans()
)
def test_whatever_json_it_is_it_is_an_answer_or_none(
    value: object, path: bytes, dialect: Dialect, stream: bool
) -> None:
    call = asks({"model": "m", "messages": [], "input": "?", "stream": stream}, path=path)
    ask = read_ask(call, LlmOptions())
    body = orjson.dumps(value)
    reply = http_answer(200, body)
    with contextlib.suppress(UpstreamError):
        made = answered(call, ask, reply, body, Provider(dialect, own=True), Model(), 7.0)
        assert isinstance(orjson.loads(made.whole or b""), dict)
        assert (made.facts.status, made.status >= 400) in {(200, False), (made.facts.status, made.facts.status >= 400)}


@pytest.mark.parametrize(("code", "status"), [("server_error", 500), ("rate_limit_exceeded", 429)])
def test_a_response_that_failed_is_judged_by_its_error_and_stays_as_it_came(code: str, status: int) -> None:
    call = asks(path=b"/v1/responses", input="hi")
    call.llm = read_ask(call, LlmOptions())
    body = orjson.dumps({"object": "response", "status": "failed", "error": {"code": code, "message": "no"}})
    provider = Provider(Dialect.OPENAI)
    reply = answered(call, call.llm, http_answer(200, body), body, provider, Model(), 0.0)
    assert (reply.facts.status, reply.status, reply.whole) == (status, 200, body)
