"""Chromium for tests of the dashboard: one for each worker, a context for each page.

A page keeps what went wrong on it: `page.troubles` are errors and warnings of its console, errors of its scripts,
requests to other hosts and breaches of its content policy. `opened` asserts that there were none.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, Page, async_playwright

from tests.kit.caller import PATIENCE
from tests.kit.tools import tool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-default-apps",
)  # fmt: skip
LIMIT = 1000 * PATIENCE
"""Milliseconds that a page has for what is waited for."""

DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 360, "height": 740}


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Debian's, with a profile that nobody had before."""
    program = tool("chromium", "chromium-browser", "google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS])
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Opened:
    """A page, and what went wrong on it."""

    page: Page
    url: str
    troubles: list[str] = field(default_factory=list)
    allowed: Callable[[str], bool] = lambda _: False

    def listen(self) -> None:
        """Hear everything that a person would see in the console, and what goes elsewhere."""
        host = urlsplit(self.url).netloc

        def console(message: Any) -> None:
            if message.type in {"error", "warning"}:
                self.troubles.append(f"{message.type}: {message.text}")

        def requested(request: Any) -> None:
            if urlsplit(request.url).netloc != host and not request.url.startswith("data:"):
                self.troubles.append(f"asks {request.url}")

        self.page.on("console", console)
        self.page.on("pageerror", lambda error: self.troubles.append(f"script: {error}"))
        self.page.on("request", requested)

    async def until(self, holds: str) -> None:
        """Until this expression is true. (Playwright's own waiting runs text as code, which the policy stops.)"""
        async with asyncio.timeout(PATIENCE):
            while not await self.page.evaluate(holds):  # noqa: ASYNC110 - it is in another process
                await asyncio.sleep(0.05)

    async def scrolls_sideways(self) -> bool:
        """Is the page wider than its window?"""
        wide: bool = await self.page.evaluate(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        )
        return wide

    async def breaches(self) -> list[str]:
        """Of WCAG 2.2 AA and of axe's best practices, as axe-core finds them; each with the element it is about."""
        # Evaluated by the debugger, which the page's own policy does not bind.
        await self.page.evaluate(_axe())
        found = await self.page.evaluate(
            "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"
        )
        return [f"{one['id']}: {node['html']} {node['failureSummary']}" for one in found for node in one["nodes"]]


def _axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text() + "\n;undefined"


WATCH = """
document.addEventListener('securitypolicyviolation',
  (breach) => console.error('content policy: ' + breach.violatedDirective + ' ' + breach.blockedURI));
window.announced = '';
document.addEventListener('DOMContentLoaded', () => {
  const place = document.getElementById('said');
  if (place) new MutationObserver(() => { announced += place.textContent; }).observe(place, {childList: true});
});
"""
"""Breaches of the policy are errors in the console; all that was said to who does not see the page is kept."""

WIDER = "[...document.querySelectorAll('.card')].filter(one => one.scrollWidth > one.clientWidth).map(one => one.id)"
"""The cards whose tables do not fit into them."""


@asynccontextmanager
async def opened(
    browser: Browser, url: str, *, allowed: Callable[[str], bool] = lambda _: False, **context: Any
) -> AsyncIterator[Opened]:
    """The page at this URL, in a context of its own. `allowed` says which troubles a test makes itself."""
    async with await browser.new_context(**{"viewport": DESKTOP, **context}) as own:
        page = await own.new_page()
        page.set_default_timeout(LIMIT)
        made = Opened(page, url, allowed=allowed)
        made.listen()
        await page.add_init_script(WATCH)
        await page.goto(url, wait_until="domcontentloaded")
        yield made
        left = [trouble for trouble in made.troubles if not allowed(trouble)]
        assert left == [], left
    held = [task for task in asyncio.all_tasks() if "._on_route" in repr(task)]
    assert held == [], f"whoever holds a request up answers it in the end: {held}"
