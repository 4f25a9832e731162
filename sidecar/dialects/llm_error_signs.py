"""What an LLM provider's error means for the choice of a target, told from its status, its words and its text.

Texts are matched only where a provider has no word for the matter, and only with statuses that it uses for it: a
message may quote the caller.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidecar.call import Sign

if TYPE_CHECKING:
    from sidecar.dialects.llm_error_reading import LlmError

_MONEY_WORDS = (
    "billing_error",
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "credit_balance_exhausted",
    "insufficient_credits",
    "insufficient_balance",
    "exceeded_current_quota_error",
    "contract_spend_limit_reached",
    "enforced_spend_limit_reached",
    "linked_organization_spend_limit_reached",
    "linked_organization_billing_unavailable",
)
# Anthropic has 400 invalid_request_error for the first two. Anchored: a 400 may quote what the caller wrote.
_MONEY_TEXT = re.compile(
    r"(your )?credit balance is too low"
    r"|you have reached your specified (api|workspace api|organization api) usage limits"
    r"|(this|your) (request|organization|workspace|account|team|key)\b.{0,80}\b(spend|spending|billing) limit"
    r"|billing hard limit has been reached"
    r"|insufficient (balance|credits|funds)",
    re.IGNORECASE,
)
_MONEY_STATUSES = frozenset({400, 403, 429})

_LENGTH_WORDS = ("context_length_exceeded", "exceed_context_size_error")
_LENGTH_TEXT = re.compile(
    r"prompt is too long"  # Anthropic: "prompt is too long: 208310 tokens > 200000 maximum"
    r"|exceeds? (the )?context limit"  # Anthropic: "input length and `max_tokens` exceed context limit"
    r"|max(imum)? context length"  # OpenAI, vLLM; Ollama
    r"|available context size"  # llama.cpp
    r"|exceeds the maximum number of tokens allowed",  # Gemini
    re.IGNORECASE,
)
_LENGTH_STATUSES = frozenset({400, 413, 422})

_REFUSAL_WORDS = (
    "content_policy_violation",
    "content_filter",
    "contentFilter",
    "ResponsibleAIPolicyViolation",
    "image_content_policy_violation",
    "misalignment_policy_violation",
    "bio_policy",
    "invalid_prompt",
    "refusal",
)
_REFUSAL_TEXT = re.compile(
    r"output blocked by content filtering policy"  # Anthropic, 400 invalid_request_error
    r"|the response was filtered due to the prompt triggering",  # Azure behind gateways that drop its code
    re.IGNORECASE,
)

_MODEL_WORDS = ("model_not_found", "DeploymentNotFound")
_MODEL_TEXT = re.compile(
    r"model:"  # Anthropic: "model: claude-9"
    r"|the model\b.{0,200}\bdoes not exist"  # vLLM, OpenAI
    r"|models?\b.{0,200}\bnot found",  # Ollama: 'model "m" not found, try pulling it first'; Gemini: "models/m is not…"
    re.IGNORECASE | re.DOTALL,
)

_SIGN_OF_WORD = {
    **dict.fromkeys(_MONEY_WORDS, Sign.OUT_OF_MONEY),
    **dict.fromkeys(_LENGTH_WORDS, Sign.CONTEXT_LENGTH),
    **dict.fromkeys(_REFUSAL_WORDS, Sign.REFUSAL),
    **dict.fromkeys(_MODEL_WORDS, Sign.UNKNOWN_MODEL),
}

_LONGEST_SEARCHED = 2048
"""Characters of a message that are looked at."""


def sign_of(error: LlmError) -> Sign | None:
    """What the error says beyond its status, None for nothing. Its words go before its text."""
    status = error.status
    # OpenAI has 403 with model_not_found where a project may not use a model: its key is good for others.
    sign = _SIGN_OF_WORD.get(error.code) or _SIGN_OF_WORD.get(error.type)
    if sign is None and status < 500:
        sign = _sign_of_text(status, error.message[:_LONGEST_SEARCHED])
    if sign is not None:
        return sign
    return Sign.OWN_CREDENTIAL_REFUSED if status in (401, 403) else None


def _sign_of_text(status: int, text: str) -> Sign | None:
    if status == 402 or (status in _MONEY_STATUSES and _MONEY_TEXT.match(text)):
        return Sign.OUT_OF_MONEY
    if status in _LENGTH_STATUSES and _LENGTH_TEXT.search(text):
        return Sign.CONTEXT_LENGTH
    if status == 400 and _REFUSAL_TEXT.match(text):
        return Sign.REFUSAL
    return Sign.UNKNOWN_MODEL if status == 404 and _MODEL_TEXT.search(text) else None
