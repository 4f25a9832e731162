"""What a call to LLM providers would meet: its model's chain, who cannot carry it, what it stays with."""

from __future__ import annotations

import pytest

from tests.kit.explained import chain, explained, refused, sends, source

FILE = """\
[upstreams.openai]
protocol = "openai"
url = "https://api.openai.com/v1"
api_key = "ours"
[upstreams.anthropic]
protocol = "anthropic"
url = "https://api.anthropic.com/v1"
api_key = "ours"
[upstreams.local]
protocol = "openai"
url = "http://127.0.0.1:8000/v1"

[routes.llm]
match = { path = "/v1/*" }
chain = ["openai", "local", "static/sorry"]

[routes.anthropic]
match = { path = "/v1/*", headers = { anthropic-version = "*" } }
chain = ["anthropic"]
on_break = "continue"

[models.smart]
chain = [
  "anthropic/claude",
  { upstream = "openai", model = "gpt-4o", max_tokens = 900, prefill = true },
  "static/sorry",
]
[models."team/fast"]
chain = ["openai/org/mini"]

[static.sorry]
"""
CHAT = "/v1/chat/completions"
ONCE = "not idempotent: where it may have been carried out (a reset, a timeout, most 5xx), it is not sent again"


def breakers(document: object) -> list[str | None]:
    return [one.get("breaker") for one in document["targets"]]  # type: ignore[index]


def test_a_model_of_the_file_has_its_own_chain() -> None:
    found = explained(FILE, "POST", CHAT, model="smart")
    assert found["route"]["name"] == "llm"
    assert found["llm"] == {"dialect": "openai", "operation": "chat/completions", "model": "smart", "tied": False}
    assert (found["chain"]["by"], found["chain"]["from"], found["chain"]["line"]) == ("model", "models.smart.chain", 23)
    assert chain(found) == ["anthropic/claude", "openai/gpt-4o", "static/sorry"]
    assert sends(found) == [
        "https://api.anthropic.com/v1 + /messages",
        "https://api.openai.com/v1 + /chat/completions",
    ]
    assert breakers(found) == ["anthropic/claude", "openai/gpt-4o", None]
    assert [one.get("model") for one in found["targets"]] == ["claude", "gpt-4o", None]
    assert [one["line"] for one in found["targets"]] == [24, 25, 26]
    policy = found["targets"][1]["policy"]
    assert source(policy["max_tokens"]) == (900, "25 models.smart.chain[1].max_tokens")
    assert source(policy["prefill"]) == (True, "25 models.smart.chain[1].prefill")


def test_a_name_with_a_slash_is_a_name() -> None:
    found = explained(FILE, "POST", CHAT, model="team/fast")
    assert found["chain"]["from"] == 'models."team/fast".chain'
    assert chain(found) == ["openai/org/mini"]
    assert breakers(found) == ["openai/org/mini"]


def test_a_model_that_the_file_does_not_name_goes_by_the_route() -> None:
    found = explained(FILE, "POST", CHAT, model="o9")
    assert found["chain"]["from"] == "routes.llm.chain"
    assert chain(found) == ["openai", "local", "static/sorry"]
    assert breakers(found) == ["openai/*", "local/*", None]
    assert found["targets"][0]["model"] == "o9"
    assert found["notes"] == ["[models] does not name o9"]
    assert explained(FILE, "POST", CHAT, model="smrat")["notes"] == [
        "[models] does not name smrat (did you mean 'smart'?)"
    ]


def test_one_that_the_file_names_behind_an_upstream_has_that_breaker() -> None:
    assert breakers(explained(FILE, "POST", CHAT, model="gpt-4o")) == ["openai/gpt-4o", "local/*", None]


def test_without_a_model_that_is_said() -> None:
    found = explained(FILE, "POST", CHAT)
    assert found["chain"]["from"] == "routes.llm.chain"
    assert found["notes"] == ["no model is told: so goes a call for one that [models] does not name"]


def test_the_other_dialect_is_met_by_a_header() -> None:
    found = explained(FILE, "POST", "/v1/messages", "Anthropic-Version: 2023-06-01", model="smart")
    assert found["route"]["name"] == "anthropic"
    assert found["llm"]["dialect"] == "anthropic"
    assert sends(found) == [
        "https://api.anthropic.com/v1 + /messages",
        "https://api.openai.com/v1 + /chat/completions",
    ]
    assert source(found["policy"]["on_break"]) == ("continue", "20 routes.anthropic.on_break")


