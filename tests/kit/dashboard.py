"""The dashboard of a whole sidecar, in a browser.

async with dashboard(browser, policy) as shown:
    await shown.sidecar.ask("/shop/1")
    await shown.row("breakers", "shop").get_by_text("open", exact=True).wait_for()
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.kit.browser import opened
from tests.kit.running import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from playwright.async_api import Browser, Locator, Page

    from tests.kit.running import Running

LISTEN = '[listen]\nhttp = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n'


@dataclass
class Dashboard:
    """A sidecar, and a page that shows it."""

    sidecar: Running
    page: Page
    until: Callable[[str], Awaitable[None]]
    """Until this expression of the page's is true."""

    def row(self, section: str, name: str) -> Locator:
        """The row of a section's table whose first cell says this."""
        header = self.page.get_by_role("rowheader").filter(has_text=name)
        return self.page.locator(f"#{section}").get_by_role("row").filter(has=header)

    async def breaker(self, name: str) -> str:
        """Its state, as the sidecar tells it."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.sidecar.admin}/circuit-breakers") as answer,
        ):
            state: str = (await answer.json())[name]["state"]
            return state

    async def until_live(self) -> None:
        await self.page.get_by_text("Live", exact=True).wait_for()


@asynccontextmanager
async def dashboard(
    browser: Browser, policy: str, *, allowed: Callable[[str], bool] = lambda _: False, **context: Any
) -> AsyncIterator[Dashboard]:
    """`policy` without its listeners. The page is closed before the sidecar ends."""
    text = policy if "[listen]" in policy else LISTEN + policy
    async with running(text) as sidecar, opened(browser, sidecar.admin, allowed=allowed, **context) as shown:
        yield Dashboard(sidecar, shown.page, shown.until)


def refusals(trouble: str) -> bool:
    """What Chromium itself says of a request that was refused, for tests in which one is."""
    return "Failed to load resource" in trouble
