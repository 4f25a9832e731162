"""The client for what `[redis]` says."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio.connection import Connection, SSLConnection

from sidecar.settings import RedisSettings
from sidecar.stores.redis_client import AWAY, LONGEST, client, connect, connection, why
from tests.kit.addresses import free_port
from tests.kit.redis_server import redis_server


def test_who_and_where_are_read_from_the_url() -> None:
    made = connection(RedisSettings(url="redis://me:p%40ss@h:7000/3"))
    assert isinstance(made, Connection)
    assert (made.host, made.port, made.db, made.username, made.password) == ("h", 7000, 3, "me", "p@ss")
    assert (made.protocol, made.socket_timeout) == (2, None)


def test_tls_holds_the_server_to_its_certificate_and_its_name() -> None:
    made = connection(RedisSettings(url="rediss://h"))
    assert isinstance(made, SSLConnection)
    assert made.check_hostname
    assert made.cert_reqs.name == "CERT_REQUIRED"


async def test_a_connection_and_a_client_reach_the_database_of_the_url() -> None:
    async with redis_server() as redis:
        settings = RedisSettings(url=redis.url.replace("/0", "/5"))
        both = client(settings, timeout=5.0)
        await both.set("a", "1")
        line = connection(settings)
        await connect(line)
        await line.send_command("GET", "a")
        assert await line.read_response() == b"1"
        await line.disconnect()
        await both.aclose()
        assert await redis.ask("EXISTS", "a") == ":0"


async def test_nobody_there_is_told_at_once() -> None:
    nobody = connection(RedisSettings(url=f"redis://127.0.0.1:{free_port()}"))
    with pytest.raises(AWAY) as raised:
        await connect(nobody)
    assert why(raised.value) == "Connection refused"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError("a\r\nb  c"), "a b c"),
        (TimeoutError(), "no answer in time"),
        (EOFError(), "EOFError"),
        (asyncio.IncompleteReadError(b"", 3), "0 bytes read on a total of 3 expected bytes"),
        (ValueError("x" * 1000), "x" * (LONGEST - 1) + "…"),
    ],
)
def test_what_is_told_of_an_error_is_one_line_and_not_long(error: Exception, told: str) -> None:
    assert why(error) == told
