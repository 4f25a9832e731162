"""What runs now, and what of it has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp

from sidecar.vitals import SLICE, Vitals, without_userinfo
from tests.kit.addresses import free_port
from tests.kit.live import LISTEN
from tests.kit.running import QUICK, one, running
from tests.kit.scripted import OK, reply, scripted

if TYPE_CHECKING:
    from sidecar.view import View
    from tests.kit.running import Running

NOTHING: dict[str, Any] = {"targets": {}, "breakers": {}, "limits": {}, "upstreams": {}}


def view_of(sidecar: Running) -> View:
    assert sidecar.daemon.view is not None
    return sidecar.daemon.view


async def test_only_what_has_changed_is_told() -> None:
    async with scripted(OK) as upstream, running(one(upstream.url, more=LISTEN)) as sidecar:
        view = view_of(sidecar)
        vitals = Vitals(view.clock)
        told = await vitals.look(view.runtime)
        assert {section: list(named) for section, named in told.items()} == {
            "targets": ["a"], "breakers": ["a"], "limits": [], "upstreams": ["a"],
        }  # fmt: skip
        assert await vitals.look(view.runtime) == NOTHING
        await sidecar.ask("/")
        told = await vitals.look(view.runtime)
        assert (told["targets"], told["limits"]) == ({}, {})
        assert told["breakers"]["a"] == {
            "state": "closed", "failure_count": 0, "recent_failures": 0, "total_calls": 1,
        }  # fmt: skip
        assert told["upstreams"]["a"] == {"idle": 1, "active": 0, "connecting": 0, "waiting": 0, "max": 100}


async def test_what_a_reload_drops_is_told_as_gone() -> None:
    limit = "rate_limit = { per_minute = 9 }"
    async with running(one("http://127.0.0.1:1", more=LISTEN, route=limit)) as sidecar:
        view = view_of(sidecar)
        vitals = Vitals(view.clock)
        await vitals.look(view.runtime)
        sidecar.file.write_text(sidecar.file.read_text().replace(limit, "").replace('"a"', '"b"').replace(".a]", ".b]"))
        await sidecar.daemon.reload()
        told = await vitals.look(view.runtime)
    assert told["limits"] == {"route r": None}
    for section in ("targets", "breakers", "upstreams"):
        assert (set(told[section]), told[section]["a"]) == ({"a", "b"}, None)


async def test_why_a_target_is_not_tried() -> None:
    busy = QUICK + 'max_retry_after = "0s"\npatience = "0s"\n'
    async with scripted(reply("429 No", "Retry-After: 100")) as upstream:
        more = f'[upstreams.b]\nurl = "http://127.0.0.1:{free_port()}"\n[routes.s]\nmatch = {{ path = "/s" }}\n'
        policy = one(upstream.url, more=LISTEN + busy + more + 'chain = ["b"]\n')
        async with running(policy) as sidecar:
            view = view_of(sidecar)
            vitals = Vitals(view.clock)
            assert (await vitals.look(view.runtime))["targets"]["b"] == {"ready": True, "rests": 0, "why": None}
            await sidecar.ask("/")
            view.open_breaker("b")
            targets = (await vitals.look(view.runtime))["targets"]
    assert targets["a"] is not None
    assert 95 < targets["a"].pop("rests") <= 100
    assert targets["a"] == {"ready": False, "why": "throttled"}
    assert targets["b"] == {"ready": False, "rests": 0, "why": "circuit_open"}


async def test_a_limit_tells_what_remains_and_where_it_is_counted() -> None:
    limit = "rate_limit = { per_minute = 9, per_hour = 100 }"
    async with scripted(OK) as upstream, running(one(upstream.url, more=LISTEN, route=limit)) as sidecar:
        await sidecar.ask("/")
        view = view_of(sidecar)
        limits = (await Vitals(view.clock).look(view.runtime))["limits"]
        async with aiohttp.ClientSession(sidecar.admin) as admin, admin.get("/rate-limits") as answer:
            assert set(await answer.json()) == {"route r"}
    told = limits["route r"]
    assert told is not None
    assert (told["remaining"], told["store"], told["key"]) == ([8, 99], "local", "global")
    assert [window["limit"] for window in told["windows"]] == [9, 100]


async def test_more_than_one_slice_is_told_whole() -> None:
    many = "".join(
        f'[upstreams.u{n}]\nurl = "http://127.0.0.1:1"\n[routes.r{n}]\nmatch = {{ path = "/{n}" }}\nchain = ["u{n}"]\n'
        for n in range(SLICE + 1)
    )
    async with running(LISTEN + many) as sidecar:
        view = view_of(sidecar)
        told = await Vitals(view.clock).look(view.runtime)
        assert {len(told[section]) for section in ("targets", "breakers", "upstreams")} == {SLICE + 1}
        assert len(await view.routes()) == SLICE + 1


def test_a_url_is_shown_without_who_calls() -> None:
    assert without_userinfo("http://me:p@ss@host:1/a@b") == "http://host:1/a@b"
    assert without_userinfo("unix:/a@b") == "unix:/a@b"
