"""The engine on a stage whose upstreams are LLM providers: real `LlmUpstream`s, and below them what the test plays.

    stage = LlmStage()
    stage.llm(stage.model("a", streams(ROLE, text("Hi"), CUT)), stage.model("b", streams(ROLE, text("Hi"), STOP, DONE)))
    answer = await stage.ask(stream=True)

Bytes of an answer are given, numbers are seconds of silence, None is silence for ever, an exception is raised.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from sidecar.call import NO_DEADLINE, Facts, Reply, What
from sidecar.dialects.ask import read_ask, wants_body
from sidecar.dialects.sse_writing import DONE, data_event, named_event
from sidecar.engine.route import Llm
from sidecar.errors import UpstreamError
from sidecar.llm import Dialect, LlmOptions
from sidecar.policy.rest import Rests
from sidecar.upstreams.llm import LlmUpstream
from sidecar.upstreams.llm_request import Model, Provider
from tests.kit.llm_events import STOP as MESSAGE_STOP
from tests.kit.llm_events import block, chunk, ends, says, start, stop
from tests.kit.stage import Stage, a_call, rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidecar.call import Attempt, Call
    from sidecar.engine.route import Route, Target
    from tests.kit.stage import Answer

__all__ = ["CUT", "DONE", "ENDS", "ROLE", "STARTS", "STOP", "STOPS", "LlmStage", "Says", "answers", "asks", "event"]

OPENAI, ANTHROPIC = Dialect.OPENAI, Dialect.ANTHROPIC
LONGEST = 1 << 20

CUT = UpstreamError(Facts(What.BROKE, detail="the connection was reset"))
ROLE = data_event(chunk({"role": "assistant", "content": ""}))
STOP = data_event(chunk({}, "stop"))
STARTS = named_event(start()) + named_event(block(0))
STOPS = named_event(stop(0)) + named_event(ends("end_turn"))
ENDS = named_event(MESSAGE_STOP)
PING = b": ping\n\n"

Piece = bytes | float | Exception | None


def text(piece: str) -> bytes:
    """A chunk of OpenAI's."""
    return data_event(chunk({"content": piece}))


def word(piece: str) -> bytes:
    """A delta of Anthropic's."""
    return named_event(says(0, piece))


def used(prompt: int = 10, completion: int = 5) -> bytes:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return data_event(chunk(usage=usage))


