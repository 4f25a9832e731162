"""What the clients for Node raise and how often they ask again: the provider's own errors, whoever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sidecar.standins.llm_faults import Fault, Kind
from tests.kit.llm_stage import ANTHROPIC, CLAUDE_FIRST, CLAUDE_ONLY, GPT_FIRST, GPT_ONLY, OPENAI, SAID, Stage, stage
from tests.kit.node_clients import CHAT, MESSAGE, NodeGot, chat, message

if TYPE_CHECKING:
    from tests.kit.node_clients import NodeClients

ONLY = {OPENAI: GPT_ONLY, ANTHROPIC: CLAUDE_ONLY}
EACH_CLIENT = pytest.mark.parametrize("client", [OPENAI, ANTHROPIC])
EACH_PROVIDER = pytest.mark.parametrize("provider", [OPENAI, ANTHROPIC])
CLASSES = {
    400: "BadRequestError",
    401: "InternalServerError",  # our key, not the caller's
    403: "InternalServerError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    500: "InternalServerError",
    503: "InternalServerError",
    529: "InternalServerError",
}
OF_ANTHROPIC = {
    (OPENAI, 503): "OverloadedError",
    (ANTHROPIC, 503): "ServiceUnavailableError",  # its word for 503 is api_error
    (OPENAI, 529): "OverloadedError",
    (ANTHROPIC, 529): "OverloadedError",
}
"""Names that its client has beside those: all of them are an InternalServerError, too."""
ONCE = "tries = 1"


async def ask(clients: NodeClients, s: Stage, client: str, model: str, **options: Any) -> NodeGot:
    """One whole answer by that client."""
    if client == OPENAI:
        return await clients.ask(s, CHAT, chat(model), **options)
    return await clients.ask(s, MESSAGE, message(model), **options)


@EACH_CLIENT
@EACH_PROVIDER
async def test_each_status_is_the_class_that_its_client_knows(clients: NodeClients, client: str, provider: str) -> None:
    for status, kind in CLASSES.items():
        async with stage(retry=ONCE) as s:
            await s.provider(provider).switch(Fault(Kind.STATUS, status=status))
            got = await ask(clients, s, client, ONLY[provider])
            expected = OF_ANTHROPIC.get((provider, status), kind) if client == ANTHROPIC else kind
            assert (status, got.kind) == (status, expected)
            assert s.provider(provider).count == 1


@EACH_PROVIDER
async def test_openais_words_of_an_error(clients: NodeClients, provider: str) -> None:
    async with stage(retry=ONCE) as s:
        await s.provider(provider).switch(Fault(Kind.STATUS, status=429))
        got = await ask(clients, s, OPENAI, ONLY[provider])
    assert got.error is not None
    assert (got.error["code"], got.told("error-category")) == ("rate_limit_exceeded", "rate_limit")
    assert "rate limit" in got.message.lower()
    assert got.request


@EACH_PROVIDER
async def test_anthropics_words_of_an_error(clients: NodeClients, provider: str) -> None:
    async with stage(retry=ONCE) as s:
        await s.provider(provider).switch(Fault(Kind.STATUS, status=429))
        got = await ask(clients, s, ANTHROPIC, ONLY[provider])
    assert got.error is not None
    assert got.error["type"] == "rate_limit_error"
    assert "rate limit" in got.message.lower()
    assert got.request


@EACH_CLIENT
async def test_a_key_of_the_callers_own_is_theirs_to_mend(clients: NodeClients, client: str) -> None:
    keys = {f"{client}_keys": 'api_key = ""'}
    async with stage(**keys) as s:
        await s.provider(client).switch(Fault(Kind.STATUS, status=401))
        got = await ask(clients, s, client, ONLY[client])
        sent = s.provider(client).requests[0]
        assert "sk-caller" in (sent.header("authorization") or sent.header("x-api-key"))
    assert got.kind == "AuthenticationError"


@EACH_CLIENT
async def test_a_client_that_tries_again_by_itself_multiplies_nothing(clients: NodeClients, client: str) -> None:
    async with stage() as s:
        for dialect in (OPENAI, ANTHROPIC):
            await s.provider(dialect).switch(Fault(Kind.STATUS, status=500))
        model = GPT_FIRST if client == OPENAI else CLAUDE_FIRST
        got = await ask(clients, s, client, model, maxRetries=2)
        assert (got.kind, got.fetches, s.counts) == ("InternalServerError", 1, (3, 3))
        assert got.headers["x-should-retry"] == "false"


@EACH_CLIENT
async def test_a_dead_port_is_an_error_after_as_many_tries_as_the_file_says(clients: NodeClients, client: str) -> None:
    async with stage() as s:
        await s.provider(client).switch(Fault(Kind.DEAD))
        got = await ask(clients, s, client, ONLY[client], maxRetries=2)
    assert (got.kind, got.status, got.fetches, got.attempts) == ("InternalServerError", 502, 1, 3)


@EACH_CLIENT
async def test_a_client_comes_again_when_our_own_limit_says_so(clients: NodeClients, client: str) -> None:
    async with stage(route="rate_limit = { per_second = 50, burst = 1 }") as s:
        first = await ask(clients, s, client, ONLY[client])
        second = await ask(clients, s, client, ONLY[client], maxRetries=20)
        assert (first.error, second.error) == (None, None)
        assert s.provider(client).count == 2


@EACH_CLIENT
async def test_money_that_ran_out_is_not_asked_for_again(clients: NodeClients, client: str) -> None:
    async with stage() as s:
        await s.provider(client).switch(Fault(Kind.STATUS, status=429, code="insufficient_quota"))
        got = await ask(clients, s, client, ONLY[client], maxRetries=2)
        assert (got.kind, got.fetches, s.provider(client).count) == ("RateLimitError", 1, 1)


@EACH_CLIENT
async def test_the_clients_own_timeout_is_told_in_time(clients: NodeClients, client: str) -> None:
    async with stage() as s:
        await s.provider(client).switch(Fault(Kind.SLOW, delay=600))
        headers = {"X-Sidecar-Timeout": "200ms"}
        got = await ask(clients, s, client, ONLY[client], defaultHeaders=headers)
        assert (got.status, s.provider(client).count) == (504, 1)


async def test_an_error_of_ours_has_the_shape_of_the_callers(clients: NodeClients) -> None:
    async with stage() as s:
        gpt = await clients.ask(s, CHAT, chat(CLAUDE_ONLY, n=2))
        claude = await clients.ask(s, MESSAGE, message(GPT_ONLY, tools=[{"type": "web_search_20250305", "name": "w"}]))
    assert gpt.error is not None
    assert (gpt.kind, gpt.error["code"]) == ("BadRequestError", "not_translatable")
    assert claude.error is not None
    assert (claude.kind, claude.error["type"]) == ("BadRequestError", "invalid_request_error")
    assert SAID not in gpt.message
