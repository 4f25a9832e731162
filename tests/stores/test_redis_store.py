"""Redis as a place where limits are counted: who asks is always answered, and somebody knows whether it is there."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from sidecar.policy.limiter import Window
from sidecar.settings import RedisSettings
from sidecar.stores import redis_store
from sidecar.stores.redis_script import decision, given
from sidecar.stores.redis_store import MOST, PATIENCE, RedisStore
from tests.kit.addresses import free_port
from tests.kit.closing import close
from tests.kit.commands import ROOT
from tests.kit.redis_server import redis_server
from tests.kit.shared_limit import patient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sidecar.stores.redis_store import Asked

WINDOWS = given([Window(100_000, 3600.0, 100_000)])


class Heard:
    """A watch that keeps what it hears."""

    def __init__(self) -> None:
        self.moves: asyncio.Queue[str] = asyncio.Queue()

    def shared(self, seconds: float) -> None: ...

    def alone(self) -> None: ...

    def rejected(self) -> None: ...

    def moved(self, trouble: str) -> None:
        self.moves.put_nowait(trouble)

    async def next(self) -> str:
        async with asyncio.timeout(20):
            return await self.moves.get()


def store(url: str, **settings: Any) -> tuple[RedisStore, Heard]:
    heard = Heard()
    return RedisStore(RedisSettings(url=url, **settings), heard, time.monotonic), heard


def ask(store: RedisStore, key: bytes = b"sidecar:{k:}") -> Asked | None:
    return store.ask(key, lambda _: decision(key, WINDOWS, 1.0, 0.0), 1)


def connections(url: str) -> int:
    """Of others than who asks."""
    with Redis.from_url(url, protocol=2) as redis:
        return len(redis.client_list()) - 1


async def answer(store: RedisStore, key: bytes = b"sidecar:{k:}") -> list[float] | None:
    asked = ask(store, key)
    return None if asked is None else await asked.answered


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    patient(monkeypatch)


@pytest.fixture
async def no_redis() -> AsyncIterator[Callable[[bytes], Any]]:
    """Servers that answer something else, by what they say to whatever they are told."""
    servers = []

    async def begin(says: bytes) -> str:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while says and await reader.read(4096):
                writer.write(says)
            await reader.read()
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        servers.append(server)
        return f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    yield begin
    for server in servers:
        await close(server)


async def test_a_crowd_is_answered_by_one_connection() -> None:
    async with redis_server() as redis:
        ours, _ = store(redis.url)
        asked = [ask(ours) for _ in range(1000)]
        answers = [await one.answered for one in asked if one is not None]
        assert sum(answer is not None and answer[0] == 0.0 for answer in answers) == 1000
        assert connections(redis.url) == 1
        await ours.aclose()
        assert connections(redis.url) == 0


async def test_nobody_there_is_known_without_a_call_and_then_costs_none_anything() -> None:
    ours, heard = store(f"redis://127.0.0.1:{free_port()}")
    ours.begin()
    assert await heard.next() == "unreachable: Connection refused; counting locally"
    assert ours.trouble
    assert ask(ours) is None
    assert 0 < ours.back_in < 1
    await ours.aclose()


async def test_it_is_found_when_it_comes() -> None:
    async with redis_server() as redis:
        await redis.stop()
        ours, heard = store(redis.url, on_failure="reject")
        assert await answer(ours) is None
        assert ours.state == await heard.next() == "unreachable: Connection refused; refusing"
        await redis.start()
        assert await heard.next() == ""
        assert ours.state == "ok"
        assert await answer(ours) is not None
        await ours.aclose()


async def test_silence_costs_a_call_no_more_than_its_patience_and_those_that_wait_no_more_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with redis_server() as redis:
        ours, heard = store(redis.url)
        await answer(ours)
        monkeypatch.setattr(redis_store, "PATIENCE", PATIENCE)
        redis.freeze()
        began = time.monotonic()
        first = ask(ours)
        await asyncio.sleep(PATIENCE / 2)
        second = ask(ours)
        assert first is not None
        assert second is not None
        assert (await first.answered, await second.answered) == (None, None)
        assert time.monotonic() - began > PATIENCE * 0.8
        assert await heard.next() == "unreachable: no answer within 100 ms; counting locally"
        assert ask(ours) is None
        redis.thaw()
        assert await heard.next() == ""
        await ours.aclose()


@pytest.mark.parametrize(
    "says", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\xff\r\n", b"+OK\r\n", b"*1\r\n$1\r\nx\r\n", b"*-1\r\n", b""]
)
async def test_what_is_no_redis_is_told_in_a_line(
    no_redis: Callable[[bytes], Any], says: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_store, "PATIENCE", PATIENCE)
    ours, heard = store(await no_redis(says))
    assert await answer(ours) is None
    told = await heard.next()
    assert told.startswith("unreachable: ")
    assert len(told) < 220
    assert "\n" not in told
    await ours.aclose()


async def test_a_key_that_is_somebody_else_s_is_one_key() -> None:
    async with redis_server() as redis:
        await redis.ask("SET", "sidecar:{theirs:}", "x")
        ours, heard = store(redis.url)
        theirs, mine = ask(ours, b"sidecar:{theirs:}"), ask(ours)
        assert theirs is not None
        assert mine is not None
        assert await theirs.answered is None
        assert await mine.answered is not None
        assert heard.moves.empty()
        assert ours.state.startswith("refuses: WRONGTYPE")
        assert ours.state.endswith("; counting locally")
        await ours.aclose()


@pytest.mark.parametrize(
    ("options", "then", "told"),
    [
        (["--maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"], "maxmemory"),
        (["--replicaof", "127.0.0.1 1"], ["REPLICAOF", "NO", "ONE"], "read only replica"),
        (["--min-replicas-to-write", "1"], ["CONFIG", "SET", "min-replicas-to-write", "0"], "Not enough good replicas"),
        (["--requirepass", "other"], [], "Authentication required"),
        (["--rename-command", "EVALSHA", ""], [], "unknown command"),
    ],
)
async def test_a_redis_that_does_not_write_is_not_believed_to_be_back(
    options: list[str], then: list[str], told: str
) -> None:
    """Full, a replica, of others' rights: it answers every ping."""
    async with redis_server() as redis:
        await redis.stop()
        await redis.start(*options)
        ours, heard = store(redis.url)
        assert await answer(ours) is None
        trouble = await heard.next()
        assert told in trouble
        for _ in range(20):
            await asyncio.sleep(0.02)
            assert ours.trouble
        assert heard.moves.empty()
        if then:
            assert await redis.ask(*then) == "+OK"
            assert await heard.next() == ""
        await ours.aclose()


