"""`[faults]`: which attempts they hit, and what those above an upstream get of them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sidecar.call import Call, Facts, Reply, What, Wire
from sidecar.errors import UpstreamError
from sidecar.llm import Ask, Dialect, Kind
from sidecar.settings import FaultSettings
from sidecar.upstreams.faults import Fault, Faulty, compiled
from sidecar.upstreams.faulty_body import TORN_MESSAGE
from tests.kit.gateway import OneAttempt
from tests.kit.inner import Closed, Inner, grpc_answer, grpc_call, http_answer, http_call, in_pieces
from tests.kit.stage import Stage, a_call
from tests.kit.virtual_loop import START

pytestmark = pytest.mark.virtual_time


def fault(**keys: Any) -> Fault:
    return compiled("f", FaultSettings(**keys))


async def sent(call: Call, answer: Reply | None = None, *faults: Fault, drawn: float = 0.5) -> Reply:
    return await Faulty(Inner(answer or http_answer(200, b"ok")), faults, lambda: drawn).send(call, OneAttempt())


async def failed(call: Call, *faults: Fault, answer: Reply | None = None) -> Facts:
    with pytest.raises(UpstreamError) as caught:
        await sent(call, answer, *faults)
    return caught.value.facts


def now() -> float:
    return asyncio.get_running_loop().time() - START


# Which calls.


@pytest.mark.parametrize(
    ("match", "hits", "misses"),
    [
        ({}, ["GET /", "POST /v1/x", "OPTIONS *"], []),
        ({"path": "/v1/x"}, ["GET /v1/x"], ["GET /v1", "GET /v1/x/y", "GET /v1/x?"]),
        ({"path": "/v1/*"}, ["GET /v1", "GET /v1/x", "GET /v1/"], ["GET /v10", "GET /", "GET /v"]),
        ({"path": "/*"}, ["GET /", "GET /v1/x", "OPTIONS *"], []),
        ({"methods": ["POST", "PUT"]}, ["POST /", "PUT /"], ["GET /"]),
        ({"path": "/a", "methods": ["POST"]}, ["POST /a"], ["GET /a", "POST /b"]),
        ({"grpc": "*"}, [], ["GET /", "POST /pkg.Service/Method"]),
    ],
)
def test_http_calls_by_method_and_path(match: dict[str, Any], hits: list[str], misses: list[str]) -> None:
    wanted = fault(match=match, delay=1)

    def asked(line: str) -> Call:
        method, _, path = line.encode().partition(b" ")
        call = a_call(method, b"/")
        call.path = path
        return call

    assert [line for line in hits + misses if wanted.hits(asked(line))] == hits


@pytest.mark.parametrize(("host", "hit"), [(b"Shop.Local:7070", True), (b"shop.local", True), (b"x.local", False)])
def test_http_calls_by_host(host: bytes, hit: bool) -> None:
    assert fault(match={"host": "shop.local"}, delay=1).hits(a_call(host=host)) is hit


@pytest.mark.parametrize(
    ("headers", "hit"),
    [({}, False), ({b"x-chaos": b"on"}, False), ({b"x-chaos": b"off", b"x-who": b"a"}, False),
     ({b"x-chaos": b"on", b"x-who": b"anyone"}, True)],
)  # fmt: skip
@pytest.mark.parametrize("wire", list(Wire))
def test_calls_by_header(headers: dict[bytes, bytes], hit: bool, wire: Wire) -> None:
    call = a_call(fields=headers)
    call.wire = wire
    assert fault(match={"headers": {"X-Chaos": "on", "X-Who": "*"}}, delay=1).hits(call) is hit


@pytest.mark.parametrize(
    ("match", "hits"),
    [
        ({}, ["a.S/M", "a.S/N", "b.S/M"]),
        ({"grpc": "a.S/M"}, ["a.S/M"]),
        ({"grpc": "a.S/*"}, ["a.S/M", "a.S/N"]),
        ({"grpc": "*"}, ["a.S/M", "a.S/N", "b.S/M"]),
        ({"path": "/*"}, []),
        ({"methods": ["POST"]}, []),
        ({"host": "shop.local"}, []),
    ],
)
def test_grpc_calls_by_their_method(match: dict[str, Any], hits: list[str]) -> None:
    wanted = fault(match=match, delay=1)
    methods = ["a.S/M", "a.S/N", "b.S/M"]
    assert [method for method in methods if wanted.hits(grpc_call(b"", method=b"/" + method.encode()))] == hits


@pytest.mark.parametrize(
    ("percent", "drawn", "hit"), [(100, 0.999, True), (0, 0.0, False), (10, 0.09, True), (10, 0.1, False)]
)
async def test_a_share_of_the_attempts(percent: float, drawn: float, hit: bool) -> None:
    reply = await sent(a_call(), None, fault(percent=percent, status=503), drawn=drawn)
    assert (reply.status == 503) is hit


async def test_each_attempt_is_drawn_for_anew() -> None:
    dice = iter([0.05, 0.5, 0.05])
    upstream = Faulty(Inner(http_answer(200, b"ok")), [fault(percent=10, status=500)], lambda: next(dice))
    call = a_call()
    assert [(await upstream.send(call, OneAttempt())).status for _ in range(3)] == [500, 200, 500]


async def test_a_call_that_no_fault_hits_is_sent_as_it_came() -> None:
    inner, call, attempt = Inner(answer := http_answer(200, b"ok")), a_call(path=b"/other"), OneAttempt()
    upstream = Faulty(inner, [fault(match={"path": "/v1/*"}, malformed=True)], lambda: 0.0)
    assert await upstream.send(call, attempt) is answer
    assert (inner.calls, inner.attempts, answer.whole) == ([call], [attempt], b"ok")


async def test_what_it_stands_around_is_closed_with_it() -> None:
    inner = Inner(None)
    await Faulty(inner, [], lambda: 0.0).aclose()
    assert inner.closed


# Before the reply.


async def test_a_delay_comes_before_the_sending() -> None:
    inner = Inner(http_answer(200, b"ok"))
    sending = asyncio.create_task(_send(Faulty(inner, [fault(delay=3)], lambda: 0.0), a_call()))
    await asyncio.sleep(2)
    assert inner.calls == []
    assert (await sending).whole == b"ok"
    assert now() == 3


async def test_who_waits_for_a_delay_can_leave() -> None:
    inner = Inner(http_answer(200, b"ok"))
    sending = asyncio.create_task(_send(Faulty(inner, [fault(delay=3600)], lambda: 0.0), a_call()))
    await asyncio.sleep(1)
    sending.cancel()
    await asyncio.wait([sending])
    assert (sending.cancelled(), inner.calls, now()) == (True, [], 1)


async def _send(upstream: Faulty, call: Call) -> Reply:
    return await upstream.send(call, OneAttempt())


async def test_a_reset_is_one_before_the_reply() -> None:
    facts = await failed(a_call(), fault(reset=True))
    assert (facts.what, facts.detail) == (What.RESET, "fault f: reset")


async def test_a_status_is_answered_without_asking() -> None:
    inner = Inner(None)
    reply = await Faulty(inner, [fault(status=503)], lambda: 0.0).send(a_call(), OneAttempt())
    assert inner.calls == []
    assert (reply.status, reply.facts) == (503, Facts(What.REPLY, status=503))
    assert reply.headers == [(b"Content-Type", b"application/json")]
    assert json.loads(reply.whole or b"") == {"error": {"type": "fault", "message": "fault f"}}


@pytest.mark.parametrize(("status", "body"), [(200, b'{"fault": "f"}'), (204, b""), (304, b"")])
async def test_a_status_that_is_no_error(status: int, body: bytes) -> None:
    reply = await sent(a_call(), None, fault(status=status))
    assert (reply.status, reply.whole) == (status, body)


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "INTERNAL"), (401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED"), (404, "UNIMPLEMENTED"),
     (429, "UNAVAILABLE"), (502, "UNAVAILABLE"), (503, "UNAVAILABLE"), (504, "UNAVAILABLE"),
     (500, "UNKNOWN"), (200, "UNKNOWN")],
)  # fmt: skip
async def test_over_grpc_a_status_is_the_code_that_clients_make_of_it(status: int, code: str) -> None:
    reply = await sent(grpc_call(b"x"), None, fault(status=status))
    assert (reply.code, reply.message, reply.whole, reply.chunks) == (code, "fault f", None, None)
    assert reply.facts == Facts(What.REPLY, status=200, grpc_code=code, detail="fault f")


def test_an_llm_s_status_is_an_error_of_its_dialect() -> None:
    def body_of(dialect: Dialect, kind: Kind, status: int) -> Any:
        call = http_call(b"{}")
        call.llm = Ask(dialect, kind, b"/x")
        reply = asyncio.run(sent(call, None, fault(status=status)))
        assert reply.status == status
        return json.loads(reply.whole or b"")

    assert body_of(Dialect.OPENAI, Kind.CHAT, 429)["error"]["code"] == "rate_limit_exceeded"
    anthropics = body_of(Dialect.ANTHROPIC, Kind.MESSAGES, 529)
    assert (anthropics["type"], anthropics["error"]["type"]) == ("error", "overloaded_error")
    assert anthropics["error"]["message"] == "fault f"
    assert body_of(Dialect.OPENAI, Kind.CHAT, 200) == {"fault": "f"}


async def test_faults_add_up_until_one_answers() -> None:
    slow, refusing, never = fault(delay=2), fault(delay=1, status=500), fault(delay=100, reset=True)
    assert (await sent(a_call(), None, slow, refusing, never)).status == 500
    assert now() == 3


# The reply.


async def test_the_body_is_disturbed_and_the_head_is_not() -> None:
    answer = http_answer(200, b"1234", (b"A", b"1"))
    reply = await sent(a_call(), answer, fault(delay=1), fault(first_token=2), fault(cut_after_tokens=9))
    assert (now(), reply.status, reply.facts.status, reply.headers[-1]) == (1, 200, 200, (b"A", b"1"))
    assert reply.chunks is not None
    assert await anext(reply.chunks) == b"12"
    assert now() == 3
    with pytest.raises(UpstreamError, match="cut"):
        await anext(reply.chunks)


async def test_an_upstream_that_fails_by_itself_does() -> None:
    own = UpstreamError(Facts(What.NO_CONNECTION))
    with pytest.raises(UpstreamError) as caught:
        await Faulty(Inner(own), [fault(stall=1)], lambda: 0.0).send(a_call(), OneAttempt())
    assert caught.value is own


async def test_a_silence_is_no_longer_than_the_upstream_is_allowed() -> None:
    upstream = Faulty(Inner(http_answer(200, b"1234")), [fault(first_token=60)], lambda: 0.0, idle=5)
    reply = await upstream.send(a_call(), OneAttempt())
    assert reply.chunks is not None
    with pytest.raises(UpstreamError, match="no byte of the reply came for 5 s"):
        await anext(reply.chunks)
    assert now() == 5


async def test_a_unary_answer_is_late() -> None:
    reply = await sent(grpc_call(b"x"), grpc_answer(b"yes"), fault(first_token=2, stall=3))
    assert (now(), reply.whole, reply.code) == (5, b"yes", "OK")


async def test_a_unary_answer_that_is_cut_never_came() -> None:
    facts = await failed(grpc_call(b"x"), fault(cut_after_tokens=3), answer=grpc_answer(b"yes"))
    assert facts.what is What.RESET


async def test_what_a_unary_answer_holds_is_given_back_when_it_never_comes() -> None:
    answer = grpc_answer(b"yes")
    answer.closer = closed = Closed()
    await failed(grpc_call(b"x"), fault(cut_after_tokens=3), answer=answer)
    assert closed.times == 1
    answer.closer = closed
    waiting = asyncio.create_task(sent(grpc_call(b"x"), answer, fault(stall=3)))
    await asyncio.sleep(1)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert closed.times == 2


async def test_a_unary_answer_is_spoiled() -> None:
    assert (await sent(grpc_call(b"x"), grpc_answer(b"yes"), fault(malformed=True))).whole == TORN_MESSAGE


async def test_a_grpc_stream_breaks() -> None:
    answer = grpc_answer(b"")
    in_pieces(answer, b"one", b"two")
    reply = await sent(grpc_call(b"x"), answer, fault(cut_after_tokens=1))
    assert reply.chunks is not None
    assert await anext(reply.chunks) == b"one"
    with pytest.raises(UpstreamError):
        await anext(reply.chunks)


# Under the engine.


async def test_the_engine_meets_them_as_if_the_upstream_had_made_them() -> None:
    stage = Stage()
    first, second = stage.target("a", tries=1, breaker={"failure_threshold": 2}), stage.target("b")
    first.service.upstream = Faulty(first.service.upstream, [fault(match={"path": "/v1/*"}, status=503)], lambda: 0.0)
    stage.route(first, second)
    answers = [await stage.call(path=b"/v1/x") for _ in range(3)]
    assert {answer.body for answer in answers} == {b"b says 200"}
    assert (await stage.call(path=b"/v1/x")).call.attempts == 1, "a's circuit is open"
    assert "0 > a" not in stage.lines, "nothing was sent"
    stage.everything_is_given_back()


async def test_an_attempt_s_time_holds_against_them() -> None:
    stage = Stage()
    first, second = stage.target("a", tries=1, attempt=2.0), stage.target("b")
    first.service.upstream = Faulty(first.service.upstream, [fault(delay=60)], lambda: 0.0)
    stage.route(first, second)
    assert (await stage.call()).body == b"b says 200"
    assert stage.now == 2
    stage.everything_is_given_back()
