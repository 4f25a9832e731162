"""Whose key goes where: ours for our providers, the caller's to the dialect it is of, and nothing anywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest

from sidecar.standins.llm_faults import Fault, Kind
from tests.kit.llm_caller import CLAUDE, GPT
from tests.kit.llm_stage import (
    ALONE,
    ANTHROPIC,
    CLAUDE_FIRST,
    CLAUDE_ONLY,
    FIRST,
    GPT_ONLY,
    HI,
    NO_TLS,
    OPENAI,
    OTHER,
    SAID,
    openai_to,
    stage,
)

if TYPE_CHECKING:
    from sidecar.standins.llm_provider import Seen

CLIENTS = pytest.mark.parametrize("client", [OPENAI, ANTHROPIC])
NONE = 'api_key = ""'
KEYS = ("authorization", "x-api-key", "api-key", "cookie")


def keys_of(seen: Seen) -> dict[str, str]:
    """The credentials that came with a request."""
    return {name: seen.header(name) for name in KEYS if seen.header(name)}


def names_of(seen: Seen) -> set[str]:
    return {name.lower() for name, _ in seen.headers}


OURS = {OPENAI: {"authorization": "Bearer sk-ours-openai"}, ANTHROPIC: {"x-api-key": "sk-ours-anthropic"}}
CALLERS = {OPENAI: {"authorization": "Bearer sk-caller"}, ANTHROPIC: {"authorization": "Bearer sk-caller"}}


@CLIENTS
@pytest.mark.parametrize("provider", [OPENAI, ANTHROPIC])
async def test_our_key_replaces_the_callers(client: str, provider: str) -> None:
    async with stage() as s:
        await s.ask(ALONE[provider], client=client, extra_headers={"Cookie": "session=1"})
        [seen] = s.provider(provider).requests
        assert keys_of(seen) == OURS[provider]


@CLIENTS
async def test_without_a_key_of_ours_the_callers_goes_on_to_its_own_dialect(client: str) -> None:
    async with stage(openai_keys=NONE, anthropic_keys=NONE) as s:
        await s.ask(ALONE[client], client=client)
        assert keys_of(s.provider(client).requests[0]) == CALLERS[client]


@CLIENTS
async def test_and_never_to_the_other(client: str) -> None:
    async with stage(openai_keys=NONE, anthropic_keys=NONE) as s:
        got = await s.ask(ALONE[OTHER[client]], client=client)
        assert (got.status, got.attempts, s.counts) == (400, 0, (0, 0))
        assert "no_credential" in str(got.error)


@CLIENTS
async def test_a_target_without_a_key_for_the_caller_is_skipped(client: str) -> None:
    other = OTHER[client]
    async with stage(**{f"{other}_keys": NONE}) as s:
        got = await s.ask(FIRST[other], client=client)
        assert (got.text, got.upstream, got.attempts, s.asked(other)) == (SAID, client, 1, (0, 1))


@CLIENTS
async def test_a_caller_whose_own_key_is_refused_is_told_so_and_rests_nobody_else(client: str) -> None:
    async with stage(openai_keys=NONE, anthropic_keys=NONE) as s:
        provider = s.provider(client)
        provider.key = "sk-right"
        wrong = await s.ask(ALONE[client], client=client)
        assert (wrong.kind, wrong.status, wrong.attempts) == ("AuthenticationError", 401, 1)
        assert wrong.told("error-category") == "auth"
        right = {"Authorization": "Bearer sk-right"}
        assert (await s.ask(ALONE[client], client=client, extra_headers=right)).text == SAID


@CLIENTS
async def test_our_own_key_refused_is_our_trouble_and_the_next_one_answers(client: str) -> None:
    async with stage() as s:
        s.openai.key = "sk-other"
        got = await s.ask(FIRST[OPENAI], client=client)
        assert (got.text, got.upstream, got.attempts) == (SAID, ANTHROPIC, 2)
        again = await s.ask(FIRST[OPENAI], client=client)
        assert (again.attempts, s.openai.count) == (1, 1)  # it rests
        alone = await s.ask(GPT_ONLY, client=client)
        assert (alone.status, s.openai.count) == (502, 1)


async def test_organisation_and_project_go_to_openai_alone() -> None:
    async with stage() as s:
        http = openai.DefaultAsyncHttpxClient(verify=NO_TLS)
        async with openai_to(s.sidecar, organization="org-1", project="proj-1", http_client=http) as gpt:
            user: Any = [{"role": "user", "content": HI}]
            for model in (GPT_ONLY, CLAUDE_ONLY):
                await gpt.chat.completions.create(model=model, messages=user)
        assert {"openai-organization", "openai-project"} <= names_of(s.openai.requests[0])
        foreign = ("openai-", "x-stainless-", "authorization")
        assert not any(name.startswith(foreign) for name in names_of(s.anthropic.requests[0]))


async def test_versions_and_betas_go_to_anthropic_alone() -> None:
    async with stage() as s:
        beta = {"anthropic-beta": "context-1m-2025-08-07, interleaved-thinking-2025-05-14"}
        await s.ask(CLAUDE_ONLY, client=ANTHROPIC, extra_headers=beta)
        await s.ask(GPT_ONLY, client=ANTHROPIC, extra_headers=beta)
        [native], [foreign] = s.anthropic.requests, s.openai.requests
        assert native.header("anthropic-beta") == beta["anthropic-beta"]
        assert native.header("anthropic-version") == s.claude.default_headers["anthropic-version"]
        assert not any(name.startswith(("anthropic-", "x-stainless-", "x-api-key")) for name in names_of(foreign))


async def test_a_request_from_openais_client_has_the_version_that_anthropic_asks_for() -> None:
    async with stage() as s:
        await s.ask(CLAUDE_ONLY)
        assert s.anthropic.requests[0].header("anthropic-version") == "2023-06-01"


async def test_anthropics_client_with_a_token_instead_of_a_key() -> None:
    async with stage(anthropic_keys=NONE) as s:
        http = anthropic.DefaultAsyncHttpxClient(verify=NO_TLS)
        async with anthropic.AsyncAnthropic(
            base_url=s.sidecar.url, api_key=None, auth_token="oauth-1", http_client=http, max_retries=0
        ) as claude:
            user: Any = [{"role": "user", "content": HI}]
            await claude.messages.create(model=CLAUDE_ONLY, max_tokens=9, messages=user)
        assert keys_of(s.anthropic.requests[0])["authorization"] == "Bearer oauth-1"


@CLIENTS
async def test_providers_get_nothing_that_tells_of_the_sidecar(client: str) -> None:
    async with stage() as s:
        for provider in (OPENAI, ANTHROPIC):
            await s.ask(ALONE[provider], client=client)
            names = names_of(s.provider(provider).requests[0])
            assert not names & {"via", "x-request-id", "x-correlation-id", "x-forwarded-for", "forwarded"}
            assert not any(name.startswith("x-sidecar") for name in names)
            assert s.provider(provider).requests[0].header("accept-encoding") == "identity"


AZURE = """
[upstreams.azure]
protocol = "openai"
url = "{url}/openai/deployments/gpt-4o"
api_key = "sk-azure"
auth = "api-key"
query = {{ api-version = "2024-10-21" }}
[models.cloud]
chain = ["azure/gpt-4o"]
"""
AZURE_PATHS = """
[upstreams.azure]
protocol = "openai"
url = "{url}"
[routes.azure]
match = {{ path = "/openai/*" }}
chain = ["azure"]
"""


@CLIENTS
@pytest.mark.parametrize("streamed", [False, True])
async def test_azure_as_an_upstream(client: str, streamed: bool) -> None:
    async with stage() as outer, stage(more=AZURE.format(url=outer.openai.url)) as s:
        got = await s.ask("cloud", client=client, stream=streamed)
        assert (got.text, got.upstream) == (SAID, "azure")
        [seen] = outer.openai.requests
        assert keys_of(seen) == {"api-key": "sk-azure"}
        assert (seen.path, seen.query) == ("/openai/deployments/gpt-4o/chat/completions", "api-version=2024-10-21")


async def test_openais_client_for_azure_as_a_caller() -> None:
    """Its paths name the deployment; they go on as they are."""
    async with stage() as outer, stage(more=AZURE_PATHS.format(url=outer.openai.url)) as s:
        asked: Any = {"azure_endpoint": s.sidecar.url, "api_key": "sk-azure", "api_version": "2024-10-21"}
        http = openai.DefaultAsyncHttpxClient(verify=NO_TLS)
        async with openai.AsyncAzureOpenAI(**asked, http_client=http, max_retries=0) as azure:
            user: Any = [{"role": "user", "content": HI}]
            answer = await azure.chat.completions.create(model=GPT, messages=user)
        assert answer.choices[0].message.content == SAID
        [seen] = outer.openai.requests
        assert keys_of(seen) == {"api-key": "sk-azure"}
        assert (seen.path, seen.query) == ("/openai/deployments/gpt-4o/chat/completions", "api-version=2024-10-21")


@CLIENTS
async def test_a_rest_that_one_callers_key_caused_is_that_callers(client: str) -> None:
    async with stage(openai_keys=NONE, anthropic_keys=NONE) as s:
        await s.provider(client).switch(Fault(Kind.STATUS, status=429, retry_after="200", times=1))
        poor = await s.ask(ALONE[client], client=client)
        assert poor.status == 429
        assert (await s.ask(ALONE[client], client=client)).attempts == 0
        rich = await s.ask(ALONE[client], client=client, extra_headers={"Authorization": "Bearer sk-rich"})
        assert (rich.text, s.asked(client)) == (SAID, (2, 0))


async def test_keys_are_in_no_line_of_the_log() -> None:
    async with stage() as s:
        await s.openai.switch(Fault(Kind.STATUS, status=401))
        for model in (GPT, CLAUDE_FIRST, CLAUDE):
            await s.ask(model)
        said = str(s.sidecar.log.lines)
        assert "sk-" not in said.replace("sk-stand***", "")
        assert HI not in said
