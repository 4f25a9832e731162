"""What the sidecar tells of an answer, in words."""

from __future__ import annotations

import pytest

from sidecar.cli.llm.answers import Answer
from sidecar.cli.llm.conversation import Speech
from sidecar.cli.llm.told import again_in, by, cost_lines, head_lines, refusal, told, usage_document, why
from sidecar.dialects.llm_errors import LlmError
from sidecar.llm import Dialect, Usage

OURS = {"proxy-status": "sidecar; error=destination_unavailable"}
FIELDS = {
    "content-type": "application/json",
    "x-sidecar-config": "3",
    "x-sidecar-request-id": "17",
    "x-sidecar-attempts": "2",
    "x-sidecar-model": "gpt-4o",
    "x-sidecar-upstream": "openai",
    "x-sidecar-dropped": "seed, top_logprobs",
    "x-sidecar-route": "llm",
}


def an_answer(fields: dict[str, str], error: LlmError | None = None, usage: Usage | None = None) -> Answer:
    answer = Answer(Speech(Dialect.OPENAI), status=error.status if error else 200, fields=fields, error=error)
    answer.usage, answer.total, answer.model = usage, 0.84, "m"
    return answer


def test_headers_as_a_document() -> None:
    assert told({**FIELDS, "retry-after": "5"}) == {
        "route": "llm", "upstream": "openai", "model": "gpt-4o", "attempts": 2, "dropped": ["seed", "top_logprobs"],
        "request_id": "17", "config": 3, "retry_after": 5.0,
    }  # fmt: skip
    assert told({}) == {}


def test_headers_as_lines() -> None:
    assert head_lines(200, FIELDS) == [
        "< 200", "< route: llm", "< upstream: openai", "< model: gpt-4o", "< attempts: 2",
        "< dropped: seed, top_logprobs", "< request id: 17", "< config: 3",
    ]  # fmt: skip


def test_nothing_in_them_moves_the_cursor() -> None:
    assert head_lines(200, {"x-sidecar-route": "\x1b[2J"}) == ["< 200", r"< route: \x1b[2J"]


def test_what_it_cost() -> None:
    assert cost_lines(an_answer({})) == ["< first byte: 0.000 s", "< total: 0.840 s"]
    assert cost_lines(an_answer({}, usage=Usage(7, 5)))[-1] == "< tokens: 7 in, 5 out"
    assert usage_document(Usage(7, 5, 2)) == {"input": 7, "output": 5, "cached": 2}
    assert usage_document(None) is None


@pytest.mark.parametrize(
    ("fields", "usage", "line"),
    [
        (FIELDS, Usage(500, 12), "by openai/gpt-4o, 2 attempts, 840.0 ms, 512 tokens"),
        ({"x-sidecar-upstream": "openai", "x-sidecar-attempts": "1"}, None, "by openai/m, 1 attempt, 840.0 ms"),
        ({}, Usage(0, 1), "by m, 840.0 ms, 1 token"),
    ],
)
def test_by_whom(fields: dict[str, str], usage: Usage | None, line: str) -> None:
    assert by(an_answer(fields, usage=usage)) == line


@pytest.mark.parametrize(
    ("error", "fields", "words"),
    [
        (
            LlmError(503, "service_unavailable", "circuit_open", "Circuit breaker 'a' is OPEN"),
            {**OURS, "retry-after": "5"},
            (
                "no target may be asked, their circuit breakers are open (see sidecar circuits), again in 5 s: "
                "Circuit breaker 'a' is OPEN (503 circuit_open)"
            ),
        ),
        (
            LlmError(429, "", "rate_limited", "rate limit of llm exceeded."),
            {**OURS, "retry-after": "2", "retry-after-ms": "1500"},
            (
                "too many calls by a limit of the policy file, or every target rests, again in 1.5 s: "
                "rate limit of llm exceeded (429 rate_limited)"
            ),
        ),
        (LlmError(504, "", "another", "text"), OURS, "text (504 another)"),
        (
            LlmError(429, "rate_limit_error", "", "Slow down."),
            {"x-sidecar-upstream": "anthropic", "retry-after": "7"},
            "anthropic says, again in 7 s: Slow down (429 rate_limit_error)",
        ),
        (
            LlmError(401, "", "invalid_api_key", "No key"),
            {"x-sidecar-upstream": "openai"},
            "openai says: No key (401 invalid_api_key). Is the key right (-k, $OPENAI_API_KEY)?",
        ),
        (
            LlmError(0, "server_error", "upstream_reset", "the stream broke"),
            {"x-sidecar-upstream": "openai"},
            "the provider broke the connection: the stream broke (upstream_reset)",
        ),
        (LlmError(0, "", "", "the stream broke off"), FIELDS, "the stream broke off"),
        (LlmError(500, "", "", "\x1b[2Jboo"), {}, r"\x1b[2Jboo (500)"),
    ],
)
def test_why_an_answer_is_none(error: LlmError, fields: dict[str, str], words: str) -> None:
    assert why(an_answer(fields, error)) == words


def test_a_refusal_of_what_is_no_answer() -> None:
    assert refusal(404, OURS, b'{"error": {"code": "no_route", "message": "nothing matches"}}') == (
        "no route of the sidecar takes this call: nothing matches (404 no_route)"
    )


@pytest.mark.parametrize(
    ("value", "seconds"), [("5", 5.0), ("0", 0.0), ("-1", None), ("nan", None), ("inf", None), ("Wed, 21 Oct", None)]
)
def test_when_to_come_back(value: str, seconds: float | None) -> None:
    assert again_in({"retry-after": value}) == seconds
