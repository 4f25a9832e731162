"""An LLM's answer that is no stream: read whole, looked at, and said in the caller's dialect."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import orjson

from sidecar.call import Facts, Sign, What
from sidecar.dialects.chat_reply import to_completion
from sidecar.dialects.json_reading import parsed
from sidecar.dialects.llm_errors import LlmError, error_of, read_error, sign_of, write_error
from sidecar.dialects.llm_usage import usage_of_completion, usage_of_message, usage_of_response
from sidecar.dialects.message_reply import to_message
from sidecar.dialects.response_reply import to_response
from sidecar.dialects.sse_writing import written
from sidecar.dialects.translated import BadEvent
from sidecar.errors import UpstreamError
from sidecar.llm import Dialect, Kind
from sidecar.replies import let_go, read_up_to
from sidecar.upstreams.transcode_bodies import index

if TYPE_CHECKING:
    from sidecar.call import Call, Header, Reply
    from sidecar.llm import Ask, Document, Usage
    from sidecar.upstreams.llm_request import Model, Provider

LONGEST_ERROR = 64 * 1024
"""Bytes of an error's body that are read to understand it."""

# What a reply's headers say of bytes that are written anew, and the two names of one id.
_OF_BYTES = frozenset({b"content-length", b"content-encoding", b"content-md5", b"etag", b"digest"})
_IDS = {Dialect.OPENAI: (b"request-id", b"x-request-id"), Dialect.ANTHROPIC: (b"x-request-id", b"request-id")}


async def read_whole(reply: Reply, most: int) -> bytes | None:
    """The body, kept in the reply as `whole`; None, and the reply as it was, when it is longer than `most` bytes.

    Raises `UpstreamError`: an answer that is cut has given no evidence (What.RESET).
    """
    if reply.chunks is None and reply.whole is None:
        reply.whole = b""
    try:
        return await read_up_to(reply, most)
    except UpstreamError as error:
        raise UpstreamError(replace(error.facts, what=What.RESET)) from error


def failed(call: Call, ask: Ask, reply: Reply, body: bytes, provider: Provider, model: Model) -> Reply:
    """A refusal of the provider's, understood, in the caller's dialect."""
    return _as_error(call, ask, reply, read_error(reply.status, body), body, provider, model)


def failed_at_once(
    call: Call, ask: Ask, reply: Reply, error: LlmError, document: Document, provider: Provider, model: Model
) -> Reply:
    """An error inside a 200, before anything else: nothing has been sent, so the caller gets the status it means."""
    reply.facts = replace(reply.facts, status=error.status)
    reply.status, reply.reason = error.status, b""
    body = _written(document) if isinstance(document.get("error"), dict) else None
    if body is None:
        reply.status, body = write_error(ask.dialect, error, call.id)
    _rewritten(reply, body, ask.dialect, b"application/json")
    return _as_error(call, ask, reply, error, body, provider, model)


def _as_error(
    call: Call, ask: Ask, reply: Reply, error: LlmError, body: bytes, provider: Provider, model: Model
) -> Reply:
    sign = sign_of(error)
    if sign is Sign.OWN_CREDENTIAL_REFUSED and not provider.own:
        sign = None  # the caller's own: it is the one to be told
    if sign is Sign.UNKNOWN_MODEL and not model.name:
        sign = None
    if sign is not None:
        reply.facts = replace(reply.facts, sign=sign, detail=error.code or error.type)
    if ask.dialect is not provider.dialect and ask.kind is not Kind.OTHER:
        let_go(reply)
        reply.status, body = write_error(ask.dialect, error, call.id)
        reply.reason = b""
        _rewritten(reply, body, ask.dialect, b"application/json")
    return reply


def answered(call: Call, ask: Ask, reply: Reply, body: bytes, provider: Provider, model: Model, now: float) -> Reply:
    """A whole answer of status 200. Raises `UpstreamError` (What.UNPARSEABLE) for what is none."""
    try:
        document = parsed(body)
    except orjson.JSONDecodeError as error:
        raise _no_answer(f"it is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise _no_answer("it is not a JSON object")
    if "error" in document and document["error"] and not _is_response(document):
        return failed_at_once(call, ask, reply, error_of(document), document, provider, model)
    if ask.stream and (ask.resuming or ask.dialect is not provider.dialect):
        raise _no_answer("a stream was asked for and none came")
    reply.usage, reply.ended = _usage(document, ask.kind, provider.dialect), True
    if call.span is not None and isinstance(model_told := document.get("model"), str):
        call.span.answered(model_told)
    if _is_response(document) and document.get("status") == "failed":  # it stays a 200 if nobody does better
        told = error_of(document)
        reply.facts = replace(reply.facts, status=told.status, sign=sign_of(told), detail=told.code or told.type)
    if _refused(document, provider.dialect):
        reply.facts = replace(reply.facts, sign=Sign.REFUSAL)
    if ask.dialect is not provider.dialect:
        try:
            said = written(_said(document, ask, int(now)))
        except BadEvent as error:
            raise _no_answer(str(error)) from error
        _rewritten(reply, said, ask.dialect, b"application/json")
    return reply


def _written(document: Document) -> bytes | None:
    """As JSON, None where it has none: orjson reads 1024 levels and writes 254."""
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError:
        return None


def _is_response(document: Document) -> bool:
    """A response that failed has an `error` of its own."""
    return document.get("object") == "response"


def _usage(document: Document, kind: Kind, dialect: Dialect) -> Usage | None:
    if dialect is Dialect.ANTHROPIC:
        return usage_of_message(document) if kind is not Kind.COUNT_TOKENS else None
    return usage_of_response(document) if kind is Kind.RESPONSES else usage_of_completion(document)


def _refused(document: Document, dialect: Dialect) -> bool:
    if dialect is Dialect.ANTHROPIC:
        return document.get("stop_reason") == "refusal"
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices:
        return False
    return all(map(_is_refusal, choices))


def _is_refusal(choice: object) -> bool:
    if not isinstance(choice, dict):
        return False
    message = choice.get("message")
    told = isinstance(message, dict) and bool(message.get("refusal"))
    return told or choice.get("finish_reason") == "content_filter"


def _said(document: Document, ask: Ask, created: int) -> Document:
    if ask.kind is Kind.MESSAGES:
        return to_message(document)
    if ask.kind is Kind.RESPONSES:
        assert ask.document is not None
        return to_response(document, ask.document, created=created)
    return to_completion(document, created=created)


def _rewritten(reply: Reply, body: bytes, dialect: Dialect, content_type: bytes) -> None:
    reply.whole, reply.chunks, reply.length = body, None, len(body)
    rewritten_head(reply, dialect, content_type)


def rewritten_head(reply: Reply, dialect: Dialect, content_type: bytes) -> None:
    """The headers of an answer that is said anew: nothing of the old bytes, the id under the name the client knows."""
    source, name = _IDS[dialect]
    headers: list[Header] = [(b"Content-Type", content_type)]
    for pair in reply.headers:
        lower = pair[0].lower()
        if lower == b"content-type" or lower in _OF_BYTES:
            continue
        headers.append((name, pair[1]) if lower == source else pair)
    reply.headers, reply.fields = headers, index(headers)


def _no_answer(detail: str) -> UpstreamError:
    return UpstreamError(Facts(What.UNPARSEABLE, status=200, detail=f"the answer cannot be read: {detail}"))
