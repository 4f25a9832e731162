"""What the stand-in providers have in common: a port, requests seen, answers told beforehand, faults.

A provider of one dialect says how a request is answered and how an error is worded;
`llm_wire.py` writes both. `/_fault`, `/_script` and `/_requests` are for curl.
"""

from __future__ import annotations

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from sidecar.standins import llm_control
from sidecar.standins.http_port import HttpPort
from sidecar.standins.llm_answers import Answer, Text, cut_short
from sidecar.standins.llm_faults import ANSWERLESS, HEALTHY, Fault, Kind
from sidecar.standins.llm_limits import Left, Limits
from sidecar.standins.llm_stream import Event, Reply, spoilt
from sidecar.standins.llm_wire import Broken, Done, Wire
from sidecar.standins.switching import Switching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from aiohttp import web

    from sidecar.llm import Document

LARGEST = 32 << 20
"""Bytes of a request body; beyond it 413, as both providers do."""
REMEMBERED = 1000


@dataclass(slots=True)
class Seen:
    """One request as it came. `body` is None when it is no JSON; `port` is the caller's own, the same for all requests
    of one connection; `fault` is what it met.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    raw: bytes
    body: Any
    port: int
    fault: Fault = HEALTHY

    def header(self, name: str) -> str:
        """All values of the field with a comma between; empty if it was not sent."""
        return ", ".join(value for key, value in self.headers if key.lower() == name.lower())

    @property
    def document(self) -> Document:
        return self.body if isinstance(self.body, dict) else {}

    @property
    def model(self) -> str:
        model = self.document.get("model")
        return model if isinstance(model, str) else ""


@dataclass(eq=False)
class ApiError(Exception):
    """A provider's refusal, in its own words."""

    status: int
    type: str
    message: str
    code: str | None = None
    param: str | None = None


