"""What a reload would do, told without doing it; held against a real one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sidecar.config.listeners import Moved
from sidecar.errors import ConfigError
from sidecar.rehearsal import Rehearsal, rehearse
from tests.kit.policy_file import load
from tests.kit.running import one, running, with_listeners

if TYPE_CHECKING:
    from pathlib import Path

URL = "http://127.0.0.1:1"
KEYS = 'pool = { max = 3 }\nhealth = { path = "/healthz" }\nconcurrency = { max = 3 }'
POLICY = one(URL, upstream=KEYS, route="rate_limit = { per_minute = 4 }")
GRPC = (
    '[upstreams.g]\nprotocol = "grpc"\nurl = "grpc://127.0.0.1:1"\n[routes.g]\nmatch = { grpc = "*" }\nchain = ["g"]\n'
)


async def rehearsed(old: str, new: str) -> Rehearsal:
    return await rehearse(load(old), load(new), {})


async def test_the_same_file_keeps_everything() -> None:
    found = await rehearsed(POLICY + GRPC, POLICY + GRPC)
    assert (found.parts.made, found.parts.reset, found.parts.dropped) == ((), (), ())
    assert {kind for kind, _ in found.parts.kept} == {
        "http",
        "grpc",
        "breaker",
        "rest",
        "budget",
        "limit",
        "concurrency",
    }
    assert found.moves == ((), ())


@pytest.mark.parametrize(
    ("old", "new", "reset"),
    [
        ("pool = { max = 3 }", "pool = { max = 4 }", {("http", "a")}),
        ("/healthz", "/health", {("http", "a")}),
        ("concurrency = { max = 3 }", "concurrency = { max = 4 }", set()),
        ("per_minute = 4", "per_minute = 5", {("limit", "route r")}),
        (KEYS, KEYS + "\ncircuit_breaker = { window = 9 }", {("breaker", "a")}),
        (URL, "http://127.0.0.1:2", {("http", "a"), ("rest", "r/a")}),
        ('chain = ["a"]', 'chain = ["a"]\nretry = { budget = 1 }', {("budget", "a")}),
        ('path = "/*"', 'path = "/x/*"', set()),
    ],
)
async def test_what_has_other_settings_begins_anew(old: str, new: str, reset: set[tuple[str, str]]) -> None:
    found = await rehearsed(POLICY, POLICY.replace(old, new))
    assert set(found.parts.reset) == reset
    assert (found.parts.made, found.parts.dropped) == ((), ())


async def test_a_renamed_upstream_is_dropped_and_made() -> None:
    found = await rehearsed(GRPC, GRPC.replace("upstreams.g", "upstreams.h").replace('["g"]', '["h"]'))
    assert found.parts.made == (("breaker", "h"), ("budget", "h"), ("grpc", "h"), ("rest", "g/h"))
    assert found.parts.dropped == (("breaker", "g"), ("budget", "g"), ("grpc", "g"), ("rest", "g/g"))


async def test_it_says_what_a_reload_does() -> None:
    more = f'[upstreams.b]\nurl = "{URL}"\n[routes.s]\nmatch = {{ path = "/s" }}\nchain = ["b", "a"]\n'
    new = with_listeners(POLICY.replace("max = 3", "max = 5") + more)
    async with running(POLICY) as sidecar:
        found = await rehearse(sidecar.daemon._loaded, load(new), {})
        sidecar.file.write_text(new)
        told = await sidecar.daemon.reload()

    parts = found.parts
    for how, named in parts._asdict().items():
        assert told[how] == [f"{kind} {name}" for kind, name in named]
    assert parts.made
    assert parts.reset


async def test_nothing_begins_and_nothing_is_left() -> None:
    tasks = asyncio.all_tasks()
    await rehearsed(POLICY + GRPC, POLICY.replace(URL, "http://127.0.0.1:2"))
    assert asyncio.all_tasks() == tasks


async def test_listeners_that_move_are_told_by_the_files() -> None:
    old = one(URL, more='[listen]\nhttp = "127.0.0.1:1"\nadmin = ""')
    new = one(URL, more='[listen]\nhttp = "127.0.0.1:9"\nadmin = ""\n[limits]\nmax_header_bytes = 512')
    assert (await rehearsed(old, new)).moves == (
        (Moved("http", "127.0.0.1:1", "127.0.0.1:9"),),
        ("limits.max_header_bytes",),
    )


async def test_a_certificate_that_cannot_be_used_is_a_mistake_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    bad = one("https://localhost:1", upstream=f'tls = {{ ca = "{tmp_path}/ca.pem" }}')
    with pytest.raises(ConfigError) as caught:
        await rehearsed(POLICY, bad)
    (mistake,) = caught.value.mistakes
    assert (mistake.key, mistake.line) == ("upstreams.a.tls", 5)
