"""An LLM provider's error, whatever shape it has: OpenAI's, Anthropic's, those of the servers that imitate them,
and those of the proxies before them, which know no JSON.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from sidecar.llm import Document


@dataclass(frozen=True, slots=True)
class LlmError:
    """`status` is the HTTP status that it has or, of an error inside a stream, that it would have had. `type` and
    `code` are the provider's words, empty where it said none; a number is no code.
    """

    status: int
    type: str
    code: str
    message: str
    param: str | None = None


STATUS_OF = {
    # Anthropic's types, https://docs.anthropic.com/en/api/errors
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
    # OpenAI's types and codes, https://platform.openai.com/docs/guides/error-codes
    "context_length_exceeded": 400,
    "content_policy_violation": 400,
    "content_filter": 400,
    "invalid_prompt": 400,
    "invalid_api_key": 401,
    "unsupported_country_region_territory": 403,
    "model_not_found": 404,
    "insufficient_quota": 429,
    "credit_balance_exhausted": 429,
    "billing_hard_limit_reached": 429,
    "rate_limit_exceeded": 429,
    "tokens": 429,
    "requests": 429,
    "server_error": 500,
    "internal_server_error": 500,
    "service_unavailable": 503,
    "server_is_overloaded": 503,
    "slow_down": 503,
}
"""The status that a type or code stands for, where an error has no status of its own: in a stream."""

_TEXTS = ("message", "detail", "error_description", "Message", "title", "msg")
"""Where servers that have no error object keep its text, the likeliest first."""

_LONGEST_PAGE = 500
"""Characters of a body that is no JSON which callers are shown."""
_TITLE = re.compile(r"<title[^>]*>\s*([^<]*?)\s*</title", re.IGNORECASE)


def read_error(status: int, body: bytes) -> LlmError:
    """The error in an answer with `status`; a body of any kind gives one."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return LlmError(status, "", "", _page(body) or _says_nothing(status))
    return _found(value, status)


def error_of(document: Document) -> LlmError:
    """The error object that came inside a stream, of either dialect. Its status is that of its code, its type or the
    number in it; 500 where they say nothing.
    """
    told = _found(document, 0)
    status = STATUS_OF.get(told.code) or STATUS_OF.get(told.type) or _number(document) or 500
    return LlmError(status, told.type, told.code, told.message or _says_nothing(status), told.param)


def _found(value: object, status: int) -> LlmError:
    body = _object(value)
    error = _error_object(body)
    if error is None:
        error, kind = body, body.get("type")
        kind = kind if kind != "error" else None  # an event's own
        # {"error": "text"} is Ollama's; with a message beside it, it is but a word.
        message = _text(body.get("message")) or _text(body.get("error")) or _first_text(body) or _text(value)
    else:
        kind, message = error.get("type"), _first_text(error)
    param = error.get("param")
    return LlmError(
        status=status,
        type=_word(kind) or _word(error.get("status")),
        code=_filtered(error) or _word(error.get("code")) or _error_code(error.get("details")),
        message=message or (_says_nothing(status) if status else ""),
        param=param if isinstance(param, str) else None,
    )


def _error_object(body: Document) -> Document | None:
    """The object below `error`, or below `response.error` (a failed response); None where the words stand in the body
    itself: servers with a format of their own, and the error event of OpenAI's responses.
    """
    response = body.get("response")
    for holder in (body, response if isinstance(response, dict) else {}):
        error = holder.get("error")
        if isinstance(error, dict):
            return error
    return None


def _object(value: object) -> Document:
    """The body's object; of a list its first one (Gemini's OpenAI endpoint wraps its error into one)."""
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, dict) else {}


def _first_text(document: Document) -> str:
    return next(filter(None, (_text(document.get(name)) for name in _TEXTS)), "")


def _text(value: object) -> str:
    """A text, or the JSON of what stands where a text should (FastAPI lists what it found wrong)."""
    if isinstance(value, str):
        return value
    if not value or not isinstance(value, list | dict):
        return ""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # orjson reads 1024 levels and writes 254
        return ""


def _word(value: object) -> str:
    """A type or code; a number is an HTTP status again (vLLM, OpenRouter, Azure), and says nothing new."""
    return value if isinstance(value, str) and not value.isdigit() else ""


def _error_code(details: object) -> str:
    """Anthropic's stable name of the cause, `details.error_code`."""
    return _word(details.get("error_code")) if isinstance(details, dict) else ""


def _filtered(error: Document) -> str:
    """Azure says in an object of its own that its content filter has refused, whatever the code beside it says."""
    inner = error.get("innererror") or error.get("inner_error")
    refused = isinstance(inner, dict) and inner.get("code") == "ResponsibleAIPolicyViolation"
    return "content_filter" if refused else ""


def _number(document: Document) -> int:
    """The HTTP status that stands in the error as a number, 0 for none."""
    error = _error_object(document) or document
    for name in ("code", "status", "status_code"):
        value = error.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
            value = int(value)
        if isinstance(value, int) and 400 <= value <= 599:
            return value
    return 0


def _page(body: bytes) -> str:
    """What a body that is no JSON says: the title of a page, else its text."""
    text = body[: 4 * _LONGEST_PAGE].decode("utf-8", "replace").strip()
    if text.startswith("<"):
        title = _TITLE.search(text)
        return title[1][:_LONGEST_PAGE] if title is not None else ""
    return text[:_LONGEST_PAGE]


def _says_nothing(status: int) -> str:
    return f"the provider answered {status} and did not say why"
