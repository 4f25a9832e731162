"""Redis' own client for what `[redis]` says: a connection, or a client with a pool.

Nothing here connects. Nothing is tried twice by the client itself: whoever asks knows how long it may take, and what to
do when nobody answers. RESP2 is spoken, which every server knows (Redis from 5 on, Valkey).
"""

from __future__ import annotations

import os
import socket
import ssl
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis
from redis.asyncio.connection import Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

    from sidecar.settings import RedisSettings

CONNECT = 2.0
"""Seconds until a server must have taken a connection, and our name and password."""

LONGEST = 160
"""Characters of what is told of an error: what is no Redis may have answered anything."""

AWAY = (RedisError, OSError)
"""What is raised when nobody answers, or not as a Redis does. `TimeoutError` is an `OSError`."""


def connection(settings: RedisSettings, at: tuple[str, int] | None = None) -> AbstractConnection:
    """One that is not connected yet. Its answers may take for ever: who reads them has a time of his own.

    `at`: another host and port than the file's.
    """
    arguments: dict[str, Any] = {**parse_url(settings.url)}
    if at is not None:
        arguments["host"], arguments["port"] = at
    kind: type[AbstractConnection] = arguments.pop("connection_class", Connection)
    return kind(**arguments, **_common(), socket_timeout=None)


async def connect(line: AbstractConnection) -> None:
    """Connect, and ask whether we may: who is not known may not even say more than ten words. Raises `AWAY`."""
    await line.connect()  # type: ignore[no-untyped-call]  # redis-py has not typed it
    await line.send_command("PING", check_health=False)
    await line.read_response()


def client(settings: RedisSettings, *, timeout: float | None = None) -> Redis:
    """One with a pool of its own, to be closed by `aclose`. `timeout` (seconds) is of each answer; None: any time."""
    made: Redis = Redis.from_url(settings.url, **_common(), socket_timeout=timeout)
    return made


def _common() -> dict[str, Any]:
    return {"protocol": 2, "retry": Retry(NoBackoff(), 0), "socket_connect_timeout": CONNECT}


def why(error: BaseException) -> str:
    """What is told of an error: one line of bounded length, the system's own word where that is the cause."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OSError) and cause.errno and not isinstance(cause, socket.gaierror | ssl.SSLError):
        return os.strerror(cause.errno)
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    told = " ".join(str(error).split()) or type(error).__name__
    return told if len(told) <= LONGEST else told[: LONGEST - 1] + "…"