def event(document: dict[str, Any], name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + orjson.dumps(document) + b"\n\n"


@dataclass
class Says:
    """One answer of a provider: a status with its headers and body, or how it failed; `after` so many seconds."""

    pieces: Sequence[Piece] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    after: float = 0.0
    failure: What | None = None
    wait: float | None = None
    with_head: bool = False
    idle: float = 300.0


def streams(*pieces: Piece, **headers: str) -> Says:
    """Server-sent events."""
    return Says(pieces, headers={"content-type": "text/event-stream", **_names(headers)})


def answers(document: Any, status: int = 200, *, wait: float | None = None, after: float = 0.0, **headers: str) -> Says:
    """A whole answer of JSON, or of the bytes as they are."""
    body = document if isinstance(document, bytes) else orjson.dumps(document)
    told = {"content-type": "application/json", **_names(headers)}
    return Says((body,), status, told, after, wait=wait, with_head=True)


def fails(what: What = What.RESET, *, after: float = 0.0) -> Says:
    return Says(failure=what, after=after)


def _names(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def completion(said: str = "Hello", *, reason: str = "stop", prompt: int = 10, tokens: int = 5) -> dict[str, Any]:
    """OpenAI's whole answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": reason}
    usage = {"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + tokens}
    made = {"id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "gpt-x"}
    return {**made, "choices": [choice], "usage": usage}


class Chunks:
    """A body on virtual time; `idle` is the longest silence, and may be shortened on the way."""

    def __init__(self, pieces: Sequence[Piece], idle: float) -> None:
        self._pieces = list(pieces)
        self._idle = idle
        self.hastened: list[float] = []

    def hasten(self, idle: float) -> None:
        self._idle = idle
        self.hastened.append(round(idle, 3))

    def __aiter__(self) -> Chunks:
        return self

    async def __anext__(self) -> bytes:
        while self._pieces:
            piece = self._pieces.pop(0)
            if isinstance(piece, bytes):
                return piece
            if isinstance(piece, Exception):
                raise piece
            if piece is not None and piece <= self._idle:
                await asyncio.sleep(piece)
                continue
            await asyncio.sleep(self._idle)
            raise UpstreamError(Facts(What.BROKE, detail=f"no byte of the reply came for {self._idle:g} s"))
        raise StopAsyncIteration


class FakeProvider:
    """What the stage's `LlmUpstream`s send to: plays its answers, the last one for ever."""

    def __init__(self, stage: LlmStage, name: str, script: Sequence[Says]) -> None:
        self._stage = stage
        self._name = name
        self.script = list(script)
        self.calls: list[Call] = []
        self.chunks: list[Chunks] = []
        self.held = 0
        self.closed = False

    async def send(self, call: Call, attempt: Attempt) -> Reply:
        self._stage.transcript(f"> {self._name}")
        self.calls.append(call)
        said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if said.after:
            await asyncio.sleep(said.after)
        if said.failure is not None:
            raise UpstreamError(Facts(said.failure))
        pairs = [(name.encode(), value.encode()) for name, value in said.headers.items()]
        facts = Facts(What.REPLY, status=said.status, wait=said.wait)
        reply = Reply(said.status, b"", pairs, facts, dict(pairs))
        if said.with_head:
            (body,) = said.pieces
            assert isinstance(body, bytes)
            reply.whole = body
        else:
            reply.chunks = chunks = Chunks(said.pieces, said.idle)
            reply.hasten = chunks.hasten
            self.chunks.append(chunks)
            reply.closer = _Held(self)
        return reply

    async def aclose(self) -> None:
        self.closed = True

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The bodies that it was sent."""
        return [orjson.loads(call.body.whole or b"") for call in self.calls]


class _Held:
    def __init__(self, provider: FakeProvider) -> None:
        self._provider = provider
        self._closed = False
        provider.held += 1

    def close(self) -> None:
        assert not self._closed, "closed twice"
        self._closed = True
        self._provider.held -= 1


def asks(document: Any = None, *, path: bytes = b"/v1/chat/completions", **told: Any) -> Call:
    """A POST of a question. `fields` are what the caller sent with it; keyword arguments go into its document."""
    fields = told.pop("fields", {})
    wishes = {name: told.pop(name) for name in ("retry", "fallback", "caller_deadline", "memory") if name in told}
    if document is None:
        document = {"model": "gpt-x", "messages": [{"role": "user", "content": "Hi?"}], **told}
    body = document if isinstance(document, bytes) else orjson.dumps(document)
    call = a_call(b"POST", path, fields=fields, body=body, **wishes)
    call.headers = list(fields.items())
    return call


class LlmStage(Stage):
    """A stage with providers. `model` makes a target, `llm` the route, `ask` a call."""

    def __init__(self) -> None:
        super().__init__()
        self.providers: dict[str, FakeProvider] = {}

    def model(
        self,
        name: str,
        *script: Says,
        dialect: Dialect = OPENAI,
        model: str = "",
        own: bool = True,
        prefill: bool = False,
        first_token: float = 0.0,
        first_token_set: bool = False,
        refusal_next: bool = False,
        compatible: bool = True,
        longest: int = LONGEST,
        **told: Any,
    ) -> Target:
        """A target of an LLM provider; `told` are a target's, as `Stage.target` takes them."""
        target = self.target(name, protocol=dialect.value, **told)
        del self.upstreams[name]
        inner = self.providers[name] = FakeProvider(self, name, script or (answers(completion()),))
        credential = (b"authorization", f"Bearer {name}'s".encode()) if own else None
        provider = Provider(dialect, credential, own=own, compatible=compatible)
        upstream = LlmUpstream(inner, provider, Model(model), longest=longest, wall=lambda: 0.0)
        target.service.upstream = upstream
        target.cannot = upstream.cannot
        target.rest = Rests()
        target.own_credential = own
        target.prefill = prefill
        target.first_token, target.first_token_set = first_token, first_token_set
        target.upstream = name
        was = target.rules
        target.rules = rules(
            protocol=dialect.value, statuses=was.statuses, patience=was.patience, max_rest=was.max_rest,
            max_retry_after=was.max_retry_after, refusal_next=refusal_next, give_up_after=first_token or 1.0,
            give_up_on_reasoning=300.0,
        )  # fmt: skip
        return target

    def llm(
        self,
        *targets: Target,
        models: dict[str, tuple[Target, ...]] | None = None,
        known: dict[str, tuple[Target, ...]] | None = None,
        options: LlmOptions | None = None,
        **told: Any,
    ) -> Route:
        """The only route, to these targets."""
        knows = Llm(read_ask, wants_body, options or LlmOptions(), LONGEST, models or {}, known or {}, self.static())
        return self.route(*targets, **{"deadline": NO_DEADLINE, "llm": knows, **told})

    async def ask(self, document: Any = None, **told: Any) -> Answer:
        """One question, from its start to the end of its answer."""
        call = asks(document, **told)
        call.started = self.clock()
        return await self.send(call)

    def asking(self, document: Any = None, **told: Any) -> asyncio.Task[Answer]:
        """The same while the test goes on."""
        return asyncio.create_task(self.ask(document, **told))

    def everything_is_given_back(self) -> None:
        super().everything_is_given_back()
        assert {name: provider.held for name, provider in self.providers.items() if provider.held} == {}
        assert len(self.engine.flights) == 0
