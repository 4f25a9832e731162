"""The request as one LLM target is to have it: its dialect, its model, and a credential that may go there.

In the caller's own dialect the body goes as it came but for the model's name. A
caller's credential goes only to an upstream of the dialect it came in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from sidecar.body import Body
from sidecar.dialects.ask import CREDENTIALS
from sidecar.dialects.chat_to_messages import chat_to_messages
from sidecar.dialects.messages_to_chat import messages_to_chat
from sidecar.dialects.responses_to_messages import responses_to_messages
from sidecar.dialects.splice import with_model
from sidecar.dialects.translated import Translated, Untranslatable
from sidecar.llm import Dialect, Kind
from sidecar.upstreams.transcode_bodies import cannot_carry, derived, index

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.call import Call, Header, Headers
    from sidecar.llm import Ask, Document

MAX_TOKENS = 4096
"""What a translated request may generate at most where neither the caller nor the file says."""

ANTHROPIC_VERSION = b"2023-06-01"
"""The version of Anthropic's API whose shapes are translated to and from."""

_JSON = (b"Content-Type", b"application/json")
_SECRETS = frozenset({*CREDENTIALS, b"cookie"})
_OF_THE_HOP = (b"upgrade", b"te", b"trailer")
"""They are not passed on, but each hop says them anew."""
_ONE_DIALECTS = (b"anthropic-", b"openai-", b"x-stainless-")
"""Fields with these beginnings speak to one provider or of its client."""

_TO_ANTHROPIC: dict[Kind, Callable[[Document], Translated]] = {
    Kind.CHAT: chat_to_messages,
    Kind.RESPONSES: responses_to_messages,
}


@dataclass(frozen=True, slots=True)
class Model:
    """One model of an upstream, as a chain names it. `name` empty: whatever the caller asked for."""

    name: str = ""
    max_tokens: int | None = None
    prefill: bool = False


@dataclass(frozen=True, slots=True)
class Provider:
    """What is known of an LLM upstream. `credential` is the field that carries the file's key; `own`: what goes there
    is our credential, in whatever field. `compatible`: it speaks OpenAI's dialect and is not OpenAI. `sender` begins
    the idempotency keys that are made here: a call that bears one of them has come back, and no `Via` tells so.
    """

    dialect: Dialect
    credential: Header | None = None
    own: bool = False
    compatible: bool = False
    sender: bytes = b"sidecar"


def why_not(ask: Ask, provider: Provider) -> str:
    """Why the target cannot take the call, empty when it can."""
    if ask.dialect is provider.dialect:
        return ""
    if not provider.own:
        return "no_credential: it has no key of its own, and the caller's is for another dialect"
    if ask.kind is Kind.OTHER:
        return ""
    said = translated(ask, provider)
    if isinstance(said, str):
        return f"not_translatable: {said}"
    if ask.options.strict and said.dropped:
        return f"not_translatable: it would lose {', '.join(said.dropped)}"
    return ""


def translated(ask: Ask, provider: Provider) -> Translated | str:
    """The request in the target's dialect, or why it cannot be said there; made once for all its targets."""
    key = f"{provider.dialect.value}{'+' * provider.compatible}"
    if key not in ask.said:
        ask.said[key] = _translate(ask, provider)
    said: Translated | str = ask.said[key]
    return said


def _translate(ask: Ask, provider: Provider) -> Translated | str:
    if ask.document is None:
        return f"{ask.kind.value or 'this path'} is not translated"
    try:
        if ask.kind is Kind.MESSAGES and provider.dialect is Dialect.OPENAI:
            return messages_to_chat(ask.document, compatible=provider.compatible)
        translate = _TO_ANTHROPIC.get(ask.kind) if provider.dialect is Dialect.ANTHROPIC else None
        if translate is None:
            return f"{ask.kind.value} is not translated"
        return translate(ask.document)
    except Untranslatable as error:
        return str(error)


