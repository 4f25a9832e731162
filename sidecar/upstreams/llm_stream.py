"""An LLM's answer as it comes: read event by event, passed on whole events at a time.

In the caller's own dialect events go on byte for byte. Evidence is the first event that
is a start or delta of content, a finish reason or an error. A stream that breaks
ends with an error event of the caller's dialect, and never as if it were whole.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import orjson

from sidecar.call import Facts, Sign, What
from sidecar.dialects.continued import Continued
from sidecar.dialects.llm_errors import LlmError, error_event
from sidecar.dialects.response_events import ResponseEvents
from sidecar.dialects.sse import Splitter
from sidecar.dialects.stream_reader import Meaning
from sidecar.dialects.translated import BadEvent
from sidecar.errors import Refused, UpstreamError, UpstreamReset
from sidecar.llm import Kind
from sidecar.upstreams.llm_answer import close

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sidecar.call import Attempt, Reply
    from sidecar.dialects.sse import Event
    from sidecar.dialects.stream_reader import StreamReader
    from sidecar.llm import Ask, Document, Usage

FINISH_GRACE = 1.0
"""Seconds that a provider has, once the answer is whole, to say that it is."""

USAGE_GRACE = 5.0
"""The same where the usage was asked for and has not come."""

END_GRACE = 0.25
"""Seconds to end the body behind the last event, so that the connection can be used again."""

LONGEST_WAIT = 1 << 20
"""Bytes of events without content that are kept until some comes."""

LONGEST_EVENT = 8 << 20
"""Bytes of one event, which is passed on whole."""

LONGEST_COMPLETE = 8 << 20
"""Bytes of an answer that is held back until it is whole."""

DONE = b"data: [DONE]\n\n"
_EVIDENCE = frozenset({Meaning.CONTENT, Meaning.ERROR, Meaning.END})
_SAYS_DONE = frozenset({Kind.CHAT, Kind.COMPLETIONS})
_CONTINUABLE = frozenset({Kind.CHAT, Kind.MESSAGES})
_TOO_EARLY = Facts(What.BROKE, detail="the stream ended before the answer did")


class Translator(Protocol):
    """Says the events of one dialect in another. Both raise `BadEvent`."""

    def feed(self, document: Document) -> bytes: ...

    def end(self) -> bytes: ...


class LlmStream:
    """The chunks of a streamed answer. `begin` first: it returns at evidence.

    `reader` reads what comes, `reader_of_caller` makes one for the caller's own dialect; `translator` is None
    where nothing is translated.
    """

    def __init__(
        self,
        reply: Reply,
        ask: Ask,
        attempt: Attempt,
        reader: StreamReader,
        translator: Translator | None,
        reader_of_caller: Callable[[], StreamReader],
    ) -> None:
        self._reply = reply
        self._ask = ask
        self._attempt = attempt
        self._reader = reader
        self._reader_of_caller = reader_of_caller
        self._translator = translator
        self._inner: AsyncIterator[bytes] = reply.chunks if reply.chunks is not None else _once(reply.whole or b"")
        self._splitter = Splitter()
        self._counts: dict[str, int] = {}
        self._ready = b""
        self._first: Meaning | None = None
        self._broken: Facts | None = None
        self._cause = b""
        """The provider's own error, as the caller is told it."""
        self._told = False
        self._grace = 0.0
        # A continuation is plain: whoever continues tells the first cause.
        self._plain = bool(ask.so_far)
        self._held_back = ask.options.stream == "complete" and not self._plain
        wanted = ask.options.on_break == "continue" and ask.kind in _CONTINUABLE and not self._plain
        self._continued = Continued(ask.kind) if wanted else None
        self._before = ""
        self._used: Usage | None = None
        reply.events = self._counts

    @property
    def error(self) -> tuple[LlmError, Document] | None:
        """After `begin`: the provider's own error, and the event it stood in, where it came before all evidence."""
        error = self._reader.error
        if error is None or not (self._first is Meaning.ERROR or self._held_back):
            return None
        return error, self._reader.document or {}

    async def begin(self) -> Facts:
        """Read until evidence: that may be an `error`. Raises `UpstreamError` when the stream ends or breaks before."""
        began = False
        while True:
            await self._advance()
            if self._first is Meaning.ERROR or (self._first is not None and not self._held_back):
                break
            if self._reader.error is not None or self._reply.ended:
                break
            if self._broken is not None:
                what = What.RESET if self._broken.what is What.BROKE else self._broken.what
                raise UpstreamError(replace(self._broken, what=what, status=0))
            if self._first is None:
                if len(self._ready) > LONGEST_WAIT:
                    raise UpstreamError(Facts(What.UNPARSEABLE, detail="a stream of many events without content"))
            elif len(self._ready) > LONGEST_COMPLETE:
                break
            elif not began:
                began = True
                self._attempt.began()
        facts = self._reply.facts
        return replace(facts, sign=Sign.REFUSAL) if self._reader.refused else facts

    def __aiter__(self) -> LlmStream:
        return self

    async def __anext__(self) -> bytes:
        while True:
            if self._ready:
                ready, self._ready = self._ready, b""
                return ready
            if self._broken is not None:
                if self._told or self._plain:
                    raise UpstreamError(replace(self._broken, what=What.BROKE))
                await self._break(self._broken)
            elif self._reply.ended:
                await self._drain()
                raise StopAsyncIteration
            else:
                await self._advance()

    async def _advance(self) -> None:
        """Read once more: what is due for the caller is `ready` then, or the stream is `broken`, or it has ended."""
        reader = self._reader
        if reader.finished:
            self._hurry(USAGE_GRACE if self._ask.usage_asked and reader.usage is None else FINISH_GRACE)
        try:
            chunk = await self._inner.__anext__()
        except StopAsyncIteration:
            self._end(_TOO_EARLY)
        except UpstreamError as error:
            self._end(error.facts)
        else:
            self._ready += self._take(chunk)

    def _take(self, chunk: bytes) -> bytes:
        """What the caller gets of these bytes: whole events only."""
        reader, counts, translator = self._reader, self._counts, self._translator
        out: list[bytes] = []
        for event in self._splitter.feed(chunk):
            meaning = reader.read(event)
            counts[meaning.value] = counts.get(meaning.value, 0) + 1
            if self._first is None and meaning in _EVIDENCE:
                self._first = meaning
            if meaning is Meaning.ERROR:
                self._fail(event)
                break
            if meaning is Meaning.END and not reader.finished:
                self._broken = _TOO_EARLY
                break
            if translator is None:
                out.append(event.raw)
                if self._continued is not None and reader.document is not None:
                    self._continued.first(reader.document)
            else:
                try:
                    out.append(self._said(event, meaning, translator))
                except BadEvent as error:
                    self._broken = Facts(What.UNPARSEABLE, detail=str(error))
                    break
            if reader.done:
                self._reply.ended = True
                break
        if self._splitter.waiting > LONGEST_EVENT:
            self._broken = Facts(What.UNPARSEABLE, detail=f"an event longer than {LONGEST_EVENT:,} bytes")
        if reader.usage is not None:
            self._reply.usage = reader.usage if self._used is None else self._used.plus(reader.usage)
        return out[0] if len(out) == 1 else b"".join(out)

    def _said(self, event: Event, meaning: Meaning, translator: Translator) -> bytes:
        """One event in the caller's dialect."""
        document = self._reader.document
        if meaning is Meaning.UNPARSEABLE:
            raise BadEvent(f"an event that cannot be read: {event.data[:60]!r}")
        if meaning is Meaning.UNKNOWN or (document is None and meaning is not Meaning.END):
            return b""
        said = translator.feed(document) if document is not None else b""
        if meaning is Meaning.END:
            said += translator.end()
        if self._continued is not None and translator is not self._continued:
            for told in Splitter().feed(said):
                if told.data.startswith(b"{"):
                    self._continued.first(orjson.loads(told.data))
        return said

    def _fail(self, event: Event) -> None:
        """The provider told an error."""
        error = self._reader.error
        assert error is not None
        self._broken = Facts(What.BROKE, detail=f"the provider told an error: {error.message}")
        self._cause = event.raw if self._translator is None else self._as_event(error)

    def _end(self, facts: Facts) -> None:
        """No more comes. An answer that is whole but for its last event gets that from us."""
        if self._splitter.waiting:  # the last event without its blank line
            last = self._take(b"\n\n")
            if self._reader.finished:
                self._ready += last
        if self._reply.ended or self._broken is not None:
            return
        if not self._reader.finished:
            self._broken = facts
            return
        self._reply.ended = True
        if self._translator is not None:
            try:
                self._ready += self._translator.end()
            except BadEvent as error:
                self._reply.ended, self._broken = False, Facts(What.UNPARSEABLE, detail=str(error))
        elif self._ask.kind in _SAYS_DONE:
            self._ready += DONE

    async def _break(self, facts: Facts) -> None:
        """The stream broke: another target goes on, or the caller is told."""
        if self._continued is not None and self._reader.resumable and await self._resumed(self._continued):
            return
        self._told = True
        error = LlmError(502, "api_error", UpstreamReset.label, f"the stream broke: {facts.detail}")
        self._ready = self._cause or self._as_event(error)

    def _as_event(self, error: LlmError) -> bytes:
        """Responses number their events; of those that are passed on as they come nobody counts."""
        number = self._translator.sequence if isinstance(self._translator, ResponseEvents) else 0
        return error_event(self._ask.kind, error, sequence=number)

    async def _resumed(self, continued: Continued) -> bool:
        """Go on with a later target's answer. The caller sees one stream, the first cause if there is none."""
        self._before += self._reader.text
        self._ask.so_far = continued.prefix(self._before)
        close(self._reply)
        try:
            reply = await self._attempt.resume()
        except (UpstreamError, Refused):
            return False
        if reply is None:
            return False
        self._broken, self._cause, self._grace = None, b"", 0.0
        self._used = self._reply.usage
        self._reply.closer, reply.closer = reply.closer, None
        self._reply.hasten = reply.hasten
        self._inner = reply.chunks if reply.chunks is not None else _once(reply.whole or b"")
        self._splitter, self._reader, self._translator = Splitter(), self._reader_of_caller(), continued
        return True

    def _hurry(self, seconds: float) -> None:
        if seconds != self._grace and self._reply.hasten is not None:
            self._grace = seconds
            self._reply.hasten(seconds)

    async def _drain(self) -> None:
        """Behind the last event nothing counts: the body's end only keeps the connection."""
        self._hurry(END_GRACE)
        try:
            async for _ in self._inner:
                pass
        except UpstreamError:
            return


async def _once(whole: bytes) -> AsyncIterator[bytes]:
    if whole:
        yield whole
