"""`GET /models`: what the file names, and what the providers list, as far as they do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from sidecar.body import Body
from sidecar.call import Facts, Reply, What
from sidecar.errors import CallerLeft, UpstreamError
from sidecar.llm import Ask, Dialect, Kind
from sidecar.upstreams.models_list import MOST, PAGES, ModelsList
from tests.kit.gateway import OneAttempt
from tests.kit.inner import Inner, http_answer, in_pieces, still_coming
from tests.kit.stage import a_call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidecar.call import Call, Header

OPENAI, ANTHROPIC = Dialect.OPENAI, Dialect.ANTHROPIC
FAILED = UpstreamError(Facts(What.NO_CONNECTION, detail="refused"))


def gpt(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1, "owned_by": "openai"}


def claude(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name.title(), "created_at": "1970-01-01T00:00:02Z",
            "lifecycle": "active"}  # fmt: skip


def listing(*entries: dict[str, Any], more: bool = False) -> Reply:
    document: dict[str, Any] = {"data": entries}
    if more:
        document |= {"has_more": True, "last_id": entries[-1]["id"]}
    return http_answer(200, orjson.dumps(document))


def question(
    path: bytes = b"/models",
    query: bytes = b"",
    dialect: Dialect = OPENAI,
    method: bytes = b"GET",
    headers: Sequence[Header] = (),
) -> Call:
    fields = {name.lower(): value for name, value in headers}
    call = a_call(method, b"/v1" + path + query, headers=list(headers), fields=fields)
    call.llm = Ask(dialect, Kind.MODELS, path, query)
    return call


async def ask(names: Sequence[str], call: Call, **providers: Inner) -> Reply:
    return await ModelsList(names, providers).send(call, OneAttempt())


async def ids(names: Sequence[str], call: Call, **providers: Inner) -> list[str]:
    reply = await ask(names, call, **providers)
    assert (reply.status, reply.facts.status, reply.closer) == (200, 200, None)
    assert reply.whole is not None
    return [entry["id"] for entry in orjson.loads(reply.whole)["data"]]


async def test_the_files_models_stand_before_those_of_the_providers_and_none_stands_twice() -> None:
    one, other = Inner(listing(gpt("gpt-4o"), gpt("smart"))), Inner(listing(claude("claude"), claude("gpt-4o")))
    assert await ids(["smart", "fast"], question(), one=one, other=other) == ["smart", "fast", "gpt-4o", "claude"]


async def test_a_body_beside_the_question_is_nobodys() -> None:
    call, one, other = question(), Inner(listing(gpt("gpt-4o"))), Inner(listing(claude("claude")))
    call.body = still_coming(Body, b"{}")
    call.expects_continue = True
    assert await ids([], call, one=one, other=other) == ["gpt-4o", "claude"]
    assert [(inner.call.body.whole, inner.call.expects_continue) for inner in (one, other)] == [(b"", False)] * 2


async def test_openais_clients_get_openais_list() -> None:
    reply = await ask(["smart"], question(), a=Inner(listing(gpt("gpt-4o"))), b=Inner(listing(claude("claude"))))
    assert reply.headers == [(b"Content-Type", b"application/json")]
    assert orjson.loads(reply.whole or b"") == {
        "object": "list",
        "data": [
            {"id": "smart", "object": "model", "created": 0, "owned_by": "sidecar"},
            gpt("gpt-4o"),
            {"id": "claude", "object": "model", "created": 2, "owned_by": "b"},
        ],
    }


async def test_anthropics_clients_get_anthropics() -> None:
    reply = await ask([], question(dialect=ANTHROPIC), a=Inner(listing(gpt("gpt-4o"))), b=Inner(listing(claude("c"))))
    found = orjson.loads(reply.whole or b"")
    assert [entry["type"] for entry in found["data"]] == ["model", "model"]
    assert (found["data"][1], found["has_more"]) == (claude("c"), False)
    assert (found["first_id"], found["last_id"]) == ("gpt-4o", "c")


async def test_a_page_is_cut_from_the_whole_list() -> None:
    call = question(query=b"?limit=1&after_id=smart", dialect=ANTHROPIC)
    inner = Inner(listing(claude("a"), claude("b")))
    assert await ids(["smart"], call, a=inner) == ["a"]
    assert inner.call.llm is not None
    assert inner.call.llm.query == b""


async def test_a_provider_that_has_pages_is_asked_for_the_next_ones() -> None:
    inner = Inner(listing(claude("a"), more=True), listing(claude("b"), more=True), listing(claude("c")))
    assert await ids([], question(), a=inner) == ["a", "b", "c"]
    assert [call.llm.query for call in inner.calls if call.llm is not None] == [
        b"",
        b"?limit=1000&after_id=a",
        b"?limit=1000&after_id=b",
    ]


async def test_pages_without_end_are_not_followed_for_ever() -> None:
    same = Inner(listing(claude("a"), more=True))
    assert await ids([], question(), a=same) == ["a"]
    assert len(same.calls) == 2
    new = Inner(*[listing(claude(str(number)), more=True) for number in range(20)])
    assert await ids([], question(), a=new) == [str(number) for number in range(PAGES)]


async def test_what_came_before_a_page_that_failed_counts() -> None:
    assert await ids([], question(), a=Inner(listing(claude("a"), more=True), FAILED)) == ["a"]
    assert await ids([], question(), a=Inner(listing(claude("a"), more=True), http_answer(500, b""))) == ["a"]


def cut() -> Reply:
    reply = http_answer(200, b"")
    in_pieces(reply, b'{"data": [', UpstreamError(Facts(What.BROKE)))
    return reply


def endless() -> Reply:
    reply = http_answer(200, b"")
    in_pieces(reply, *([b" " * 65536] * (MOST // 65536 + 1)))
    return reply


@pytest.mark.parametrize(
    "answer",
    [
        FAILED,
        http_answer(401, b'{"error": {}}'),
        http_answer(200, b"<html>"),
        http_answer(200, b'{"data": 3}'),
        http_answer(304, b""),
        cut(),
        endless(),
    ],
)
async def test_a_provider_that_gives_no_list_is_left_out(answer: Reply | Exception) -> None:
    assert await ids([], question(), bad=Inner(answer), good=Inner(listing(gpt("a")))) == ["a"]
    assert await ids(["smart"], question(), bad=Inner(answer)) == ["smart"]


async def test_a_list_of_none_is_a_list() -> None:
    assert await ids([], question(), a=Inner(listing())) == []


async def test_what_an_answer_holds_is_given_back() -> None:
    long, whole = endless(), listing(gpt("a"))
    closed = in_pieces(whole, whole.whole)
    assert await ids([], question(), long=Inner(long), a=Inner(whole)) == ["a"]
    assert (long.closer, whole.closer, closed.times) == (None, None, 1)


@pytest.mark.virtual_time
async def test_a_provider_that_is_silent_keeps_the_others_models_from_nobody() -> None:
    loop = asyncio.get_running_loop()
    began, stalled = loop.time(), http_answer(200, b"")
    closed = in_pieces(stalled, b"{", None)
    assert await ids([], question(), a=Inner(None), b=Inner(stalled), c=Inner(listing(gpt("a")))) == ["a"]
    assert loop.time() - began == pytest.approx(20.0)
    assert closed.times == 1
    with pytest.raises(UpstreamError, match="within 10 s"):
        await ask([], question(), a=Inner(None))


async def test_without_models_of_the_file_the_only_providers_own_refusal_is_the_answer() -> None:
    refusal = http_answer(401, b'{"error": {"message": "no key"}}', wait=3.0)
    assert await ask([], question(), a=Inner(refusal)) is refusal
    with pytest.raises(UpstreamError) as caught:
        await ask([], question(), a=Inner(FAILED))
    assert caught.value is FAILED


async def test_of_several_refusals_the_first_is_told() -> None:
    first, second = http_answer(429, b"{}"), http_answer(500, b"{}")
    assert await ask([], question(), a=Inner(FAILED), b=Inner(first), c=Inner(second)) is first


async def test_a_caller_who_left_is_no_providers_failure() -> None:
    with pytest.raises(CallerLeft):
        await ask(["smart"], question(), a=Inner(CallerLeft("gone")))


@pytest.mark.parametrize("path", [b"/models/org%2Fsmart", b"/models/org/smart"])
async def test_a_model_of_the_file_is_told_without_asking_anybody(path: bytes) -> None:
    inner = Inner(None)
    reply = await ask(["org/smart"], question(path), a=inner)
    assert orjson.loads(reply.whole or b"") == {"id": "org/smart", "object": "model", "created": 0,
                                                "owned_by": "sidecar"}  # fmt: skip
    reply = await ask(["org/smart"], question(path, dialect=ANTHROPIC), a=inner)
    assert orjson.loads(reply.whole or b"")["display_name"] == "org/smart"
    assert inner.calls == []


async def test_another_model_is_told_by_the_provider_that_knows_it() -> None:
    nobody, known = http_answer(404, b'{"error": {}}'), http_answer(200, orjson.dumps(gpt("gpt-4o")))
    knows, unasked = Inner(known), Inner(None)
    call = question(b"/models/gpt-4o", b"?x=1")
    assert await ask(["smart"], call, a=Inner(nobody), b=Inner(FAILED), c=knows, d=unasked) is known
    assert unasked.calls == []
    assert knows.call.llm is not None
    assert (knows.call.llm.path, knows.call.llm.query) == (b"/models/gpt-4o", b"?x=1")


async def test_it_is_told_in_the_callers_dialect() -> None:
    inner = Inner(http_answer(200, orjson.dumps(claude("claude"))))
    reply = await ask([], question(b"/models/claude"), anthropic=inner)
    assert orjson.loads(reply.whole or b"") == {"id": "claude", "object": "model", "created": 2,
                                                "owned_by": "anthropic"}  # fmt: skip


async def test_a_model_that_nobody_knows_is_not_found() -> None:
    missing = http_answer(404, b'{"error": {}}')
    answers = (Inner(http_answer(401, b"{}")), Inner(http_answer(200, b"<html>")), Inner(missing))
    assert await ask([], question(b"/models/x"), a=answers[0], b=answers[1], c=answers[2]) is missing
    with pytest.raises(UpstreamError, match="refused"):
        await ask(["smart"], question(b"/models/x"), a=Inner(FAILED))


async def test_of_a_head_the_providers_are_asked_for_their_answer() -> None:
    inner = Inner(listing(gpt("a")))
    conditions = [(b"If-None-Match", b'"x"'), (b"Range", b"bytes=0-1"), (b"X-Other", b"1")]
    assert await ids([], question(method=b"HEAD", headers=conditions), a=inner) == ["a"]
    assert (inner.call.method, inner.call.headers) == (b"GET", [(b"X-Other", b"1")])


async def test_closing_it_leaves_the_providers_open() -> None:
    inner = Inner(None)
    await ModelsList((), {"a": inner}).aclose()
    assert not inner.closed