async def test_a_wrong_password_is_told_without_it() -> None:
    async with redis_server("--requirepass", "secret") as redis:
        ours, heard = store(redis.url.replace("//", "//:s3same@"))
        assert await answer(ours) is None
        assert "s3same" not in await heard.next()
        await ours.aclose()
        right, _ = store(redis.url.replace("//", "//:secret@"))
        assert await answer(right) is not None
        await right.aclose()


def rights() -> list[str]:
    """What the page says that a user with an ACL needs."""
    page = " ".join((ROOT / "docs" / "fleet.md").read_text().split())
    found: str
    (found,) = re.findall(r"`(~sidecar:\*[^`]*)`", page)
    return found.split()


async def test_the_rights_that_the_page_names_are_enough_and_each_is_needed() -> None:
    async with redis_server() as redis:
        for missing in ("", *rights()):
            allowed = [word for word in rights() if word != missing]
            assert await redis.ask("ACL", "SETUSER", "app", "reset", "on", ">pw", *allowed) == "+OK"
            assert await redis.ask("SCRIPT", "FLUSH") == "+OK"
            ours, _ = store(redis.url.replace("//", "//app:pw@").replace("/0", "/1"))
            assert (await answer(ours) is None) == bool(missing), missing
            await ours.aclose()


async def test_a_script_that_takes_for_ever_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async with redis_server("--busy-reply-threshold", "1") as redis:
        ours, heard = store(redis.url)
        await answer(ours)
        monkeypatch.setattr(redis_store, "PATIENCE", PATIENCE)  # until it is busy it says nothing
        busy = asyncio.ensure_future(redis.ask("EVAL", "while true do end", "0"))
        assert "BUSY" in await until_refused(ours, heard)
        assert await redis.ask("SCRIPT", "KILL") == "+OK"
        assert await heard.next() == ""
        await busy
        await ours.aclose()


async def until_refused(ours: RedisStore, heard: Heard) -> str:
    while ours.trouble or await answer(ours) is not None:  # noqa: ASYNC110 - nothing tells when it is busy
        await asyncio.sleep(0.01)
    return await heard.next()


async def test_a_caller_that_leaves_is_not_counted() -> None:
    async with redis_server() as redis:
        ours, _ = store(redis.url)
        left = ask(ours)
        assert left is not None
        left.answered.cancel()
        assert await answer(ours) == [0.0, 99_999.0]
        await ours.aclose()


async def test_beyond_so_many_nobody_waits() -> None:
    ours, _ = store(f"redis://127.0.0.1:{free_port()}")
    asked = [ask(ours) for _ in range(MOST + 1)]
    assert [one for one in asked if one is None] == asked[-1:]
    assert {await one.answered for one in asked if one is not None} == {None}
    await ours.aclose()


async def test_closed_it_answers_what_waits_and_who_comes_late_and_keeps_nothing() -> None:
    async with redis_server() as redis:
        ours, _ = store(redis.url)
        waits = ask(ours)
        assert waits is not None
        await ours.aclose()
        assert waits.answered.done()
        before = asyncio.all_tasks()
        late = await answer(ours)
        assert late is not None
        assert late[1] == pytest.approx(99_998, abs=1)
        await asyncio.sleep(0.01)
        assert asyncio.all_tasks() == before
        assert connections(redis.url) == 0


async def test_closing_waits_for_no_redis_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_store, "PATIENCE", PATIENCE)
    monkeypatch.setattr(redis_store, "PROBE_PATIENCE", 60.0)
    async with redis_server() as redis:
        ours, heard = store(redis.url)
        redis.freeze()
        assert await answer(ours) is None
        await heard.next()
        await asyncio.sleep(0.2)  # it tries again by now
        async with asyncio.timeout(20):
            await ours.aclose()
        redis.thaw()


async def test_closing_what_never_began_is_nothing() -> None:
    ours, _ = store("redis://127.0.0.1:1")
    await ours.aclose()


async def test_without_calls_it_is_looked_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_store, "QUIET", 0.05)
    async with redis_server() as redis:
        ours, heard = store(redis.url)
        ours.begin()
        assert await answer(ours) is not None
        await redis.stop()
        assert "refused" in await heard.next()
        await ours.aclose()


async def test_a_bug_of_ours_keeps_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: object) -> tuple[bytes, ...]:
        raise RuntimeError("a bug")

    async with redis_server() as redis:
        ours, _ = store(redis.url)
        asked = ours.ask(b"k", broken, 1)
        assert asked is not None
        assert await asked.answered is None
        assert "the rate limits' store failed" in caplog.text
        await ours.aclose()
