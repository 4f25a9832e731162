"""`POST /explain` of a running sidecar: by what is live, and how each target is at this moment."""

from __future__ import annotations

from typing import Any

import aiohttp

from tests.kit.explained import chain
from tests.kit.running import QUICK, Running, one, running
from tests.kit.scripted import OK, reply, scripted

LISTEN = '[listen]\nhttp = "127.0.0.1:0"\ngrpc = ""\nadmin = "127.0.0.1:0"\n'
NOWHERE = "http://127.0.0.1:1"

LLM = f"""
{LISTEN}
[upstreams.openai]
protocol = "openai"
url = "{NOWHERE}/v1"
api_key = "0urs"
[upstreams.anthropic]
protocol = "anthropic"
url = "{NOWHERE}/v1"
circuit_breaker = false
[routes.llm]
match = {{ path = "/v1/*" }}
traffic = [{{ upstream = "openai", weight = 1 }}, {{ upstream = "anthropic", weight = 1 }}]
[models.smart]
chain = ["anthropic/claude", "openai/gpt-4o", "static/sorry"]
[static.sorry]
"""


async def explain(sidecar: Running, status: int = 200, **asked: Any) -> Any:
    async with aiohttp.ClientSession(sidecar.admin) as admin, admin.post("/explain", json=asked) as answer:
        assert answer.status == status
        return await answer.json()


async def test_a_target_as_it_is_now() -> None:
    async with scripted(OK, reply("429 No", "Retry-After: 100")) as upstream:
        quiet = 'max_retry_after = "0s"\npatience = "0s"\n'
        async with running(one(upstream.url, more=LISTEN + QUICK + quiet)) as sidecar:
            await sidecar.ask("/")
            before = await explain(sidecar, method="GET", path="/")
            await sidecar.ask("/")
            after = await explain(sidecar, method="GET", path="/")
    (target,) = before["targets"]
    assert target["now"] == {"ready": True, "circuit_breaker": "closed", "rests": 0.0, "why": None}
    now = after["targets"][0]["now"]
    assert (now["ready"], now["why"]) == (False, "throttled")
    assert 90 < now["rests"] <= 100
    assert (before["generation"], before["hash"]) == (1, after["hash"])
    assert before["route"]["name"] == "r"
    assert target["urls"] == [upstream.url]


async def test_an_open_breaker_is_told() -> None:
    async with running(LLM) as sidecar:
        async with aiohttp.ClientSession(sidecar.admin) as admin:
            await admin.post("/circuit-breakers/openai%2Fgpt-4o/open")
        told = await explain(sidecar, method="post", path="/v1/chat/completions", model="smart")
        by_route = await explain(sidecar, method="POST", path="/v1/chat/completions", model="gpt-4o")
        tied = await explain(sidecar, method="POST", path="/v1/files")
        models = await explain(sidecar, method="GET", path="/v1/models")
    assert chain(told) == ["(anthropic/claude)", "openai/gpt-4o", "static/sorry"]
    assert [one["now"]["ready"] for one in told["targets"]] == [False, False, True]
    assert [one["now"]["circuit_breaker"] for one in told["targets"]] == [None, "open", None]
    assert [one["now"]["circuit_breaker"] for one in by_route["targets"]] == ["open", None]
    assert [one["now"]["circuit_breaker"] for one in tied["targets"]] == ["closed", None]
    assert (models["chain"]["by"], models["targets"]) == ("list", [])


async def test_what_would_be_refused_and_what_is_no_request() -> None:
    async with running(one(NOWHERE, more=LISTEN, path="/a")) as sidecar:
        refused = await explain(sidecar, method="GET", url="http://localhost/b", headers={"X": "1"})
        wrong = await explain(sidecar, status=400, method="GET", path="b")
        header = await explain(sidecar, status=400, method="GET", path="/", headers={"a b": "c"})
    assert refused["refusal"] == {
        "status": 404,
        "code": "no_route",
        "type": "not_found",
        "message": "no route matches GET /b",
    }
    assert wrong["error"]["message"] == "'b' is neither a path nor an http URL (did you mean '/b'?)"
    assert header["error"]["message"] == "'a b' is not the name of a header"


async def test_after_a_reload_the_new_file_is_explained() -> None:
    policy = one(NOWHERE, more=LISTEN, route='deadline = "7s"')
    async with running(policy) as sidecar:
        before = await explain(sidecar, method="GET", path="/")
        sidecar.file.write_text(f"# a line more\n{policy}".replace("7s", "9s"))
        async with aiohttp.ClientSession(sidecar.admin) as admin, admin.post("/reload") as answer:
            assert answer.status == 200
        after = await explain(sidecar, method="GET", path="/")
    deadlines = [told["policy"]["deadline"] for told in (before, after)]
    assert [one["value"] for one in deadlines] == [7.0, 9.0]
    assert deadlines[1]["line"] == deadlines[0]["line"] + 1
    assert (before["generation"], after["generation"]) == (1, 2)
