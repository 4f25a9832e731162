"""OpenAI's refusals in its own words, by status and code (its "Error codes" guide, and what its API answers)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.standins.llm_provider import ApiError
from sidecar.standins.llm_stream import Reply

if TYPE_CHECKING:
    from sidecar.llm import Document

REQUEST = "invalid_request_error"
PAGE = """<html>
<head><title>{status} {phrase}</title></head>
<body>
<center><h1>{status} {phrase}</h1></center>
<hr><center>cloudflare</center>
</body>
</html>
"""
"""What stands before the API answers for it when it is away."""
PAGES = {502: "Bad Gateway", 504: "Gateway Time-out"}

BY_CODE: dict[str, ApiError] = {
    "context_length_exceeded": ApiError(
        400,
        REQUEST,
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130022 tokens. "
        "Please reduce the length of the messages.",
        "context_length_exceeded",
        "messages",
    ),
    "content_policy_violation": ApiError(
        400,
        REQUEST,
        "Your request was rejected as a result of our safety system.",
        "content_policy_violation",
    ),
    "content_filter": ApiError(
        400,
        REQUEST,
        "The response was filtered due to the prompt triggering the content management policy. "
        "Please modify your prompt and retry.",
        "content_filter",
        "prompt",
    ),
    "invalid_api_key": ApiError(
        401,
        REQUEST,
        "Incorrect API key provided: sk-stand***. You can find your API key at "
        "https://platform.openai.com/account/api-keys.",
        "invalid_api_key",
    ),
    "billing_hard_limit_reached": ApiError(
        402, "billing_limit_user_error", "Billing hard limit has been reached.", "billing_hard_limit_reached"
    ),
    "unsupported_country_region_territory": ApiError(
        403, "request_forbidden", "Country, region, or territory not supported", "unsupported_country_region_territory"
    ),
    "model_not_found": ApiError(
        404, REQUEST, "The model `{model}` does not exist or you do not have access to it.", "model_not_found"
    ),
    "rate_limit_exceeded": ApiError(
        429,
        "requests",
        "Rate limit reached for {model} in organization org-stand-in on requests per min (RPM): "
        "Limit 500, Used 500, Requested 1. Please try again in 120ms.",
        "rate_limit_exceeded",
    ),
    "insufficient_quota": ApiError(
        429,
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
        "insufficient_quota",
    ),
    "slow_down": ApiError(503, "server_error", "Slow down: your traffic has grown too fast.", "slow_down"),
}
BY_STATUS: dict[int, ApiError] = {
    400: ApiError(400, REQUEST, "We could not parse the JSON body of your request.", None),
    401: BY_CODE["invalid_api_key"],
    402: BY_CODE["billing_hard_limit_reached"],
    403: BY_CODE["unsupported_country_region_territory"],
    404: BY_CODE["model_not_found"],
    408: ApiError(408, "timeout", "Request timed out.", "request_timeout"),
    409: ApiError(409, REQUEST, "The resource was updated by another request. Please try again.", "conflict"),
    413: ApiError(413, REQUEST, "The request body is too large.", "request_too_large"),
    422: ApiError(422, REQUEST, "The request could not be processed.", "unprocessable_entity"),
    429: BY_CODE["rate_limit_exceeded"],
    500: ApiError(
        500, "server_error", "The server had an error while processing your request. Sorry about that!", "server_error"
    ),
    503: ApiError(503, "server_error", "The engine is currently overloaded, please try again later", None),
}


def error(status: int, code: str, model: str) -> ApiError:
    """An unknown code is told as it is."""
    known = BY_CODE.get(code)
    if known is None or known.status != status:
        known = BY_STATUS.get(status, ApiError(status, "server_error", f"The server said {status}.", None))
        code = code or known.code or ""
    return ApiError(status, known.type, known.message.replace("{model}", model), code or None, known.param)


def document(error: ApiError) -> Document:
    return {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}


def refusal(error: ApiError) -> Reply:
    if error.status in PAGES and error.type == "server_error":
        page = PAGE.format(status=error.status, phrase=PAGES[error.status])
        return Reply(error.status, page.encode(), {"Content-Type": "text/html"})
    return Reply(error.status, document(error))
