"""The dashboard of a sidecar that has too much, of too much at once, of nothing any more, and of hostile names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit.browser import PHONE, WIDER, opened
from tests.kit.dashboard import refusals
from tests.kit.scene import START, Scene, call, numbers, playing, pulse, route, state

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

EVIL = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>\'"&amp;{{7*7}}'


def lost(trouble: str) -> bool:
    """What Chromium says of a line that breaks."""
    return "ERR_INCOMPLETE_CHUNKED_ENCODING" in trouble or refusals(trouble)


async def test_names_and_paths_are_text_whatever_stands_in_them(browser: Browser) -> None:
    """A caller chooses paths, an upstream its words, a file its names: none of them is markup."""
    breaker = {"state": "open", "failure_count": 1, "recent_failures": 1, "total_calls": 1, "retry_after": 9.0}
    limit = {"key": EVIL, "windows": [{"unit": EVIL, "limit": 5, "seconds": 60.0, "burst": 5}], "remaining": [3]}
    mistake = {"file": EVIL, "line": 3, "key": EVIL, "problem": EVIL, "allowed": EVIL, "nearest": EVIL}
    evil = route(EVIL, EVIL, match={"path": f"/{EVIL}", "headers": {EVIL: EVIL}}, limit=EVIL)
    everything = state(
        version=EVIL, file=EVIL, hash=EVIL, listeners={EVIL: EVIL}, log_level=EVIL, routes=[evil],
        models=[{"name": EVIL, "chain": [EVIL]}],
        upstreams=[{"name": EVIL, "protocol": EVIL, "urls": [EVIL]}],
        reload={"at": START, "result": "failure", "mistakes": [mistake]},
    )  # fmt: skip
    second = pulse(
        health={"status": "degraded", "checks": {EVIL: EVIL}},
        routes={EVIL: numbers(3, p50=0.1, serving={EVIL: 3})},
        breakers={EVIL: breaker},
        targets={EVIL: {"ready": False, "serving": 0, "rests": 9.0, "why": EVIL}},
        limits={EVIL: {**limit, "keys": 1, "max_keys": 9, "store": EVIL}},
        upstreams={EVIL: {"channels": [EVIL]}},
        calls=[call(1, START, path=f"/{EVIL}", method=EVIL, route=EVIL, upstream=EVIL, outcome=EVIL)],
    )
    step = {
        "kind": "attempt",
        "target": EVIL,
        "outcome": EVIL,
        "at": 0.0,
        "seconds": 0.1,
        "status_code": 500,
        "why": EVIL,
    }
    told = {"steps": [step], "seconds": 0.1, "request_id": EVIL, "correlation_id": EVIL, "path": EVIL, "route": EVIL}
    more = {"upstream": EVIL, "attempts": 1, "outcome": EVIL, "started": EVIL, "method": EVIL, "bytes_in": 1}
    timeline = {**told, **more, "bytes_out": 1, "ttfb": 0.1, "waited": 0.0, "upstream_seconds": 0.1, "generation": 1}
    scene = Scene([("state", everything), ("pulse", second)], {"call-1": timeline})
    scene.said += [
        ("breaker", {"service": EVIL, "old": EVIL, "new": EVIL, "timestamp": EVIL}),
        ("rest", {"upstream": EVIL, "seconds": 1.0, "reason": EVIL}),
        ("fallback", {"route": EVIL, "source": EVIL, "target": EVIL, "reason": EVIL}),
        ("refusal", {"route": EVIL, "outcome": EVIL, "status_code": 429}),
        ("reload", {"result": "failure", "mistakes": [EVIL]}),
        (EVIL, {"what": "no page knows this event"}),
    ]
    async with playing(scene), opened(browser, scene.url, viewport=PHONE) as shown:
        page = shown.page
        await page.locator("#feed li").nth(4).wait_for()
        for part in ("routes", "chain-list", "breaker-list", "limit-list", "pool-list", "call-list", "reload-told"):
            assert EVIL in await page.locator(f"#{part}").inner_text(), part
        await page.locator("#call-list button", has_text="Timeline").click()
        await page.get_by_role("heading", name="1 step, 1 attempt").wait_for()
        assert EVIL in await page.locator("#timeline").inner_text()
        assert await page.locator("main img, main script, dialog img, dialog script").count() == 0
        assert await page.evaluate("window.hacked") is None
        assert not await shown.scrolls_sideways()


async def test_of_a_thousand_routes_a_page_is_shown_and_each_is_found(browser: Browser) -> None:
    names = [f"route-{number:04}" for number in range(1000)]
    breaker = {"state": "closed", "failure_count": 0, "recent_failures": 0, "total_calls": 0}
    routes = {name: numbers(place, p50=0.01, p95=0.02, serving={name: place}) for place, name in enumerate(names)}
    breakers = {name: {**breaker, "state": "open" if name == names[700] else "closed"} for name in names}
    scene = Scene([("state", state(routes=[route(name, name) for name in names]))])
    scene.said += [("pulse", pulse(START + second, routes=routes, breakers=breakers)) for second in range(30)]
    async with playing(scene), opened(browser, scene.url) as shown:
        page = shown.page
        await page.locator("#routes").get_by_text("15 of 1000").wait_for()
        assert await page.locator("#routes tbody tr").count() == 15
        assert await page.evaluate("document.querySelectorAll('*').length") < 6000

        await page.locator("#routes").get_by_role("button", name="Calls/s").click()
        first = page.locator("#routes tbody tr").first
        assert (await first.inner_text()).startswith("route-0999")
        assert await page.locator("#routes th[aria-sort=descending]").inner_text() == "Calls/s"
        await page.get_by_role("searchbox", name="Search: Routes").fill("0042")
        await first.get_by_text("route-0042", exact=True).wait_for()
        assert await page.locator("#routes tbody tr").count() == 1
        await page.get_by_role("searchbox", name="Search: Routes").fill("nobody")
        await page.get_by_text("Nothing of this matches “nobody”").wait_for()
        # What is not well does not hide on a later page.
        assert "route-0700" in await page.locator("#breaker-list tbody tr").first.inner_text()

        await page.evaluate(TIMED)
        scene.say("pulse", pulse(START + 40, routes=routes))
        await shown.until("window.took < 100")


async def test_long_names_and_many_mistakes_leave_room_for_the_rest(browser: Browser) -> None:
    """The longest name that a file may have is 64 letters, and a path has no end."""
    name, path = "W" * 64, "/shop/" + "x" * 300
    mistakes = [
        {"file": "/etc/sidecar.toml", "line": line, "key": f"routes.r{line}.chian", "problem": "unknown key"}
        for line in range(300)
    ]
    refused = {"at": START, "result": "failure", "mistakes": mistakes}
    everything = state(
        routes=[route(name, name, match={"path": path}, limit=f"route {name}"), route("shop", "shop")],
        upstreams=[{"name": name, "protocol": "http", "urls": [f"http://{name}.example.org:8080"]}],
        reload=refused,
    )
    closed = {"state": "closed", "failure_count": 0, "recent_failures": 0, "total_calls": 0}
    limit = {"key": f"header:{name}", "windows": [{"unit": "requests", "limit": 5, "seconds": 60.0, "burst": 5}]}
    said = pulse(
        routes={name: numbers(3, serving={name: 3})},
        breakers={name: closed, "shop": {**closed, "state": "open", "retry_after": 2000.0}},
        limits={f"route {name}": {**limit, "keys": 1, "max_keys": 9, "store": "redis"}},
        calls=[call(1, START, path=path, route=name, upstream=name), call(2, START, route="anthropic")],
    )
    async with playing(Scene([("state", everything), ("pulse", said)])) as scene, opened(browser, scene.url) as shown:
        page = shown.page
        await page.locator("#reload-told").get_by_text("and 288 more, which sidecar check tells").wait_for()
        assert await page.locator("#reload-told li").count() == 13
        for width in (320, 768, 1101, 1421):
            await page.set_viewport_size({"width": width, "height": 900})
            assert await page.evaluate(WIDER) == [], width
            assert not await shown.scrolls_sideways(), width
        # A short word beside a long one is in one piece.
        await page.set_viewport_size({"width": 1101, "height": 900})
        lines = "element => Math.round(element.getBoundingClientRect().height / 20)"
        assert await page.locator("#call-list tbody").get_by_text("anthropic").evaluate(lines) <= 2


TIMED = """
const frame = window.requestAnimationFrame;
window.requestAnimationFrame = (draw) => frame((now) => {
  const from = performance.now();
  draw(now);
  window.took = Math.min(window.took ?? Infinity, performance.now() - from);
});
true;
"""
"""Milliseconds that it takes to draw everything when nobody disturbs it: 10 on an idle machine. It is drawn each
second, and the machine may stand still in any one of them.
"""


async def test_what_is_kept_has_a_bound(browser: Browser) -> None:
    """Five hundred calls and two hundred events, of as many as came; and while nobody looks nothing is drawn."""
    scene = Scene([("state", state(routes=[route("shop", "shop")]))])
    async with playing(scene), opened(browser, scene.url) as shown:
        page = shown.page
        await page.get_by_text("Live", exact=True).wait_for()
        await page.evaluate(FRAMES)
        for second in range(40):
            at = START + second
            calls = [call(second * 50 + number, at + number / 50) for number in range(50)]
            scene.say("pulse", pulse(at, routes={"shop": numbers(10_000)}, calls=calls, more_calls=9_950))
            for number in range(10):
                scene.say("retry", {"route": "shop", "upstream": "shop", "reason": f"reset {second}.{number}"})
        scene.say("reload", {"result": "success", "generation": 7})
        await shown.until("shown('generation 7 is live')")
        assert await page.evaluate("asked <= looked + 1")
        await page.locator("#calls").get_by_text("15 of 500").wait_for()
        assert await page.locator("#feed li").count() == 200
        assert "generation 7 is live" in await page.locator("#feed li").first.inner_text()
        assert await page.locator("#tiles .value").first.inner_text() == "10k"
        await page.get_by_text("398000 calls more").wait_for()


FRAMES = """
window.asked = window.looked = 0;
window.requestAnimationFrame = (draw) => { asked += 1; window.draw = draw; };
window.shown = (text) => {
  if (window.draw) { looked += 1; const draw = window.draw; window.draw = null; draw(); }
  return document.querySelector('#feed li')?.textContent.includes(text);
};
true;
"""
"""Frames come when somebody looks (`shown`), as in a hidden tab; how often the page has asked for one is counted."""


async def test_calls_and_events_stand_still_while_they_are_read(browser: Browser) -> None:
    scene = Scene([("state", state()), ("pulse", pulse(calls=[call(1, START)]))])
    async with playing(scene), opened(browser, scene.url) as shown:
        page = shown.page
        await page.locator("#calls").get_by_text("GET /shop/1").wait_for()
        for what in ("calls", "events"):
            await page.get_by_role("button", name=f"Pause {what}").click()
        assert await page.get_by_role("button", name="Pause calls", pressed=True).count() == 1
        scene.say("retry", {"route": "shop", "upstream": "shop", "reason": "reset"})
        scene.say("pulse", pulse(START + 1, calls=[call(2, START + 1)], routes={"shop": numbers(7)}))
        await page.locator("#tiles").get_by_text("3.5", exact=True).wait_for()
        assert await page.locator("#calls tbody tr").count() == 1
        assert await page.locator("#feed li").count() == 0
        for what in ("calls", "events"):
            await page.get_by_role("button", name=f"Pause {what}").click()
        await page.locator("#calls").get_by_text("GET /shop/2").wait_for()
        await page.locator("#feed").get_by_text("shop again, reset").wait_for()


async def test_a_line_that_breaks_is_told_and_taken_up_again(browser: Browser) -> None:
    breaker: dict[str, Any] = {"state": "open", "failure_count": 1, "recent_failures": 1, "total_calls": 1}
    scene = Scene([("state", state(routes=[route("shop", "shop")]))])
    scene.said.append(("pulse", pulse(routes={"shop": numbers(5)}, breakers={"shop": breaker, "gone": breaker})))
    async with playing(scene), opened(browser, scene.url, allowed=lost) as shown:
        page = shown.page
        await page.locator("#breakers").get_by_text("gone").wait_for()
        scene.said[-1] = ("pulse", pulse(START + 60, breakers={"shop": {**breaker, "state": "closed"}}))
        scene.closed = True
        scene.cut()
        await page.get_by_text(re.compile(r"Connection lost.*trying again")).wait_for()
        assert "Numbers are from" in await page.locator("#link").inner_text()
        assert await crossed_out(page)
        await shown.until("announced.includes('The connection is lost.')")
        await page.get_by_text("Connection lost (away)").wait_for()
        scene.closed = False
        await page.get_by_role("button", name="Try now").click()
        await page.get_by_text("Live", exact=True).wait_for()
        assert not await crossed_out(page)
        # What it is told then is all there is: the breaker that went meanwhile is not shown for ever.
        await page.locator("#breakers").get_by_text("gone").wait_for(state="detached")
        assert await page.locator("#breakers tbody").get_by_text("closed").count() == 1


async def crossed_out(page: Page) -> bool:
    decoration: str = await page.locator("#tiles .value").first.evaluate(
        "value => getComputedStyle(value).textDecorationLine"
    )
    return decoration == "line-through"


async def test_a_breakers_time_counts_down_by_itself(browser: Browser) -> None:
    """The next pulses say nothing of it, since nothing but the time has changed."""
    failed = {"state": "open", "failure_count": 1, "recent_failures": 1, "total_calls": 1}
    breakers = {"long": {**failed, "retry_after": 90.4}, "short": {**failed, "retry_after": 0.9}, "hand": failed}
    breakers["probed"] = {**failed, "state": "half_open", "retry_after": 0.0}
    breakers["suspected"] = {**failed, "state": "closed", "suspected": True}
    scene = Scene([("state", state()), ("pulse", pulse(breakers=breakers))])
    async with playing(scene), opened(browser, scene.url) as shown:
        rows = shown.page.locator("#breakers tbody tr")
        await rows.filter(has_text="long").get_by_text("1 min").wait_for()
        await shown.until("document.querySelector('#breakers tbody td:nth-child(3)').textContent < '1 min 29 s'")
        await rows.filter(has_text="short").get_by_text("the next call is a probe").wait_for()
        await rows.filter(has_text="hand").get_by_text("until it is closed by hand").wait_for()
        # Each in words for people, with a sign beside its colour; suspected is what others of the fleet have opened.
        told = {name: await rows.filter(has_text=name).get_by_role("cell").all_inner_texts() for name in breakers}
        assert [words.strip().replace("\n", " ") for words in told["probed"][:2]] == ["◐ half-open", "a probe decides"]
        assert [words.strip().replace("\n", " ") for words in told["suspected"][:2]] == [
            "◐ closed, suspected",
            "one failure opens it",
        ]
        assert "1 half-open, of 5" in await shown.page.locator("#tiles").inner_text()
