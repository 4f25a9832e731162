"""An LLM's answer as it comes: read event by event, passed on whole events at a time.

In the caller's own dialect events go on byte for byte. Evidence is the first event that
is a start or delta of content, a finish reason or an error. A stream that breaks
ends with an error event of the caller's dialect, and never as if it were whole.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import orjson

from sidecar.call import Facts, Sign, What
from sidecar.dialects.continued import Continued
from sidecar.dialects.llm_errors import LlmError, error_event
from sidecar.dialects.response_events import ResponseEvents
from sidecar.dialects.sse import Splitter
from sidecar.dialects.stream_reader import CONTENT, END, ERROR, Meaning
from sidecar.dialects.translated import BadEvent
from sidecar.errors import UpstreamError, UpstreamReset
from sidecar.llm import Kind
from sidecar.replies import let_go

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sidecar.body import ReplayMemory
    from sidecar.call import Attempt, Closer, Reply
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
_EVIDENCE = frozenset({CONTENT, END})
_SEVERAL = frozenset({Kind.CHAT, Kind.COMPLETIONS})
_CONTINUABLE = frozenset({Kind.CHAT, Kind.MESSAGES})
_TOO_EARLY = Facts(What.BROKE, detail="the stream ended before the answer did")


class Translator(Protocol):
    """Says the events of one dialect in another. Both raise `BadEvent`."""

    def feed(self, document: Document) -> bytes: ...

    def end(self) -> bytes: ...


class LlmStream:
    """The chunks of a streamed answer. `begin` first: it returns at evidence.

    `reader` reads what comes, `reader_of_caller` makes one for the caller's own dialect; `translator` is None
    where nothing is translated. What is held back until the answer is whole counts in `memory`.
    """

    def __init__(
        self,
        reply: Reply,
        ask: Ask,
        attempt: Attempt,
        reader: StreamReader,
        translator: Translator | None,
        reader_of_caller: Callable[[], StreamReader],
        memory: ReplayMemory | None = None,
    ) -> None:
        self._reply = reply
        self._ask = ask
        self._attempt = attempt
        self._reader = reader
        self._reader_of_caller = reader_of_caller
        self._translator = translator
        self._memory = memory
        self._loop = asyncio.get_running_loop()
        self._inner: AsyncIterator[bytes] = reply.chunks if reply.chunks is not None else _once(reply.whole or b"")
        self._splitter = Splitter()
        self._counts: dict[str, int] = {}
        self._ready: list[bytes] = []
        self._size = 0
        """Bytes that are ready."""
        self._held = 0
        """Those of them that count in the memory of all calls."""
        self._first: Meaning | None = None
        self._refused = False
        """The first of the content was a refusal already."""
        self._broken: Facts | None = None
        self._cause = b""
        """The provider's own error, as the caller is told it."""
        self._first_cause = b""
        self._told = False
        self._finished_at: float | None = None
        self._asked = _asked_for(ask)
        """Answers that are due: when one is finished the next may not have begun."""
        # A continuation is plain: whoever continues tells the first cause.
        self._plain = ask.resuming
        self._held_back = ask.options.stream == "complete" and not self._plain
        if self._held_back:
            reply.closer = _Closer(self, reply.closer)
        wanted = ask.options.on_break == "continue" and ask.kind in _CONTINUABLE and not self._plain
        self._continued = Continued(ask.kind) if wanted else None
        self._before = ""
        self._used: Usage | None = None
        reply.events = self._counts

    @property
    def error(self) -> tuple[LlmError, Document] | None:
        """After `begin`: the provider's own error, and the event it stood in, where the caller has got nothing yet."""
        error = self._reader.error
        if error is None or not (self._first is ERROR or self._held_back):
            return None
        return error, self._reader.document or {}

    async def begin(self) -> Facts:
        """Read until evidence: that may be an `error`. Raises `UpstreamError` when the stream ends or breaks before."""
        began = False
        while not await self._evident():
            if self._first is None:
                if self._size > LONGEST_WAIT:
                    raise UpstreamError(Facts(What.UNPARSEABLE, detail="a stream of many events without content"))
                continue
            if not began:
                began = True
                self._attempt.began(self._reply)
            if self._size > LONGEST_COMPLETE or not self._holds():
                break
        facts, refused = self._reply.facts, self._reader.refused if self._held_back else self._refused
        return replace(facts, sign=Sign.REFUSAL) if refused else facts

    async def _evident(self) -> bool:
        """Read once more: is it clear now how the attempt went?"""
        await self._advance()
        if self._reply.ended or self._reader.error is not None:
            return True
        live = self._first is not None and not self._held_back
        if self._broken is not None and not live:
            what = What.RESET if self._broken.what is What.BROKE else self._broken.what
            raise UpstreamError(replace(self._broken, what=what, status=0))
        return live

    def _holds(self) -> bool:
        """Whether what is held back has its place in the memory of all calls."""
        memory = self._memory
        if memory is not None:
            if not memory.take(self._size - self._held):
                return False
            self._held = self._size
        return True

    def given(self) -> None:
        """What was held back is the caller's now, or nobody's any more."""
        if self._held and self._memory is not None:
            self._memory.give_back(self._held)
            self._held = 0

    def __aiter__(self) -> LlmStream:
        return self

    async def __anext__(self) -> bytes:
        while True:
            if self._ready:
                ready, self._ready, self._size = self._ready, [], 0
                return ready[0] if len(ready) == 1 else b"".join(ready)
            self.given()
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
        if self._reader.finished and self._reader.choices >= self._asked and not self._in_time():
            self._end(_TOO_EARLY)
            return
        try:
            chunk = await self._inner.__anext__()
        except StopAsyncIteration:
            self._end(_TOO_EARLY)
        except UpstreamError as error:
            self._end(error.facts)
        else:
            self._take(chunk)

    def _take(self, chunk: bytes) -> None:
        """What the caller gets of these bytes: whole events only."""
        reader, counts, translator = self._reader, self._counts, self._translator
        for event in self._splitter.feed(chunk):
            meaning = reader.read(event)
            kind = meaning._value_  # `value` is a function of Python's: 0.2 us twice
            counts[kind] = counts.get(kind, 0) + 1
            if meaning is ERROR:
                self._fail(event)
                break
            if meaning is END and not reader.finished:
                self._broken = _TOO_EARLY
                break
            if translator is None:
                self._give(event.raw)
                if self._continued is not None and reader.document is not None:
                    self._continued.first(reader.document)
            else:
                try:
                    self._give(self._said(event, meaning, translator))
                except BadEvent as error:
                    self._broken = Facts(What.UNPARSEABLE, detail=str(error))
                    if meaning is not Meaning.UNPARSEABLE:  # its text would be lost
                        self._continued = None
                    break
            if self._first is None and meaning in _EVIDENCE:
                self._first, self._refused = meaning, reader.refused
            if reader.done:
                self._reply.ended = True
                break
        if self._splitter.waiting > LONGEST_EVENT:
            self._broken = Facts(What.UNPARSEABLE, detail=f"an event longer than {LONGEST_EVENT:,} bytes")
        self._reply.deltas = reader.tokens
        if reader.usage is not None:
            self._reply.usage = reader.usage if self._used is None else self._used.plus(reader.usage)

    def _give(self, said: bytes) -> None:
        if said:
            self._ready.append(said)
            self._size += len(said)

    def _said(self, event: Event, meaning: Meaning, translator: Translator) -> bytes:
        """One event in the caller's dialect."""
        document = self._reader.document
        if meaning is Meaning.UNPARSEABLE:
            raise BadEvent(f"an event that cannot be read: {event.data[:60]!r}")
        if meaning is Meaning.UNKNOWN or (document is None and meaning is not END):
            return b""
        said = translator.feed(document) if document is not None else b""
        if meaning is END:
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
        self._first = self._first or ERROR
        self._broken = Facts(What.BROKE, detail=f"the provider told an error: {error.message}")
        self._cause = event.raw if self._translator is None else self._as_event(error)

    def _end(self, facts: Facts) -> None:
        """No more comes. An answer that is whole but for its last event gets that from us."""
        if self._splitter.waiting and (ending := _ending(self._splitter.rest)):
            self._take(ending)
        if self._reply.ended or self._broken is not None:
            return
        # Servers that know no `n` end well with one of several: where nothing says so, the others were cut off.
        if not self._reader.finished or (facts is not _TOO_EARLY and self._reader.choices < self._asked):
            self._broken = facts
            return
        self._reply.ended = True
        if self._translator is not None:
            try:
                self._give(self._translator.end())
            except BadEvent as error:
                self._reply.ended, self._broken = False, Facts(What.UNPARSEABLE, detail=str(error))
        else:  # OpenAI's: the other dialects' answers are whole with their last event
            self._give(DONE)

    async def _break(self, facts: Facts) -> None:
        """The stream broke: another target goes on, or the caller is told, of several causes the first."""
        error = LlmError(502, "api_error", UpstreamReset.label, f"the stream broke: {facts.detail}")
        self._first_cause = self._first_cause or self._cause or self._as_event(error)
        # A continuation that broke before it said anything has left the text as it was.
        goes_on = self._reader.resumable or self._first is None
        if self._continued is not None and goes_on and await self._resumed(self._continued, facts.detail):
            return
        self._told = True
        self._give(self._first_cause)

    def _as_event(self, error: LlmError) -> bytes:
        """Responses number their events; of those that are passed on as they come nobody counts."""
        number = self._translator.sequence if isinstance(self._translator, ResponseEvents) else 0
        return error_event(self._ask.kind, error, sequence=number)

    async def _resumed(self, continued: Continued, why: str) -> bool:
        """Go on with a later target's answer. The caller sees one stream, the first cause if there is none."""
        self._before += self._reader.text
        self._ask.resuming, self._ask.so_far = True, continued.prefix(self._before, self._reader.usage)
        let_go(self._reply)
        reply = await self._attempt.resume(why)
        if reply is None:
            return False
        self._first, self._broken, self._cause, self._finished_at = None, None, b"", None
        self._used = self._reply.usage
        self._reply.closer, reply.closer = reply.closer, None
        self._reply.hasten = reply.hasten
        self._inner = reply.chunks if reply.chunks is not None else _once(reply.whole or b"")
        self._splitter, self._reader, self._translator = Splitter(), self._reader_of_caller(), continued
        return True

    def _in_time(self) -> bool:
        """The answer is whole: may what ends it still come? Pings do not prolong that."""
        now = self._loop.time()
        if self._finished_at is None:
            self._finished_at = now
        usage_due = (self._ask.usage_asked or self._translator is not None) and self._reader.usage is None
        return self._hurry(self._finished_at + (USAGE_GRACE if usage_due else FINISH_GRACE) - now)

    def _hurry(self, left: float) -> bool:
        """The next bytes have so many seconds; False when none are left."""
        if left > 0 and self._reply.hasten is not None:
            self._reply.hasten(left)
        return left > 0

    async def _drain(self) -> None:
        """Behind the last event nothing counts: the body's end only keeps the connection."""
        until = self._loop.time() + END_GRACE
        while self._hurry(until - self._loop.time()):
            try:
                await self._inner.__anext__()
            except (StopAsyncIteration, UpstreamError):
                return


