"""A static link: the last of a chain, which answers whatever came before."""

from __future__ import annotations

import pytest

from tests.kit.addresses import free_port
from tests.kit.running import running
from tests.kit.scripted import OK, reply, scripted

SORRY = """
[policies.default.retry]
tries = 1
[static.sorry]
status = 503
headers = { content-type = "application/json", Retry-After = "7" }
body = '{"sorry": true}'
[routes.r]
match = { path = "/*" }
chain = ["a", "static/sorry"]
[upstreams.a]
"""


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_it_answers_where_nobody_else_does(method: str) -> None:
    async with running(f'{SORRY}url = "http://127.0.0.1:{free_port()}"') as sidecar:
        answer = await sidecar.ask("/", method=method)
    assert (answer.status, answer.body) == (503, b'{"sorry": true}')
    assert answer.fields["x-sidecar-upstream"] == "static"
    assert (answer.fields["content-type"], answer.fields["retry-after"]) == ("application/json", "7")
    assert "proxy-status" not in answer.fields


@pytest.mark.parametrize("said", [reply("500 No"), reply("429 No", "Retry-After: 100")])
async def test_it_answers_over_what_another_said(said: bytes) -> None:
    async with scripted(said) as upstream, running(f'{SORRY}url = "{upstream.url}"') as sidecar:
        assert (await sidecar.ask("/")).body == b'{"sorry": true}'


@pytest.mark.parametrize("said", [OK, reply("404 No"), reply("401 No")])
async def test_an_answer_that_must_not_be_repeated_stands(said: bytes) -> None:
    async with scripted(said) as upstream, running(f'{SORRY}url = "{upstream.url}"') as sidecar:
        assert (await sidecar.ask("/")).fields["x-sidecar-upstream"] == "a"


async def test_it_answers_while_the_circuit_is_open_and_to_head_without_its_body() -> None:
    async with scripted(reply("500 No")) as upstream:
        policy = f'{SORRY}url = "{upstream.url}"\ncircuit_breaker = {{ failure_threshold = 1 }}'
        async with running(policy) as sidecar:
            await sidecar.ask("/")
            answer = await sidecar.ask("/", method="HEAD")
        assert len(upstream.requests) == 1
    assert (answer.status, answer.fields["x-sidecar-upstream"]) == (503, "static")
    assert answer.fields["content-length"] == "15"
