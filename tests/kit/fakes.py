"""One good fake for each interface of the engine: an upstream that plays a script, observers that write lines."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidecar.call import Facts, Reply, Sign, What
from sidecar.errors import UpstreamError
from tests.kit.virtual_loop import START

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from sidecar.call import Attempt, Call, Outcome, Summary
    from sidecar.llm import Usage
    from sidecar.policy.breaker import Breaker

FAILURES = {
    "no-connection": What.NO_CONNECTION,
    "stale": What.DEAD_UNWRITTEN,
    "stale-written": What.DEAD_WRITTEN,
    "reset": What.RESET,
    "unparseable": What.UNPARSEABLE,
    "pool-full": What.OVERLOADED,
    "cannot-carry": What.CANNOT_CARRY,
    "late": What.CALLER_DEADLINE,
}


class Transcript:
    """What happened, a line each, with the seconds since the start of the virtual loop before it."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, line: str) -> None:
        self.lines.append(f"{self.now:g} {line}")

    @property
    def now(self) -> float:
        return round(asyncio.get_running_loop().time() - START, 3)

    def of(self, *words: str) -> list[str]:
        """The lines in which one of these words stands."""
        return [line for line in self.lines if any(word in line for word in words)]


@dataclass
class _Scene:
    """One entry of a script, read."""

    status: int = 200
    failure: What | None = None
    after: float = 0.0
    every: float = 0.0
    wait: float | None = None
    sign: Sign | None = None
    grpc: str = ""
    stream: list[bytes] | None = None
    flags: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, text: str) -> _Scene:
        scene = cls()
        for word in text.split():
            name, _, value = word.partition("=")
            if name.isdecimal():
                scene.status = int(name)
            elif name in FAILURES:
                scene.failure = FAILURES[name]
            elif name in ("after", "every"):
                setattr(scene, name, float(value.removesuffix("s")))
            elif name == "retry-after":
                scene.wait = float(value)
            elif name == "sign":
                scene.sign = Sign(value)
            elif name == "grpc":
                scene.grpc = value
            elif name == "stream":
                scene.stream = [piece.encode() for piece in value.split(",")]
            else:
                assert name in ("ok", "hang", "cut", "stall", "crash", "early", "big", "trailers"), f"no scene: {word}"
                scene.flags.add(name)
        if "big" in scene.flags:
            scene.stream = [b"x" * 1000] * 100
        return scene


class FakeUpstream:
    """Plays a script, one entry per attempt; the last one goes on for ever.

    An entry is words: a status or `ok`; how it fails (`FAILURES`), `hang` or `crash`;
    `after=3s` (time to evidence), `retry-after=2`, `sign=…`, `grpc=…`;
    `stream=a,b` with `every=1s` for a body in chunks, `big` for one of 100 kB, which
    may end in `cut` or `stall`; `trailers`; `early` answers before the request's body is read.
    """

    def __init__(self, name: str, transcript: Transcript, script: tuple[str, ...]) -> None:
        self.name = name
        self.script = list(script)
        self.bodies: list[bytes] = []
        """The request bodies that came whole."""
        self.addresses: list[int] = []
        self.attempt: Attempt | None = None
        """The last one, as it was given."""
        self.held = 0
        """Replies that are not closed yet."""
        self.closed = False
        self._transcript = transcript

    async def send(self, call: Call, attempt: Attempt) -> Reply:
        self._transcript(f"> {self.name}{' fresh' if attempt.fresh else ''}")
        self.addresses.append(attempt.address)
        self.attempt = attempt
        scene = _Scene.read(self.script.pop(0) if len(self.script) > 1 else self.script[0])
        if "early" not in scene.flags:
            await self._read(call, attempt)
        if scene.after:
            await asyncio.sleep(scene.after)
        if "hang" in scene.flags:
            await asyncio.get_running_loop().create_future()
        if "crash" in scene.flags:
            raise ZeroDivisionError
        if scene.failure is not None:
            raise UpstreamError(Facts(scene.failure, sign=scene.sign))
        return self._reply(scene)

    async def aclose(self) -> None:
        self.closed = True

    async def _read(self, call: Call, attempt: Attempt) -> None:
        body = b""
        async for piece in call.body.pieces():
            body += piece
        self.bodies.append(body)
        if call.body.whole is None:
            attempt.sent()

    def _reply(self, scene: _Scene) -> Reply:
        facts = Facts(What.REPLY, status=scene.status, wait=scene.wait, sign=scene.sign, grpc_code=scene.grpc)
        whole = None if scene.stream is not None else f"{self.name} says {scene.status}".encode()
        reply = Reply(scene.status, b"", [], facts, {}, whole=whole)
        if scene.stream is not None:
            reply.chunks = self._chunks(scene, reply)
            reply.closer = _Held(self)
        return reply

    async def _chunks(self, scene: _Scene, reply: Reply) -> AsyncIterator[bytes]:
        for piece in scene.stream or ():
            if scene.every:
                await asyncio.sleep(scene.every)
            yield piece
        if "stall" in scene.flags:
            await asyncio.get_running_loop().create_future()
        if "cut" in scene.flags:
            raise UpstreamError(Facts(What.BROKE, detail="cut"))
        if "trailers" in scene.flags:
            reply.trailers = [(b"Checksum", b"1")]


