"""What an LLM call asks for, read once off its path and body.

Whose dialect a call speaks shows in its path, else in the fields that its client sends. Of
the body no more is read than decides where the call may go: everything else is the target's to judge.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson

from sidecar.dialects.json_reading import parsed
from sidecar.dialects.provider_state import names_state
from sidecar.errors import InvalidRequest
from sidecar.llm import Ask, Dialect, Kind

if TYPE_CHECKING:
    from sidecar.call import Call
    from sidecar.llm import Document, LlmOptions

VERSION = b"/v1"
"""The version prefix of both APIs: what stands below it is appended to the upstream's URL."""

_BELOW = VERSION + b"/"

INFER = b"/infer"
"""One path for chat/completions, completions and embeddings, told apart by the body."""

_KINDS: dict[bytes, Kind] = {b"/" + kind.value.encode(): kind for kind in Kind if kind not in (Kind.MODELS, Kind.OTHER)}
"""By path, what is asked for by a body."""
_BY_FIELD = (("messages", Kind.CHAT), ("prompt", Kind.COMPLETIONS), ("input", Kind.EMBEDDINGS))
_OF_ANTHROPIC = (Kind.MESSAGES, Kind.COUNT_TOKENS)
_READS = frozenset({b"GET", b"HEAD"})
CREDENTIALS = (b"authorization", b"x-api-key", b"api-key")
"""Fields in which a caller may send its own."""

BYTES_PER_TOKEN = 4
"""Of English text, about; what else stands in a body (names of fields, base64) makes the estimate a high one."""

UNTOLD_OUTPUT = 256
"""Tokens of an answer to a request that names no most, for the estimate: a page."""

MOST_OUTPUT = 1_000_000
"""Tokens of an answer that are believed, for the estimate: no model writes more. A caller that named any number and
left would leave its limit a debt of centuries.
"""

_MOST_KEYS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


def wants_body(call: Call) -> bool:
    """Whether the body decides where the call goes: it is then held whole."""
    if call.method != b"POST":
        return False
    path = _path(call)[0]
    return path in _KINDS or path == INFER


def read_ask(call: Call, options: LlmOptions) -> Ask:
    """What the call asks for; its body is whole if `wants_body`. A call that may be sent twice is marked so.

    Raises `InvalidRequest` for a body that is no JSON object.
    """
    path, query = _path(call)
    posted = call.method == b"POST"
    kind = _KINDS.get(path) if posted else None
    if call.method in _READS and (path == b"/models" or path.startswith(b"/models/")):
        return Ask(_dialect(call, Kind.MODELS), Kind.MODELS, path, query, credential=_digest(call))
    if not posted or (kind is None and path != INFER):
        return Ask(_dialect(call, Kind.OTHER), Kind.OTHER, path, query, credential=_digest(call), tied=True)
    body = call.body.whole or b""
    if call.fields.get(b"content-encoding", b"identity").lower() != b"identity":
        if kind is None:
            raise InvalidRequest("an encoded body cannot be read: /infer needs it plain")
        # Nobody here can read it: it goes as it is to whoever speaks the caller's dialect.
        call.idempotent = call.idempotent or kind is not Kind.RESPONSES
        dialect, estimate = _dialect(call, kind), len(body) // BYTES_PER_TOKEN + UNTOLD_OUTPUT
        return Ask(dialect, kind, path, query, credential=_digest(call), tied=True, estimate=estimate)
    document = _document(body)
    if kind is None:
        kind = next((kind for field, kind in _BY_FIELD if field in document), None)
        if kind is None:
            raise InvalidRequest("/infer needs messages, prompt or input in its body")
        path = b"/" + kind.value.encode()
    model = document.get("model")
    ask = Ask(
        dialect=_dialect(call, kind),
        kind=kind,
        path=path,
        query=query,
        document=document,
        model=model if isinstance(model, str) else "",
        stream=document.get("stream") is True,
        usage_asked=_usage_asked(document),
        reasoning=_reasoning(document),
        tied=names_state(body, document),
        credential=_digest(call),
        estimate=len(body) // BYTES_PER_TOKEN + _most(document),
        options=options,
    )
    if kind is not Kind.RESPONSES or not (document.get("background") or document.get("conversation")):
        call.idempotent = True
    return ask


def _path(call: Call) -> tuple[bytes, bytes]:
    """The path below the version prefix, and the query with its mark."""
    path, mark, query = (call.outgoing or call.target).partition(b"?")
    if path.startswith(_BELOW):
        return path[len(VERSION) :], mark + query
    return b"/" if path == VERSION else path, mark + query


def _dialect(call: Call, kind: Kind) -> Dialect:
    if kind in _OF_ANTHROPIC:
        return Dialect.ANTHROPIC
    if kind in (Kind.OTHER, Kind.MODELS) and (b"anthropic-version" in call.fields or b"x-api-key" in call.fields):
        return Dialect.ANTHROPIC
    return Dialect.OPENAI


def _document(body: bytes) -> Document:
    try:
        document = parsed(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidRequest("the body is not a JSON object")
    return document


def _usage_asked(document: Document) -> bool:
    options = document.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _reasoning(document: Document) -> bool:
    """Does it ask for reasoning (OpenAI) or thinking (Anthropic)?"""
    effort = document.get("reasoning_effort")
    if isinstance(effort, str) and effort not in ("none", "minimal"):
        return True
    asked: Any = document.get("reasoning")
    if isinstance(asked, dict) and asked.get("effort") not in (None, "none", "minimal"):
        return True
    asked = document.get("thinking")
    return isinstance(asked, dict) and asked.get("type") in ("enabled", "adaptive")


def _most(document: Document) -> int:
    for key in _MOST_KEYS:
        most = document.get(key)
        if isinstance(most, int) and most > 0:
            return min(most, MOST_OUTPUT)
    return UNTOLD_OUTPUT


def _digest(call: Call) -> str:
    sent = [call.fields[name] for name in CREDENTIALS if name in call.fields]
    return hashlib.blake2b(b"\0".join(sent), digest_size=16).hexdigest() if sent else ""