class _Closer:
    """Gives back what the reply of an answer holds that is held back."""

    __slots__ = ("_inner", "_stream")

    def __init__(self, stream: LlmStream, inner: Closer | None) -> None:
        self._stream = stream
        self._inner = inner

    def close(self) -> None:
        self._stream.given()
        if self._inner is not None:
            self._inner.close()


def _asked_for(ask: Ask) -> int:
    """How many answers: `n` for each prompt. A list of numbers is one prompt, of tokens."""
    if ask.document is None or ask.kind not in _SEVERAL:
        return 1
    each, prompt = ask.document.get("n"), ask.document.get("prompt")
    prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
    return prompts * each if isinstance(each, int) and each > 1 else prompts


def _ending(rest: bytes) -> bytes:
    """What the last event lacks at its end, where nothing else is missing; empty when it is torn."""
    ending = b"\n" if rest.endswith(b"\n") else b"\n\n"
    data = b"".join(event.data for event in Splitter().feed(rest + ending)).strip()
    try:
        is_whole = data.startswith(b"[DONE]") or isinstance(orjson.loads(data), dict)
    except orjson.JSONDecodeError:
        is_whole = False
    return ending if is_whole else b""


async def _once(whole: bytes) -> AsyncIterator[bytes]:
    if whole:
        yield whole
