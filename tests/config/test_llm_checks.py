"""Models lead to providers, keys for LLM traffic stand where there is some, a credential stands in one place."""

from __future__ import annotations

import pytest

from tests.kit.policy_file import load, mistake, mistakes

PROVIDERS = """
[upstreams.openai]
protocol = "openai"
url = "https://api.openai.com/v1"
[upstreams.anthropic]
protocol = "anthropic"
url = "https://api.anthropic.com/v1"
[upstreams.web]
url = "http://127.0.0.1:1"
[static.sorry]
"""


def model(chain: str) -> str:
    return f"{PROVIDERS}[models.smart]\nchain = {chain}"


@pytest.mark.parametrize(
    ("chain", "key", "problem"),
    [
        ("[]", "models.smart.chain", "names no model"),
        ('["opnai/gpt-4o"]', "models.smart.chain[0]", "there is no upstream opnai"),
        ('["web/gpt-4o"]', "models.smart.chain[0]", "web (http) is no LLM provider"),
        ('["openai"]', "models.smart.chain[0]", "is not upstream/model"),
        ('["openai/a", "anthropic/b", "openai/a"]', "models.smart.chain[2]", "openai/a is listed twice"),
        ('["static/sory"]', "models.smart.chain[0]", "there is no static answer sory"),
        ('["static/sorry", "openai/a"]',
         "models.smart.chain[0]", "static/sorry must be the last link: it answers every call"),
        ('[{ upstream = "static", model = "sorry", prefill = true }]',
         "models.smart.chain[0].prefill", "has no effect on a static answer"),
        ('[{ upstream = "static", model = "sorry", max_tokens = 1 }]',
         "models.smart.chain[0].max_tokens", "has no effect on a static answer"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_work(chain: str, key: str, problem: str) -> None:
    found = mistake(model(chain))
    assert (found.key, found.problem) == (key, problem)


def test_a_model_without_a_chain() -> None:
    assert mistake(f"{PROVIDERS}[models.smart]").problem == "names no model"


def test_a_model_without_a_name() -> None:
    found = mistake(f'{PROVIDERS}[models.""]\nchain = ["openai/a"]')
    assert (found.key, found.problem) == ('models.""', "is not a name that a caller could ask for")


@pytest.mark.parametrize(
    "chain",
    [
        '["openai/a", "openai/b", "anthropic/a", "static/sorry"]',
        '["openai/meta/llama", { upstream = "anthropic", model = "c", max_tokens = 8192, prefill = true }]',
    ],
)
def test_a_model_that_can_work(chain: str) -> None:
    load(model(chain))


def test_what_follows_from_a_mistake_elsewhere_is_not_told_as_well() -> None:
    wrong = 'protocol = "opnai"'
    text = model('["openai/a"]').replace('protocol = "openai"', wrong)
    assert [one.key for one in mistakes(text)] == ["upstreams.openai.protocol"]
    no_table = "[upstreams]\na = 3\n" + model('["a/b"]')
    assert [one.key for one in mistakes(no_table)] == ["upstreams.a"]


def route(text: str, chain: str = '["web"]') -> str:
    return f'{PROVIDERS}[routes.r]\nmatch.path = "/v1/*"\nchain = {chain}\n{text}'


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('stream = "live"', "stream"),
        ('on_break = "error"', "on_break"),
        ('translation = "strict"', "translation"),
        ("fallback_on_refusal = false", "fallback_on_refusal"),
        ("rate_limit.tokens_per_minute = 5", "rate_limit.tokens_per_minute"),
    ],
)
def test_keys_for_llm_answers_on_a_route_that_gives_none(text: str, key: str) -> None:
    told = "has no effect: no target of this route is an LLM provider (protocol openai or anthropic)"
    for chain in ('["web"]', '["web", "static/sorry"]', '["static/sorry"]'):
        found = mistake(route(text, chain))
        assert (found.key, found.problem) == (f"routes.r.{key}", told)
    load(route(text, '["web", "anthropic"]'))
    assert [one.key for one in mistakes(route(text, '["wep"]'))] == ["routes.r.chain[0]"]


def test_a_split_may_lead_to_a_provider() -> None:
    chain = 'chain = ["web"]'
    parts = 'traffic = [{ upstream = "web", weight = 1 }, { upstream = "openai", weight = 1 }]'
    load(route('stream = "complete"').replace(chain, parts))


def test_a_limit_of_tokens_in_a_policy_is_for_the_routes_that_have_some() -> None:
    load(route("[policies.default.rate_limit]\ntokens_per_minute = 5\n[policies.default.timeout]\nfirst_token = '9s'"))


def upstream(keys: str, protocol: str = "openai") -> str:
    scheme = "grpc" if protocol in ("grpc", "router") else "http"
    return f'[upstreams.u]\nprotocol = "{protocol}"\nurl = "{scheme}://a"\n{keys}'


@pytest.mark.parametrize(
    ("protocol", "keys", "key", "problem"),
    [
        ("http", 'timeout.first_token = "9s"',
         "timeout.first_token", "has no effect with protocol http: it is for LLM providers"),
        ("grpc", "rate_limit.tokens_per_minute = 1",
         "rate_limit.tokens_per_minute", "has no effect with protocol grpc: it is for LLM providers"),
        ("grpc", 'query = { a = "b" }', "query", "has no effect with protocol grpc: a gRPC method has none"),
        ("router", 'query = { a = "b" }', "query", "has no effect with protocol router: a gRPC method has none"),
        ("c-gateway", 'query = { a = "b" }', "query",
         "has no effect with protocol c-gateway: it compares paths whole, and answers 404 to one with a query"),
        ("openai", 'query = { "" = "b" }', 'query.""', "is not a parameter: it needs a name"),
        ("openai", 'auth = "api-key"', "auth", "has no effect without api_key"),
        ("grpc", 'api_key = "\\u00e9"', "api_key", "gRPC metadata can hold printable ASCII only"),
        ("openai", 'api_key = " k"', "api_key", "a credential cannot begin or end with a blank"),
        ("openai", 'headers = { Accept-Encoding = "gzip" }',
         "headers.Accept-Encoding", "cannot be set: the sidecar reads what providers answer"),
        ("anthropic", 'default_headers = { accept-encoding = "gzip" }',
         "default_headers.accept-encoding", "cannot be set: the sidecar reads what providers answer"),
        ("http", 'api_key = "k"\nheaders = { Authorization = "Basic k" }',
         "headers.Authorization", "stands beside api_key, which is sent as this header"),
        ("openai", 'api_key = "k"\ndefault_headers = { authorization = "Bearer x" }',
         "default_headers.authorization", "stands beside api_key, which is sent as this header"),
        ("c-gateway", 'api_key = "k"\nheaders = { X-API-Key = "k" }',
         "headers.X-API-Key", "stands beside api_key, which is sent as this header"),
    ],
)  # fmt: skip
def test_an_upstream_that_cannot_work(protocol: str, keys: str, key: str, problem: str) -> None:
    found = mistake(upstream(keys, protocol))
    assert (found.key, found.problem) == (f"upstreams.u.{key}", problem)


@pytest.mark.parametrize(
    ("protocol", "keys"),
    [
        ("openai", 'api_key = "${KEY:-}"\nauth = "api-key"\nquery = { api-version = "2024-10-21" }'),
        ("openai", 'timeout.first_token = "9s"\nrate_limit.tokens_per_minute = 1'),
        ("openai", 'headers = { Authorization = "${KEY:-}", OpenAI-Organization = "org" }'),
        ("openai", 'headers = { Authorization = "Bearer k" }'),
        ("anthropic", 'api_key = "k"\nauth = "bearer"\ndefault_headers = { anthropic-beta = "b" }'),
        ("http", 'api_key = "k"\nheaders = { X-API-Key = "other" }\nquery = { v = "1" }'),
        ("http", 'headers = { Authorization = "Basic k", Accept-Encoding = "gzip" }'),
        ("http", 'api_key = "k"\nauth = "api-key"\nheaders = { Authorization = "Basic k" }'),
        ("router", 'api_key = "k"'),
    ],
)
def test_an_upstream_that_can_work(protocol: str, keys: str) -> None:
    load(upstream(keys, protocol))


@pytest.mark.parametrize(
    ("keys", "key", "problem"),
    [
        ("", "faults.f", "does nothing"),
        ("percent = 10", "faults.f", "does nothing"),
        ("status = 503\nreset = true", "faults.f.reset", "stands beside status: one of them must go"),
    ],
)
def test_a_fault_that_cannot_work(keys: str, key: str, problem: str) -> None:
    found = mistake(f"[faults.f]\n{keys}")
    assert (found.key, found.problem) == (key, problem)


@pytest.mark.parametrize(
    "keys",
    [
        'match = { path = "/v1/*" }\npercent = 10\ndelay = "3s"\nstatus = 503',
        "percent = 0\nreset = true",
        "cut_after_tokens = 0",
        'first_token = "20s"\nstall = "30s"\nmalformed = true',
    ],
)
def test_a_fault_that_can_work(keys: str) -> None:
    load(f"[faults.f]\n{keys}")


CIRCLE = """
[listen]
http = "{http}"
[upstreams.openai]
protocol = "{protocol}"
url = "{url}/v1"
"""


@pytest.mark.parametrize(
    ("http", "url"),
    [
        ("127.0.0.1:7070", "http://127.0.0.1:7070"),
        ("127.0.0.1:7070", "http://localhost:7070"),
        ("0.0.0.0:7070", "http://localhost:7070"),
        ("[::1]:7070", "http://[::1]:7070"),
        ("127.0.0.1:80", "http://127.0.0.1"),
        ("127.0.0.1:443", "https://127.0.0.1"),
        ("10.0.0.5:7070", "http://10.0.0.5:7070"),
    ],
)
def test_a_provider_is_not_the_sidecar_itself(http: str, url: str) -> None:
    found = mistake(CIRCLE.format(http=http, url=url, protocol="openai"))
    assert (found.key, found.problem) == (
        "upstreams.openai.url", "is where the sidecar itself listens: calls would go round"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("http", "url", "protocol"),
    [
        ("127.0.0.1:7070", "http://127.0.0.1:7071", "openai"),
        ("0.0.0.0:7070", "http://10.0.0.5:7070", "openai"),  # the same port of another machine
        ("127.0.0.1:7070", "https://api.openai.com", "openai"),
        ("unix:/run/sidecar", "http://127.0.0.1:7070", "openai"),
        ("", "http://127.0.0.1:7070", "openai"),
        ("127.0.0.1:7070", "http://127.0.0.1:7070", "http"),  # told by its Via, in a test of one's own perhaps
    ],
)
def test_but_it_may_be_beside_it(http: str, url: str, protocol: str) -> None:
    load(CIRCLE.format(http=http, url=url, protocol=protocol))
