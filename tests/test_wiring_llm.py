"""From settings to what LLM routes need."""

from __future__ import annotations

import pytest

from sidecar.config.resolve import Resolved, resolve
from sidecar.llm import Dialect, LlmOptions
from sidecar.upstreams.llm_request import Model, Provider
from sidecar.wiring_llm import model_of, named_models, options_of, provider_of
from tests.kit.policy_file import load


def resolved(
    keys: str = "", *, url: str = "https://api.openai.com/v1", protocol: str = "openai", more: str = ""
) -> Resolved:
    policy = f"""
[upstreams.a]
protocol = "{protocol}"
url = "{url}"
{keys}
[routes.llm]
match = {{ path = "/v1/*" }}
chain = ["a"]
{more}
"""
    return resolve(load(policy).settings)


@pytest.mark.parametrize(
    ("keys", "credential", "own"),
    [
        ("", None, False),
        ('api_key = ""', None, False),
        ('api_key = "k"', (b"Authorization", b"Bearer k"), True),
        ('api_key = "k"\nauth = "api-key"', (b"api-key", b"k"), True),
        ('headers = { Authorization = "Bearer k" }', None, True),
        ('default_headers = { x-api-key = "k" }', None, True),
        ('query = { api-key = "k" }', None, True),
        ('headers = { X-Team = "blue" }', None, False),
    ],
)
def test_whose_credential_a_provider_is_called_with(
    keys: str, credential: tuple[bytes, bytes] | None, own: bool
) -> None:
    provider = provider_of(resolved(keys).upstreams["a"])
    assert (provider.credential, provider.own) == (credential, own)


def test_anthropics_key_has_a_field_of_its_own() -> None:
    anthropic = resolved('api_key = "k"', url="https://api.anthropic.com/v1", protocol="anthropic").upstreams["a"]
    assert provider_of(anthropic) == Provider(Dialect.ANTHROPIC, (b"x-api-key", b"k"), own=True, compatible=True)


@pytest.mark.parametrize(
    ("url", "compatible"),
    [
        ("https://api.openai.com/v1", False),
        ("https://eu.api.openai.com/v1", False),
        ("https://me.openai.azure.com/openai/v1", False),
        ("https://notopenai.com/v1", True),
        ("http://127.0.0.1:8000/v1", True),
        ("http://vllm:8000/v1", True),
    ],
)
def test_whoever_is_not_openai_speaks_an_older_dialect_of_it(url: str, compatible: bool) -> None:
    assert provider_of(resolved(url=url).upstreams["a"]).compatible is compatible


def test_a_link_of_a_chain_names_a_model() -> None:
    more = '[models.smart]\nchain = ["a/gpt-4o", { upstream = "a", model = "o", max_tokens = 7, prefill = true }]\n'
    (route,) = resolved(more=more).routes
    assert [model_of(link) for link in route.models["smart"]] == [Model("gpt-4o"), Model("o", 7, prefill=True)]
    assert model_of(route.targets[0]) == Model()
    assert named_models([route]) == {("a", "gpt-4o"), ("a", "o")}


def test_the_keys_of_a_route() -> None:
    (plain,) = resolved().routes
    assert options_of(plain) == LlmOptions("live", "error", strict=False)
    (other,) = resolved(more='stream = "complete"\non_break = "continue"\ntranslation = "strict"').routes
    assert options_of(other) == LlmOptions("complete", "continue", strict=True)
