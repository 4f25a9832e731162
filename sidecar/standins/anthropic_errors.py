"""Anthropic's refusals in its own words, by status and by what OpenAI would call the code (its "Errors" page)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.standins.llm_provider import ApiError

if TYPE_CHECKING:
    from sidecar.llm import Document

REQUEST = "invalid_request_error"

BY_CODE: dict[str, ApiError] = {
    "context_length_exceeded": ApiError(400, REQUEST, "prompt is too long: 208310 tokens > 200000 maximum"),
    "content_policy_violation": ApiError(400, REQUEST, "Output blocked by content filtering policy"),
    "credit_balance_too_low": ApiError(
        400,
        REQUEST,
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or "
        "purchase credits.",
    ),
    "insufficient_quota": ApiError(
        429,
        "rate_limit_error",
        "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
    ),
    "oauth_not_allowed": ApiError(
        403, "permission_error", "OAuth authentication is currently not allowed for this organization."
    ),
}
BY_STATUS: dict[int, ApiError] = {
    400: ApiError(400, REQUEST, "messages: Field required"),
    401: ApiError(401, "authentication_error", "invalid x-api-key"),
    402: ApiError(
        402, "billing_error", "There is an issue with your billing or payment information. Please check it and retry."
    ),
    403: ApiError(403, "permission_error", "Your API key does not have permission to use the specified resource."),
    404: ApiError(404, "not_found_error", "model: {model}"),
    408: ApiError(408, "timeout_error", "Request timed out"),
    409: ApiError(409, "conflict_error", "The request conflicts with the current state of the resource."),
    413: ApiError(413, "request_too_large", "Request exceeds the maximum size"),
    422: ApiError(422, REQUEST, "The request could not be processed."),
    429: ApiError(
        429,
        "rate_limit_error",
        "This request would exceed your organization's rate limit of 50 requests per minute. For details, refer to: "
        "https://docs.claude.com/en/api/rate-limits. You can see the response headers for current usage. Please "
        "reduce the prompt length or the maximum tokens requested, or try again later.",
    ),
    500: ApiError(500, "api_error", "Internal server error"),
    503: ApiError(503, "api_error", "Service temporarily unavailable"),
    504: ApiError(504, "timeout_error", "Request timed out while processing. Please retry or use streaming."),
    529: ApiError(529, "overloaded_error", "Overloaded"),
}


def error(status: int, code: str, model: str) -> ApiError:
    known = BY_CODE.get(code)
    if known is None or known.status != status:
        known = BY_STATUS.get(status, ApiError(status, "api_error", f"The server said {status}."))
    return ApiError(status, known.type, known.message.replace("{model}", model))


def document(error: ApiError, request_id: str) -> Document:
    """`request_id` is also in the header."""
    return {"type": "error", "error": {"type": error.type, "message": error.message}, "request_id": request_id}


def wrong(message: str) -> ApiError:
    """What a request that was not understood is told."""
    return ApiError(400, REQUEST, message)
