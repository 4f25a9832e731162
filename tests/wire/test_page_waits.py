"""The dashboard where answers are late or never come, and where nobody looks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit.browser import opened
from tests.kit.dashboard import refusals
from tests.kit.scene import START, Scene, call, playing, pulse, route, state

if TYPE_CHECKING:
    from playwright.async_api import Browser, Route

pytestmark = pytest.mark.asyncio(loop_scope="session")

CLOSED = {"state": "closed", "failure_count": 0, "recent_failures": 0, "total_calls": 0}

IMPATIENT = """
const later = window.setTimeout;
let next = true;
window.setTimeout = (what, wait) => {
  const soon = next && wait === 15_000;
  if (soon) next = false;
  return later(what, soon ? 50 : wait);
};
true;
"""
"""The fifteen seconds that the next answer may take are over soon; all after it have them whole."""

COUNTED = """
const send = window.fetch;
window.read = 0;
window.fetch = async (...what) => {
  const answer = await send(...what);
  const whole = answer.json.bind(answer);
  answer.json = async () => { const told = await whole(); setTimeout(() => { read += 1; }); return told; };
  return answer;
};
true;
"""
"""How many answers have been read, and what was to be done with them is done."""

UNSEEN = "window.requestAnimationFrame = () => {}; true;"
"""No frames come, as in a hidden tab."""


def cut(trouble: str) -> bool:
    """What Chromium says of a line that breaks, and of a request that the page gives up."""
    return "ERR_INCOMPLETE_CHUNKED_ENCODING" in trouble or refusals(trouble)


async def let_go(held: list[Route]) -> None:
    """For each request that is answered by nobody Playwright keeps a task, which would outlive the page."""
    for each in held:
        await each.abort()


async def test_a_button_that_gets_no_answer_says_so(browser: Browser) -> None:
    """The sidecar stands still, or other tabs have all six connections that a browser opens to it."""
    scene = Scene([("state", state()), ("pulse", pulse(breakers={"shop": CLOSED}))])
    held: list[Route] = []

    async def never(route: Route) -> None:
        held.append(route)

    async with playing(scene), opened(browser, scene.url, allowed=cut) as shown:
        page = shown.page
        button = page.get_by_role("button", name="Close breaker shop")
        await button.wait_for()
        await page.evaluate(IMPATIENT)
        await page.route("**/circuit-breakers/**", never)
        await button.click()
        await page.get_by_role("alert").filter(has_text="was not closed: the sidecar did not answer.").wait_for()
        await let_go(held)


async def test_a_line_that_is_never_answered_is_given_up_and_asked_for_again(browser: Browser) -> None:
    """As after a VPN went away: the browser itself would wait for minutes."""
    scene = Scene([("state", state()), ("pulse", pulse())])
    asked: list[Route] = []

    async def answer(route: Route) -> None:
        asked.append(route)
        if len(asked) > 1:
            await route.continue_()

    async with playing(scene), opened(browser, scene.url, allowed=cut) as shown:
        page = shown.page
        await page.get_by_text("Live", exact=True).wait_for()
        await page.evaluate(IMPATIENT)
        await page.route("**/live", answer)
        scene.cut()
        await page.get_by_text("Connection lost").wait_for()
        await page.get_by_text("Live", exact=True).wait_for()
        assert len(asked) == 2
        await let_go(asked[:1])


async def test_a_late_answer_is_not_shown_as_another_calls_timeline(browser: Browser) -> None:
    calls = [call(1, START), call(2, START)]
    timelines: dict[str, Any] = {
        one["id"]: {**one, "steps": [], "correlation_id": f"of-{one['id']}", "started": "", "generation": 1}
        for one in calls
    }
    late = asyncio.Event()

    async def hold(route: Route) -> None:
        await late.wait()
        await route.continue_()

    scene = Scene([("state", state(routes=[route("shop", "shop")])), ("pulse", pulse(calls=calls))], timelines)
    async with playing(scene), opened(browser, scene.url) as shown:
        page, told = shown.page, shown.page.get_by_role("dialog", name="Timeline of")
        await page.get_by_text("Live", exact=True).wait_for()
        await page.evaluate(COUNTED)
        await page.route("**/requests/call-1", hold)
        await page.get_by_role("button", name="Timeline of GET /shop/1").click()
        await told.get_by_text("Asking").wait_for()
        await page.get_by_role("button", name="Close timeline").click()
        await page.get_by_role("button", name="Timeline of GET /shop/2").click()
        await told.get_by_text("of-call-2").wait_for()
        late.set()
        await shown.until("read === 2")
        assert await told.get_by_text("of-call-2").count() == 1


async def test_a_tab_in_the_background_tells_in_its_title_what_is_wrong(browser: Browser) -> None:
    scene = Scene([("state", state()), ("pulse", pulse())])
    async with playing(scene), opened(browser, scene.url) as shown:
        await shown.page.get_by_text("Healthy").wait_for()
        assert await shown.page.title() == "sidecar"
        await shown.page.evaluate(UNSEEN)
        scene.say("pulse", pulse(health={"status": "unhealthy", "checks": {"targets": "none"}}))
        await shown.until("document.title === 'Unhealthy: sidecar'")
        scene.say("pulse", pulse())
        await shown.until("document.title === 'sidecar'")
