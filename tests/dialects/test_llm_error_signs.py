"""What errors say beyond their status, by the words and texts that providers have for it."""

from __future__ import annotations

import json

import pytest

from sidecar.call import Sign
from sidecar.dialects.llm_error_reading import LlmError, read_error
from sidecar.dialects.llm_error_signs import sign_of


def openai(
    status: int, code: str | None = None, kind: str | None = "invalid_request_error", text: str = ""
) -> LlmError:
    error = {"message": text, "type": kind, "param": None, "code": code}
    return read_error(status, json.dumps({"error": error}).encode())


def anthropic(status: int, kind: str, text: str = "", code: str | None = None) -> LlmError:
    details = None if code is None else {"error_code": code}
    error = {"type": kind, "message": text, "details": details}
    return read_error(status, json.dumps({"type": "error", "error": error}).encode())


@pytest.mark.parametrize(
    "error",
    [
        openai(402, kind=None, text="Insufficient Balance"),
        openai(429, "insufficient_quota", "insufficient_quota"),
        openai(429, "credit_balance_exhausted", "insufficient_quota"),
        openai(400, "billing_hard_limit_reached", text="Billing hard limit has been reached"),
        openai(429, "billing_not_active", "billing_not_active"),
        openai(429, None, "exceeded_current_quota_error"),
        openai(403, text="Your team has either used all credits or reached its monthly spending limit."),
        anthropic(402, "billing_error", "Your payment failed"),
        anthropic(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
        anthropic(400, "invalid_request_error", "You have reached your specified API usage limits. You will regain"),
        anthropic(400, "invalid_request_error", "You have reached your specified workspace API usage limits."),
        anthropic(429, "rate_limit_error", "This request would exceed your organization's monthly spend limit."),
        anthropic(429, "rate_limit_error", "Spent", "contract_spend_limit_reached"),
        anthropic(429, "rate_limit_error", "Spent", "enforced_spend_limit_reached"),
        anthropic(402, "billing_error", "Spent", "linked_organization_spend_limit_reached"),
    ],
)
def test_out_of_money(error: LlmError) -> None:
    assert sign_of(error) is Sign.OUT_OF_MONEY


@pytest.mark.parametrize(
    "error",
    [
        openai(400, "context_length_exceeded"),
        openai(400, None, "BadRequestError", "This model's maximum context length is 4096 tokens. However, you"),
        openai(400, None, "exceed_context_size_error", "the request exceeds the available context size"),
        openai(400, None, None, "prompt too long; exceeded max context length by 4 tokens"),
        openai(400, None, None, "The input token count (9) exceeds the maximum number of tokens allowed (8)."),
        anthropic(400, "invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum"),
        anthropic(400, "invalid_request_error", "input length and `max_tokens` exceed context limit: 199211 + 64000"),
        anthropic(413, "request_too_large", "Prompt is too long"),
    ],
)
def test_the_context_is_too_long(error: LlmError) -> None:
    assert sign_of(error) is Sign.CONTEXT_LENGTH


@pytest.mark.parametrize(
    "error",
    [
        openai(400, "content_policy_violation"),
        openai(400, "content_filter", None),
        openai(400, "contentFilter", None),
        openai(400, "invalid_prompt"),
        openai(400, "400", None, "The response was filtered due to the prompt triggering Azure OpenAI's content"),
        anthropic(400, "invalid_request_error", "Output blocked by content filtering policy"),
        LlmError(200, "refusal", "", "It refused"),
    ],
)
def test_the_content_is_refused(error: LlmError) -> None:
    assert sign_of(error) is Sign.REFUSAL


@pytest.mark.parametrize(
    "error",
    [
        openai(404, "model_not_found"),
        openai(403, "model_not_found", text="Project `p` does not have access to model `gpt-9`"),
        openai(404, "DeploymentNotFound", None),
        openai(404, None, "NotFoundError", "The model `m` does not exist."),
        anthropic(404, "not_found_error", "model: claude-9"),
        read_error(404, b'{"error":"model \\"llama9\\" not found, try pulling it first"}'),
        read_error(404, b"""{"error":"model 'llama9' not found"}"""),
        openai(404, None, None, "models/gemini-9 is not found for API version v1main"),
    ],
)
def test_the_model_is_unknown(error: LlmError) -> None:
    assert sign_of(error) is Sign.UNKNOWN_MODEL


@pytest.mark.parametrize(
    "error",
    [
        openai(401, "invalid_api_key"),
        openai(403, "unsupported_country_region_territory", "request_forbidden"),
        anthropic(401, "authentication_error", "invalid x-api-key"),
        anthropic(403, "permission_error"),
        read_error(401, b""),
    ],
)
def test_the_credential_is_refused(error: LlmError) -> None:
    assert sign_of(error) is Sign.OWN_CREDENTIAL_REFUSED


@pytest.mark.parametrize(
    "error",
    [
        openai(429, "rate_limit_exceeded", "tokens", "Rate limit reached for gpt-4o on tokens per min"),
        openai(404, None, None, "Not Found"),
        anthropic(404, "not_found_error", "Not found"),
        anthropic(413, "request_too_large", "Request exceeds the maximum size"),
        anthropic(429, "rate_limit_error", "This request would exceed your organization's rate limit"),
        anthropic(429, "rate_limit_error", "Usage grows too fast", "ramp_limit_exceeded"),
        anthropic(529, "overloaded_error", "Overloaded"),
        read_error(404, b"<html><title>404 Not Found</title></html>"),
        # Texts that quote the caller, or that other statuses bring.
        openai(400, text="Invalid value: 'Your credit balance is too low'. Supported values are: 'a' and 'b'."),
        openai(500, "server_error", "server_error", "maximum context length"),
    ],
)
def test_a_status_may_say_it_all(error: LlmError) -> None:
    assert sign_of(error) is None