def as_sent(call: Call, ask: Ask, provider: Provider, model: Model) -> Call:
    """The call as the target gets it. It can take it: `why_not` said nothing."""
    headers = _headers(call, ask, provider)
    if ask.kind is Kind.OTHER or ask.document is None:  # as it came
        return derived(call, headers=headers, fields=_fields(call, headers), outgoing=ask.path + ask.query)
    if ask.dialect is provider.dialect:
        return derived(
            call,
            headers=headers,
            fields=index(headers),
            outgoing=ask.path + ask.query,
            body=Body.of(_own_body(call, ask, model, provider)),
            expects_continue=False,
        )
    said = translated(ask, provider)
    assert isinstance(said, Translated), "a target that cannot carry the call is not asked"
    document = {"model": model.name or ask.model, **said.document}
    if provider.dialect is Dialect.ANTHROPIC:
        document.setdefault("max_tokens", model.max_tokens or MAX_TOKENS)
        path = b"/messages"
    else:
        path = b"/chat/completions"
    return derived(
        call,
        headers=headers,
        fields=index(headers),
        outgoing=path,
        body=Body.of(_written(_continuing(document, ask, provider))),
        expects_continue=False,
    )


def _own_body(call: Call, ask: Ask, model: Model, provider: Provider) -> bytes:
    body = call.body.whole
    assert body is not None, "an LLM request is held whole"
    if ask.so_far:
        assert ask.document is not None
        return _written(_continuing({**ask.document, "model": model.name or ask.model}, ask, provider))
    if model.name and model.name != ask.model:
        return with_model(body, model.name)
    return body


def _written(document: Document) -> bytes:
    """Raises `UpstreamError` (What.CANNOT_CARRY) for what was read but cannot be written: 255 levels deep, say."""
    try:
        return orjson.dumps(document)
    except TypeError as error:
        raise cannot_carry(f"not_translatable: {error}") from None


def _continuing(document: Document, ask: Ask, provider: Provider) -> Document:
    """The request with the beginning of its answer, where the caller has got one."""
    if not ask.so_far:
        return document
    messages = document.get("messages")
    if not isinstance(messages, list):
        raise cannot_carry("its messages are no list to go on behind")
    document = {**document, "messages": _behind(messages, ask.so_far)}
    if provider.dialect is Dialect.OPENAI:  # vLLM's words, and those of others; OpenAI itself takes no prefill
        document |= {"continue_final_message": True, "add_generation_prompt": False}
    return document


def _behind(messages: list[Any], so_far: str) -> list[Any]:
    """The conversation with the beginning of its answer. A prefill of the caller's own is part of that beginning."""
    last = messages[-1] if messages else None
    if isinstance(last, dict) and last.get("role") == "assistant":
        content = last.get("content")
        if isinstance(content, str):
            return [*messages[:-1], {**last, "content": content + so_far}]
        if isinstance(content, list):
            return [*messages[:-1], {**last, "content": [*content, {"type": "text", "text": so_far}]}]
    return [*messages, {"role": "assistant", "content": so_far}]


def _fields(call: Call, headers: Headers) -> dict[bytes, bytes]:
    """The index of `headers`, and what the caller said of its own connection: a head is written by it."""
    return {name: call.fields[name] for name in _OF_THE_HOP if name in call.fields} | index(headers)


def _headers(call: Call, ask: Ask, provider: Provider) -> Headers:
    same = ask.dialect is provider.dialect
    headers: Headers = []
    for pair in call.headers:
        name = pair[0].lower()
        if provider.own and name in _SECRETS:
            continue
        if not same and (name in _SECRETS or name.startswith(_ONE_DIALECTS)):
            continue
        if not same and name == b"content-type" and ask.document is not None:
            continue
        headers.append(pair)
    if provider.credential is not None:
        headers.append(provider.credential)
    if provider.dialect is Dialect.ANTHROPIC and (not same or b"anthropic-version" not in call.fields):
        headers.append((b"anthropic-version", ANTHROPIC_VERSION))
    if not same and ask.document is not None:
        headers.append(_JSON)
    if call.method == b"POST":
        key = call.fields.get(b"idempotency-key") or b"%b-%b" % (provider.sender, call.id.encode())
        if ask.resuming:  # with another body it is another request
            headers = [pair for pair in headers if pair[0].lower() != b"idempotency-key"]
            headers.append((b"Idempotency-Key", b"%b-%d" % (key, len(ask.so_far))))
        elif b"idempotency-key" not in call.fields:
            headers.append((b"Idempotency-Key", key))
    return headers
