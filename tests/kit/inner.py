"""An upstream below a decorator: it keeps the calls as they reached it and answers what it was given."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sidecar.body import Body, Messages
from sidecar.call import Call, Facts, Reply, What, Wire
from sidecar.dialects.beamline import DECIDE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sidecar.call import Attempt, Header


class Inner:
    """`answers` are given in turn, the last one for ever; an exception is raised, None is never answered."""

    def __init__(self, *answers: Reply | Exception | None) -> None:
        self.answers = list(answers)
        self.calls: list[Call] = []
        self.attempts: list[Attempt] = []
        self.closed = False

    async def send(self, call: Call, attempt: Attempt) -> Reply:
        self.calls.append(call)
        self.attempts.append(attempt)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            await asyncio.get_running_loop().create_future()
        if isinstance(answer, Exception):
            raise answer
        assert answer is not None
        return answer

    async def aclose(self) -> None:
        self.closed = True

    @property
    def call(self) -> Call:
        """The only one."""
        (call,) = self.calls
        return call


class Closed:
    """Counts how often a reply was closed: its connection may be another call's after the first."""

    times = 0

    def close(self) -> None:
        self.times += 1


def http_answer(status: int, body: bytes, *headers: Header, wait: float | None = None) -> Reply:
    pairs = [(b"Content-Type", b"application/json"), *headers]
    facts = Facts(What.REPLY, status=status, wait=wait)
    return Reply(status, b"", pairs, facts, {name.lower(): value for name, value in pairs}, whole=body)


def in_pieces(reply: Reply, *pieces: bytes | Exception | None) -> Closed:
    """Let the reply's body come in pieces; an exception is raised, None never comes."""

    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces:
            if piece is None:
                await asyncio.get_running_loop().create_future()
            if isinstance(piece, Exception):
                raise piece
            assert piece is not None
            yield piece

    reply.whole, reply.chunks = None, chunks()
    reply.closer = closed = Closed()
    return closed


def grpc_answer(message: bytes) -> Reply:
    reply = Reply(200, b"", [], Facts(What.REPLY, status=200, grpc_code="OK"), {}, whole=message)
    reply.code = "OK"
    return reply


def grpc_status(code: str, message: str, facts: Facts | None = None) -> Reply:
    """A status alone."""
    reply = Reply(200, b"", [], facts or Facts(What.REPLY, status=200, grpc_code=code), {})
    reply.code, reply.message = code, message
    return reply


def grpc_call(message: bytes | Messages, *metadata: Header, method: bytes = DECIDE) -> Call:
    """A unary call, as the listener would make it; one whose messages are still to come when it is given those."""
    call = Call(
        id="ours-1",
        correlation_id="ours-1",
        wire=Wire.GRPC,
        method=b"POST",
        target=method,
        path=method,
        headers=list(metadata),
        fields=dict(metadata),
        body=Messages.of(message) if isinstance(message, bytes) else message,
        started=0.0,
        traceparent=b"00-trace",
    )
    call.unary = isinstance(message, bytes)
    return call


def http_call(body: bytes | Body, *headers: Header, path: bytes = b"/api/v1/routes/decide") -> Call:
    """A POST, as the listener would make it."""
    return Call(
        id="ours-1",
        correlation_id="ours-1",
        wire=Wire.HTTP,
        method=b"POST",
        target=path,
        path=path.partition(b"?")[0],
        headers=list(headers),
        fields={name.lower(): value for name, value in headers},
        body=Body.of(body) if isinstance(body, bytes) else body,
        started=0.0,
        traceparent=b"00-trace",
    )


def still_coming(kind: type[Body], *pieces: bytes) -> Body:
    """A body of which nothing has been read yet."""
    left: list[bytes | None] = [*pieces, None if kind is Messages else b""]
    return kind(lambda: left.pop(0), length=None)