class _Held:
    """What a streamed reply holds until it is closed; a second close may hit the connection's next user."""

    def __init__(self, upstream: FakeUpstream) -> None:
        self._upstream = upstream
        self._closed = False
        upstream.held += 1

    def close(self) -> None:
        assert not self._closed, "closed twice"
        self._closed = True
        self._upstream.held -= 1


class FakeTargetObserver:
    def __init__(self, name: str, transcript: Transcript) -> None:
        self._name = name
        self._transcript = transcript
        self.times: list[tuple[float, float]] = []
        """Seconds and time to evidence of each attempt."""

    def attempted(self, call: Call, outcome: Outcome, seconds: float, ttfb: float) -> None:
        self._transcript(f"{self._name}: {outcome.label}")
        self.times.append((round(seconds, 3), round(ttfb, 3)))

    def spent(self, call: Call, usage: Usage, *, wasted: bool) -> None:
        self._transcript(f"{self._name} {'wasted' if wasted else 'spent'} {usage.input}+{usage.output}")

    def streamed(self, events: Mapping[str, int]) -> None:
        self._transcript(f"{self._name} streamed {dict(events)}")

    def retried(self, call: Call, reason: str) -> None:
        self._transcript(f"{self._name} again: {reason}")

    def rested(self, seconds: float, reason: str) -> None:
        self._transcript(f"{self._name} rests {seconds:g}s: {reason}")

    def budget_exhausted(self, call: Call) -> None:
        self._transcript(f"{self._name}: no budget")


class FakeRouteObserver:
    def __init__(self, name: str, transcript: Transcript) -> None:
        self._name = name
        self._transcript = transcript
        self.summaries: list[Summary] = []
        self._running = 0

    def started(self, call: Call) -> None:
        self._running += 1

    def fell_back(self, call: Call, source: str, target: str, reason: str) -> None:
        self._transcript(f"{source} -> {target}: {reason}")

    def refused_by_limit(self, call: Call) -> None:
        self._transcript(f"{self._name}: over the limit")

    def replay_skipped(self, call: Call, reason: str) -> None:
        self._transcript(f"{self._name}: no replay, {reason}")

    def finished(self, call: Call, summary: Summary) -> None:
        self._running -= 1
        assert self._running >= 0, "finished without a start, or twice"
        self._transcript(f"{self._name} = {summary.outcome} {call.status}")
        self.summaries.append(summary)


def hear_breaker(transcript: Transcript, breaker: Breaker, new: str) -> None:
    transcript(f"{breaker.name} is {new}")
