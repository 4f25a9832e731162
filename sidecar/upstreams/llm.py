"""One model of an LLM provider, asked in any dialect.

A decorator around the client that speaks HTTP: it changes what is sent and what comes
back, never whether or when. It reads each answer as far as the engine must know it: an
error's meaning, the tokens used, a refusal, the first token of a stream.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sidecar.call import Facts, What
from sidecar.dialects.anthropic_reader import AnthropicReader
from sidecar.dialects.chat_events import ChatEvents
from sidecar.dialects.message_events import MessageEvents
from sidecar.dialects.openai_reader import OpenAIReader
from sidecar.dialects.rate_headers import rest_told
from sidecar.dialects.response_events import ResponseEvents
from sidecar.dialects.responses_reader import ResponsesReader
from sidecar.dialects.translated import Translated
from sidecar.errors import UpstreamError
from sidecar.llm import Dialect, Kind
from sidecar.replies import let_go
from sidecar.upstreams.llm_answer import (
    LONGEST_ERROR,
    answered,
    failed,
    failed_at_once,
    read_whole,
    rewritten_head,
)
from sidecar.upstreams.llm_request import Model, as_sent, translated, why_not
from sidecar.upstreams.llm_stream import LlmStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.call import Attempt, Call, Reply, Upstream
    from sidecar.dialects.stream_reader import StreamReader
    from sidecar.llm import Ask
    from sidecar.upstreams.llm_request import Provider
    from sidecar.upstreams.llm_stream import Translator

_EVENTS = b"text/event-stream"


class LlmUpstream:
    """An upstream of the protocols openai and anthropic, for calls that have an `Ask`.

    `longest` is the most bytes of a whole answer that is held; `wall` is seconds since 1970.
    """

    def __init__(
        self, inner: Upstream, provider: Provider, model: Model, *, longest: int, wall: Callable[[], float]
    ) -> None:
        self._inner = inner
        self._provider = provider
        self._model = model
        self._longest = longest
        self._wall = wall

    def cannot(self, call: Call) -> str:
        """Why it cannot take the call, empty when it can."""
        return "" if call.llm is None else why_not(call.llm, self._provider)

    async def send(self, call: Call, attempt: Attempt) -> Reply:
        """Send once. Evidence of a whole answer is all of it, of a stream its first content.

        Beside what `inner` raises: `UpstreamError` with UNPARSEABLE for an answer that is none, with RESET for one that
        was cut before its evidence.
        """
        ask = call.llm
        assert ask is not None, "a route to LLM targets reads what is asked"
        reply = await self._inner.send(as_sent(call, ask, self._provider, self._model), attempt)
        try:
            return await self._read(call, ask, attempt, reply)
        except BaseException:
            let_go(reply)
            raise

    async def aclose(self) -> None:
        """Close what `inner` holds."""
        await self._inner.aclose()

    async def _read(self, call: Call, ask: Ask, attempt: Attempt, reply: Reply) -> Reply:
        reply.model = self._model.name
        self._heed(reply)
        encoded = reply.fields.get(b"content-encoding", b"identity").lower() != b"identity"
        if reply.status >= 400:
            body = None if encoded else await read_whole(reply, LONGEST_ERROR)
            # One that nobody can read here has its status.
            return failed(call, ask, reply, body or b"", self._provider, self._model)
        foreign = ask.dialect is not self._provider.dialect
        read = foreign or ask.resuming  # else what nobody can read here is passed on
        if ask.kind is Kind.OTHER or ask.document is None:
            return reply
        if reply.status != 200:
            if read:
                raise _unreadable(f"its status is {reply.status}")
            return reply
        if encoded:
            if read:
                raise _unreadable("it is encoded, though identity was asked for")
            return reply
        if foreign:
            said = translated(ask, self._provider)
            reply.dropped = said.dropped if isinstance(said, Translated) else ()
        content_type = reply.fields.get(b"content-type", b"").lower()
        # Servers that imitate these APIs name the type of their streams in many ways.
        if content_type.startswith(_EVENTS) or (ask.stream and b"json" not in content_type):
            if foreign and not ask.stream:
                raise _unreadable("a stream came where none was asked for")
            return await self._stream(call, ask, attempt, reply, foreign=foreign)
        body = await read_whole(reply, self._longest)
        if body is None:
            if read:
                raise _unreadable(f"it is longer than {self._longest:,} bytes")
            return reply
        return answered(call, ask, reply, body, self._provider, self._model, self._wall())

    def _heed(self, reply: Reply) -> None:
        """What the provider's rate headers tell, unless it says itself when to come back."""
        rest, facts = rest_told(reply.fields, self._wall()), reply.facts
        if rest > 0 and facts.wait is None:
            reply.facts = replace(facts, rest=rest, wait=rest if reply.status == 429 else None)

    async def _stream(self, call: Call, ask: Ask, attempt: Attempt, reply: Reply, *, foreign: bool) -> Reply:
        provider = self._provider
        keep = ask.options.on_break == "continue" and not ask.resuming  # whoever goes on keeps it once for all
        reader = _reader(provider.dialect, ask.kind, keep=keep)
        translator = self._translator(ask) if foreign else None
        stream = LlmStream(
            reply, ask, attempt, reader, translator, lambda: _reader(ask.dialect, ask.kind, keep=keep), call.memory
        )
        reply.facts = await stream.begin()
        if call.span is not None:
            call.span.answered(reader.model)
        error = stream.error
        if error is not None:
            let_go(reply)
            return failed_at_once(call, ask, reply, *error, provider, self._model)
        if foreign:
            rewritten_head(reply, ask.dialect, _EVENTS)
        reply.whole, reply.length, reply.chunks = None, None, stream
        return reply

    def _translator(self, ask: Ask) -> Translator:
        now = int(self._wall())
        if ask.kind is Kind.MESSAGES:
            return MessageEvents()
        if ask.kind is Kind.RESPONSES:
            assert ask.document is not None
            return ResponseEvents(ask.document, created=now)
        return ChatEvents(created=now, usage_asked=ask.usage_asked)


def _reader(dialect: Dialect, kind: Kind, *, keep: bool) -> StreamReader:
    if dialect is Dialect.ANTHROPIC:
        return AnthropicReader(keep_text=keep)
    return ResponsesReader() if kind is Kind.RESPONSES else OpenAIReader(keep_text=keep)


def _unreadable(detail: str) -> UpstreamError:
    return UpstreamError(Facts(What.UNPARSEABLE, status=200, detail=f"the answer cannot be read: {detail}"))
