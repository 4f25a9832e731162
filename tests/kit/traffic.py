"""Steady callers of a sidecar that changes under them: each sends its next call as soon as it has the answer.

async with traffic(sidecar) as callers:
    await callers.turn()        # each has got something that was sent after this line
    ...
assert callers.failures() == []

What is no answer as it should be is a failure, with its reason: the sidecar's retries must hide nothing, so an answer
that took two attempts is one, too. Every answer says which generation served it and what that generation's policy had
sent upstream (`X-Policy`); `Callers.mixed` tells whether the two belong together.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Protocol

import aiohttp
import grpc
import grpc.aio
import orjson

from tests.kit.caller import PATIENCE, Answer, Caller
from tests.kit.rpc_caller import METHOD, ask_unary, opened, told
from tests.kit.running import request
from tests.kit.telling import EVENTS, WORD

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Served:
    """A call that ended well. `live` is the generation that was live for certain when it was sent."""

    kind: str
    live: int
    generation: int
    policy: str


@dataclass
class Told:
    """What all callers of one sidecar have found."""

    live: int = 1
    """The newest generation that the test knows to be live."""
    served: list[Served] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class WrongAnswerError(Exception):
    """What came is not what should have come."""


class Reached(Protocol):
    """A sidecar where callers find it now; it may move."""

    @property
    def port(self) -> int: ...

    @property
    def url(self) -> str: ...

    @property
    def grpc(self) -> str: ...

    @property
    def client_tls(self) -> ssl.SSLContext | None: ...


class Steady(ABC):
    """One caller. `steps` counts what it has got: answers, events, messages."""

    kind = ""

    def __init__(self, sidecar: Reached, said: Told) -> None:
        self.sidecar = sidecar
        self.said = said
        self.calls = 0
        self.steps = 0
        self._stopping = False
        self._stepped = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"caller {self.kind}")

    async def stop(self) -> None:
        """Ends its call well, then hangs up."""
        self._stopping = True
        assert self._task is not None
        async with asyncio.timeout(PATIENCE):
            await self._task

    async def stepped(self, steps: int) -> None:
        """Until it has got so many things more."""
        wanted = self.steps + steps
        async with asyncio.timeout(PATIENCE):
            while self.steps < wanted:
                self._stepped.clear()
                await self._stepped.wait()

    def step(self) -> None:
        self.steps += 1
        self._stepped.set()

    async def _run(self) -> None:
        while not self._stopping:
            live = self.said.live
            try:
                async with asyncio.timeout(PATIENCE):
                    generation, policy = await self.call()
            except (
                WrongAnswerError, OSError, EOFError, TimeoutError, ValueError, KeyError, grpc.RpcError,
                aiohttp.ClientError,
            ) as error:  # fmt: skip
                self.said.wrong.append(f"{self.kind} {self.calls + 1}, sent to generation {live} or later: {error!r}")
                await self.hang_up()
                self.step()
                continue
            self.calls += 1
            self.said.served.append(Served(self.kind, live, generation, policy))
        await self.hang_up()

    @abstractmethod
    async def call(self) -> tuple[int, str]:
        """One call, whole: the generation that served it, and the policy that its upstream was told of."""

    @abstractmethod
    async def hang_up(self) -> None:
        """Leave the connection."""


class Http(Steady):
    """Requests on one connection, kept for as long as the sidecar keeps it; each second one has a body."""

    kind = "http"

    def __init__(self, sidecar: Reached, said: Told) -> None:
        super().__init__(sidecar, said)
        self._caller: Caller | None = None
        self._sent = count()

    async def connected(self) -> Caller:
        if self._caller is None:
            self._caller = await Caller.connect(self.sidecar.port, tls=self.sidecar.client_tls)
        return self._caller

    async def call(self) -> tuple[int, str]:
        caller, number = await self.connected(), next(self._sent)
        body = b"x" * 3000 if number % 2 else b""
        caller.send(request(f"/api/{number}", method="POST" if body else "GET", body=body))
        answer = await caller.answer()
        if answer.fields.get("connection") == "close":
            await self.hang_up()
        generation = _checked(answer.status, answer.fields)
        echo = orjson.loads(answer.body)
        if (echo["path"], echo["body_bytes"]) != (f"/api/{number}", len(body)):
            raise WrongAnswerError(f"another call's answer: {echo}")
        self.step()
        return generation, answer.fields["x-policy"]

    async def hang_up(self) -> None:
        if self._caller is not None:
            await self._caller.close()
            self._caller = None


class Fresh(Http):
    """Requests that each come by a connection of their own, to where the sidecar listens now."""

    kind = "fresh"

    async def call(self) -> tuple[int, str]:
        served = await super().call()
        await self.hang_up()
        return served


class Events(Http):
    """Streams of server-sent events, one after the other on one connection."""

    kind = "sse"

    async def call(self) -> tuple[int, str]:
        head, heard = await self._stream(request("/api/events", "Accept: text/event-stream"))
        numbers = [int(line[4:]) for line in heard.splitlines() if line.startswith(b"id: ")]
        if numbers != list(range(1, EVENTS + 1)) or not heard.endswith(b"event: done\ndata: {}\n\n"):
            raise WrongAnswerError(f"a stream with the events {numbers}")
        return _checked(head.status, head.fields), head.fields["x-policy"]

    async def _stream(self, asked: bytes) -> tuple[Answer, bytes]:
        """The head of a stream, and all that came of it."""
        caller = await self.connected()
        caller.send(asked)
        head = await caller.head()
        if head.fields.get("transfer-encoding") != "chunked":
            raise WrongAnswerError(f"no stream: {head}")
        heard = b""
        while size := int(await caller.reader.readline(), 16):
            heard += await caller.reader.readexactly(size)
            await caller.reader.readexactly(2)
            self.step()
        await caller.reader.readexactly(2)
        if head.fields.get("connection") == "close":
            await self.hang_up()
        return head, heard


class Llm(Events):
    """Answers of a model, streamed."""

    kind = "llm"

    async def call(self) -> tuple[int, str]:
        asked = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        sent = request(
            "/v1/chat/completions", "Content-Type: application/json", method="POST", body=orjson.dumps(asked)
        )
        head, heard = await self._stream(sent)
        said = [line[6:] for line in heard.splitlines() if line.startswith(b"data: ")]
        words = [choice["delta"].get("content", "") for line in said[:-1] for choice in orjson.loads(line)["choices"]]
        if "".join(words) != WORD * EVENTS or said[-1] != b"[DONE]":
            raise WrongAnswerError(f"an answer that says {words}, and at its end {said[-1]!r}")
        return _checked(head.status, head.fields), head.fields["x-policy"]


class WebSocket(Steady):
    """Sockets through which messages go up and come back, one at a time."""

    kind = "websocket"

    async def call(self) -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(self.sidecar.url + "/api/socket") as websocket,
        ):
            fields = {name.lower(): value for name, value in websocket._response.headers.items()}
            generation = _checked(websocket._response.status, fields, wanted=101)
            for number in range(EVENTS):
                await websocket.send_bytes(b"%d" % number)
                if (came := await websocket.receive_bytes()) != b"%d" % number:
                    raise WrongAnswerError(f"{came!r} for {number}")
                self.step()
        return generation, fields["x-policy"]

    async def hang_up(self) -> None:
        """Each call has its own connection."""


class Rpc(Steady):
    """Unary calls on one channel."""

    kind = "unary"

    def __init__(self, sidecar: Reached, said: Told) -> None:
        super().__init__(sidecar, said)
        self._channel: grpc.aio.Channel | None = None
        self._address = ""

    async def connected(self) -> grpc.aio.Channel:
        address = self.sidecar.grpc
        if self._address != address:
            await self.hang_up()
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])
            self._address = address
        return self._channel

    async def call(self) -> tuple[int, str]:
        answer = await ask_unary(await self.connected(), b"hi", method="/p.S/U")
        if answer.short != ("OK", [b"hi"]):
            raise WrongAnswerError(f"{answer}")
        self.step()
        metadata = {name: str(value) for name, value in (*answer.initial, *answer.trailers)}
        return _checked(200, metadata), metadata["x-policy"]

    async def hang_up(self) -> None:
        if self._channel is not None:
            await self._channel.close()
            self._channel = None


class Bidi(Rpc):
    """Streams both ways, one message at a time."""

    kind = "bidi"

    async def call(self) -> tuple[int, str]:
        rpc = opened(await self.connected(), METHOD)
        for number in range(EVENTS):
            await rpc.write(b"%d" % number)
            if (came := await rpc.read()) != b"%d" % number:
                raise WrongAnswerError(f"{came!r} for {number}: {await rpc.code()} {await rpc.details()}")
            self.step()
        await rpc.done_writing()
        answer = await told(rpc)
        if answer.short != ("OK", []):
            raise WrongAnswerError(f"{answer}")
        metadata = {name: str(value) for name, value in (*answer.initial, *answer.trailers)}
        return _checked(200, metadata), metadata["x-policy"]


@dataclass
class Callers:
    """All callers of one sidecar."""

    said: Told
    every: Sequence[Steady]

    async def turn(self, steps: int = 1) -> None:
        """Until each of them has got so many things more."""
        await asyncio.gather(*(each.stepped(steps) for each in self.every))

    async def stop(self) -> None:
        await asyncio.gather(*(each.stop() for each in self.every))

    def live(self, generation: int) -> None:
        """From here on no call may be served by an older one."""
        self.said.live = generation

    def failures(self) -> list[str]:
        """What went wrong, and answers of generations that were no longer live when they were asked for."""
        late = [f"served by an old one: {each}" for each in self.said.served if each.generation < each.live]
        return [*self.said.wrong, *late]

    def mixed(self, policies: Mapping[int, str]) -> list[Served]:
        """Calls that met another policy than that of the generation which they name."""
        return [each for each in self.said.served if policies[each.generation] != each.policy]

    def calls(self) -> Counter[str]:
        return Counter(each.kind for each in self.said.served)


KINDS: tuple[type[Steady], ...] = (Http, Http, Events, Events, Llm, WebSocket, Rpc, Bidi)


@asynccontextmanager
async def traffic(sidecar: Reached, kinds: Sequence[type[Steady]] = KINDS) -> AsyncIterator[Callers]:
    """These callers, who have all got something before the body begins, and end their calls well after it."""
    said = Told()
    callers = Callers(said, [kind(sidecar, said) for kind in kinds])
    for each in callers.every:
        each.start()
    try:
        await callers.turn()
        yield callers
    except BaseException:
        for each in callers.every:
            assert each._task is not None
            each._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await each._task
            await each.hang_up()
        raise
    await callers.stop()


def _checked(status: int, fields: Mapping[str, str], wanted: int = 200) -> int:
    """The generation that a good answer names."""
    if status != wanted or fields["x-sidecar-attempts"] != "1":
        raise WrongAnswerError(f"{status} {dict(fields)}")
    return int(fields["x-sidecar-config"])