def test_a_target_without_a_key_is_not_called_with_another_dialects() -> None:
    file = FILE.replace(
        'url = "https://api.anthropic.com/v1"\napi_key = "ours"', 'url = "https://api.anthropic.com/v1"'
    )
    found = explained(file, "POST", CHAT, model="smart")
    assert chain(found) == ["(anthropic/claude)", "openai/gpt-4o", "static/sorry"]
    assert found["targets"][0]["skipped"].startswith("no_credential: ")
    assert found["targets"][0]["path"] is None


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/completions"])
def test_what_has_no_translation_is_told(path: str) -> None:
    found = explained(FILE, "POST", path, model="smart")
    assert chain(found) == ["(anthropic/claude)", "openai/gpt-4o", "static/sorry"]
    assert found["targets"][0]["skipped"] == f"not_translatable: {path.removeprefix('/v1/')} is not translated"


def test_responses_are_translated_and_may_be_sent_twice() -> None:
    found = explained(FILE, "POST", "/v1/responses", model="smart")
    assert sends(found)[0] == "https://api.anthropic.com/v1 + /messages"
    assert source(found["policy"]["idempotent"]) == (True, "protocol openai")


def test_strict_translation_skips_nothing_that_only_a_body_could_tell() -> None:
    strict = FILE.replace('on_break = "continue"', 'translation = "strict"')
    found = explained(strict, "POST", "/v1/messages", "anthropic-version: 1", model="smart")
    assert chain(found) == ["anthropic/claude", "openai/gpt-4o", "static/sorry"]


def test_models_do_not_count_where_they_do_not_apply() -> None:
    found = explained(FILE, "POST", "/v1/moderations", model="smart")
    assert chain(found) == ["openai", "local", "static/sorry"]
    assert found["notes"] == ["[models] does not count for moderations"]
    files = explained(FILE, "POST", "/v1/files", model="smart")
    assert chain(files) == ["openai", "static/sorry"]
    assert files["llm"] == {"dialect": "openai", "operation": None, "model": None, "tied": True}
    assert files["notes"] == [
        "[models] does not count for this method and path",
        "it does not leave its first upstream: others do not have what it names",
        ONCE,
    ]
    assert source(files["policy"]["idempotent"]) == (False, "built in")


def test_a_body_that_nobody_here_can_read_stays_with_the_first() -> None:
    found = explained(FILE, "POST", CHAT, "Content-Encoding: gzip", model="smart")
    assert found["llm"]["tied"]
    assert chain(found) == ["openai", "static/sorry"]


def test_a_path_that_only_a_body_explains() -> None:
    found = explained(FILE, "POST", "/v1/infer", model="smart")
    assert found["llm"]["operation"] == "chat/completions"
    assert found["notes"] == ["the body tells which operation it is: taken for chat/completions"]
    gzipped = explained(FILE, "POST", "/v1/infer", "Content-Encoding: gzip")
    assert refused(gzipped) == (400, "an encoded body cannot be read: /infer needs it plain")
    assert gzipped["route"]["name"] == "llm"


def test_the_list_of_models_is_told_by_the_sidecar_and_its_providers() -> None:
    found = explained(FILE, "GET", "/v1/models")
    assert (found["chain"]["by"], found["chain"]["asks"], found["targets"]) == ("list", ["openai", "local"], [])
    assert found["refusal"] is None
    assert source(found["policy"]["idempotent"]) == (True, "method GET")


def test_a_path_of_its_own_before_the_version() -> None:
    file = FILE.replace('match = { path = "/v1/*" }\n', 'match = { path = "/ai/*" }\nstrip = "/ai"\n', 1)
    found = explained(file, "POST", "/ai/v1/chat/completions?beta=1", model="gpt-4o")
    assert sends(found)[0] == "https://api.openai.com/v1 + /chat/completions?beta=1"


def test_shares_count_for_the_routes_own_chain_only() -> None:
    split = FILE.replace(
        'chain = ["openai", "local", "static/sorry"]',
        'traffic = [{ upstream = "openai", weight = 9 }, { upstream = "local", weight = 1 }]',
    )
    assert [one["share"] for one in explained(split, "POST", CHAT, model="o9")["targets"]] == [0.9, 0.1]
    assert "share" not in explained(split, "POST", CHAT, model="smart")["targets"][0]
    tied = explained(split, "POST", "/v1/files")
    assert [one["share"] for one in tied["targets"]] == [0.9, 0.1]  # each may be the one that it does not leave
    assert tied["notes"] == ["it does not leave its first upstream: others do not have what it names", ONCE]