class Provider(HttpPort, ABC):
    """One provider on one port. `async with` it, or `start` and `stop` it.

    `url` is its origin, `api` what the path of an operation is appended to. `models` are those it has (none: any);
    `key` is the only one it takes (empty: any, and none). `pace` is the seconds before each token.

    `requests` are the last thousand as they came, `count` counts all, `faulty` those that met a fault, `abandoned`
    those whose caller left before their end. `arrived` is set by each request and `left` by each that was abandoned;
    who waits for another clears it.
    """

    dialect: str

    def __init__(
        self,
        name: str = "",
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        models: Sequence[str] | None = None,
        key: str = "",
        fault: Fault = HEALTHY,
        pace: float = 0.0,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(host, port)
        self.name = name or self.dialect
        self.models = self.known_models() if models is None else tuple(models)
        self.key = key
        self.fault = fault
        self.pace = pace
        self.clock = clock
        self.limits = limits or Limits(clock=clock)
        self.requests: list[Seen] = []
        self.scripted: deque[Answer] = deque()
        self.count = 0
        self.faulty = 0
        self.abandoned = 0
        self.arrived = asyncio.Event()
        self.left = asyncio.Event()
        self._since_switch = 0
        self._met = 0
        self._switching = Switching(self._become, HEALTHY)

    # What a dialect says.

    @abstractmethod
    def known_models(self) -> tuple[str, ...]: ...

    @abstractmethod
    def speaks(self, seen: Seen) -> bool:
        """Whether the request asks a model for something: only those take scripted answers."""

    @abstractmethod
    def reply(self, seen: Seen, scripted: Answer | None, fault: Fault) -> Reply:
        """The answer. Raises `ApiError`."""

    @abstractmethod
    def error(self, status: int, code: str, model: str) -> ApiError:
        """The provider's own words for a status, and those for a code of OpenAI's with that status."""

    @abstractmethod
    def refusal(self, error: ApiError) -> Reply: ...

    @abstractmethod
    def error_event(self, error: ApiError, seen: Seen) -> Event: ...

    @abstractmethod
    def headers(self, left: Left, seconds: float) -> dict[str, str]:
        """Of every reply: its id, its limits."""

    # What a person or a test does.

    @property
    def api(self) -> str:
        return f"{self.url}/v1"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> str:
        """Begin with the fault given. The URL; with a dead one the port is reserved, and then closed again."""
        await self._open(self._serve)
        await self.switch(self.fault)
        return self.url

    async def stop(self) -> None:
        """Close the port and every connection, busy ones too."""
        self._switching.forget()
        await self._shut()

    def script(self, *answers: Answer | str | list[str]) -> None:
        """What the model says to the next requests, one each; then it makes its own answers again."""
        self.scripted.extend(answer if isinstance(answer, Answer) else Answer(answer) for answer in answers)

    async def switch(self, fault: Fault) -> None:
        """Behave like this from the next request on; `lasts` seconds, if the fault has an end."""
        await self._switching.to(fault)

    async def _become(self, fault: Fault) -> None:
        if fault.kind is Kind.DEAD:
            self._close()
        else:
            await self._open(self._serve)
        self.fault = fault
        self._since_switch = self._met = 0

    # A request.

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith("/_"):
            return await llm_control.answer(self, request)
        try:
            return await self._provide(request)
        except (asyncio.CancelledError, ConnectionResetError):
            self.abandoned += 1
            self.left.set()
            raise

    async def _provide(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        raw = await request.content.read()
        seen = self._note(request, raw)
        fault = self._meets(seen)
        scripted = None
        if self.scripted and fault.kind not in ANSWERLESS and self.speaks(seen):
            scripted = self.scripted.popleft()
            fault = scripted.fault or fault
        seen.fault = fault
        self.faulty += fault.kind is not Kind.NONE
        wire = Wire(request, fault, self.pace)
        try:
            await self._misbehave_before(fault, wire)
            await wire.reply(self._reply(seen, scripted, fault))
        except Broken:
            return Done(broken=True, stays=False)
        return Done(broken=False, stays=request.keep_alive)

    def _note(self, request: web.BaseRequest, raw: bytes) -> Seen:
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            body = None
        path, _, query = request.raw_path.partition("?")
        fields = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers)
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        seen = Seen(request.method, path, query, fields, raw, body, peer[1] if peer else 0)
        self.requests.append(seen)
        del self.requests[:-REMEMBERED]
        self.count += 1
        self.arrived.set()
        return seen

    def _meets(self, seen: Seen) -> Fault:
        fault = self.fault
        if fault.kind is Kind.NONE or (fault.model and fault.model != seen.model):
            return HEALTHY
        meets = fault.meets(self._since_switch) and (not fault.times or self._met < fault.times)
        self._since_switch += 1
        self._met += meets
        return fault if meets else HEALTHY

    async def _misbehave_before(self, fault: Fault, wire: Wire) -> None:
        match fault.kind:
            case Kind.RESET:
                wire.reset()
            case Kind.CLOSE:
                wire.close()
            case Kind.GARBAGE:
                await wire.send(b"\x00\x01\x02 this is no HTTP \xff\xfe\r\n\r\n")
                wire.close()
            case Kind.SLOW:
                await asyncio.sleep(fault.delay)

    def _reply(self, seen: Seen, scripted: Answer | None, fault: Fault) -> Reply:
        began = self.clock()
        left = self.limits.take(len(seen.raw) // 4)
        try:
            reply = self._good(seen, scripted, fault, left)
        except ApiError as error:
            reply = self.refusal(error)
            if fault.kind is Kind.STATUS:
                waits = {"retry-after": fault.retry_after, "retry-after-ms": fault.retry_after_ms}
                reply.headers |= {name: value for name, value in waits.items() if value}
            elif error.status == 429:
                reply.headers["retry-after"] = str(max(1, round(left.reset)))
        reply.headers = {**self.headers(left, self.clock() - began), **reply.headers}
        if reply.events is not None:
            told = self.error_event(self.error(fault.status, fault.code, seen.model), seen)
            reply.events = spoilt(reply.events, fault, told, reply.usage)
        elif fault.kind in {Kind.USAGE_NEVER, Kind.USAGE_NULL} and isinstance(reply.body, dict):
            reply.body.pop("usage", None)
            if fault.kind is Kind.USAGE_NULL:
                reply.body["usage"] = None
        if scripted is not None:
            reply.headers |= scripted.headers
        return reply

    def _good(self, seen: Seen, scripted: Answer | None, fault: Fault, left: Left) -> Reply:
        if fault.kind is Kind.STATUS:
            raise self.error(fault.status, fault.code, seen.model)
        if fault.kind is Kind.IDENTITY_ONLY:
            if seen.header("content-encoding") not in {"", "identity"}:
                raise replace(self.error(400, "", seen.model), status=415)
            if seen.header("accept-encoding") not in {"", "identity"}:
                raise replace(self.error(400, "", seen.model), status=406)
        if len(seen.raw) > LARGEST:
            raise self.error(413, "", seen.model)
        if not left.granted:
            raise self.error(429, "", seen.model)
        reply = self.reply(seen, scripted, fault)
        if reply.events is None and fault.kind is Kind.ERROR_FIRST:
            reply.body = self.refusal(self.error(fault.status, fault.code, seen.model)).body
        if reply.events is None and fault.kind is Kind.EMPTY:
            reply.body = b""
        return reply

    def said(self, scripted: Answer | None, own: Callable[[], Answer], limit: int, stops: Iterable[str]) -> Answer:
        """The scripted answer as it is, or the model's own one within its limits."""
        if scripted is not None:
            return scripted
        answer = own()
        why = cut_short(answer, limit, stops)
        answer.stop = why.partition(":")[0]
        answer.stop_sequence = why.partition(":")[2] or None
        return answer

    def swollen(self, answer: Answer, fault: Fault) -> Answer:
        """With one token more, of the fault's size, if that is the fault."""
        if fault.kind is Kind.HUGE:
            answer.parts.append(Text(("x" * fault.size,)))
        return answer
