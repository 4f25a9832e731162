"""How the dashboard looks: in light and dark, on a phone, to who does not see it; and the pictures of the documents.

`SIDECAR_SCREENSHOTS=1` takes those pictures again.
"""

from __future__ import annotations

import os
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.kit.browser import DESKTOP, PHONE, WIDER, opened
from tests.kit.busy_scene import busy
from tests.kit.commands import ROOT
from tests.kit.scene import Scene, playing, pulse, state

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

IMAGES = ROOT / "docs" / "images"
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light", "has_touch": True},
}
TALL = {"light": (DESKTOP["width"], 1560), "dark": (DESKTOP["width"], 1560), "phone": (PHONE["width"], 1480)}
"""What a picture shows, in pixels of the page."""


@pytest.mark.parametrize("look", LOOKS)
async def test_everybody_can_read_it(browser: Browser, look: str) -> None:
    """No error in the console, nothing asked elsewhere, no breach of WCAG that axe finds, nothing beside the window."""
    async with playing(busy()) as scene, opened(browser, scene.url, **LOOKS[look]) as shown:
        await shown.page.locator("#plots canvas").nth(3).wait_for()
        await shown.page.get_by_text("of 56").wait_for()
        assert await shown.breaches() == []
        assert not await shown.scrolls_sideways()
        if os.environ.get("SIDECAR_SCREENSHOTS"):
            await take(shown.page, look)


async def test_it_fits_each_width(browser: Browser) -> None:
    """A phone, tablets, a window beside another one: no table is wider than its card."""
    async with playing(busy()) as scene, opened(browser, scene.url) as shown:
        await shown.page.locator("#plots canvas").nth(3).wait_for()
        for width in (320, 480, 700, 701, 768, 960, 961, 1024, 1100, 1101, 1420, 1421):
            await shown.page.set_viewport_size({"width": width, "height": 900})
            assert not await shown.scrolls_sideways(), width
            assert await shown.page.evaluate(WIDER) == [], width


async def take(page: Page, look: str) -> None:
    """The picture `dashboard-LOOK.png`."""
    width, height = TALL[look]
    await page.set_viewport_size({"width": width, "height": height})
    IMAGES.mkdir(exist_ok=True)
    await page.screenshot(path=IMAGES / f"dashboard-{look}.png", animations="disabled")


async def test_an_empty_one_can_be_read_too(browser: Browser) -> None:
    scene = Scene(said=[("state", state()), ("pulse", pulse())])
    async with playing(scene), opened(browser, scene.url, **LOOKS["phone"]) as shown:
        await shown.page.get_by_role("heading", name="No calls yet").wait_for()
        assert await shown.breaches() == []
        assert not await shown.scrolls_sideways()


async def test_the_colours_that_were_chosen_stay(browser: Browser) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    async with playing(busy()) as scene, opened(browser, scene.url, color_scheme="light") as shown:
        page = shown.page
        await page.locator("#plots canvas").first.wait_for()
        light = await page.evaluate(background)
        await page.get_by_label("Colours").select_option("dark")
        dark = await page.evaluate(background)
        assert dark != light
        await page.reload()
        assert await page.evaluate(background) == dark
        assert await page.get_by_label("Colours").input_value() == "dark"
        await page.get_by_label("Colours").select_option("system")
        assert await page.evaluate(background) == light
        await page.emulate_media(color_scheme="dark")
        assert await page.evaluate(background) == dark


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """One that is only looked at."""
    async with playing(busy()) as scene, opened(browser, scene.url, reduced_motion="reduce") as shown:
        await shown.page.locator("#plots canvas").nth(3).wait_for()
        yield shown.page


async def test_nothing_moves_for_who_does_not_want_it(page: Page) -> None:
    assert await page.evaluate("document.getAnimations().length") == 0
    assert await page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


async def test_a_plot_says_in_words_what_it_shows(page: Page) -> None:
    plot = page.get_by_role("img", name=re.compile("^Calls per second over the last 5 minutes"))
    said = await plot.get_attribute("aria-label")
    assert said is not None
    assert re.search(r"shop: \d+ at last, between \d+ and \d+\.", said)
    legend = page.locator("figure").first.locator(".legend li")
    assert await legend.count() == 5
    assert re.fullmatch(r"chat\d+", (await legend.first.inner_text()).replace("\n", ""))


async def test_the_page_has_landmarks_and_headings_in_order(page: Page) -> None:
    levels = await page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3')].filter(h => !h.closest('dialog')).map(h => +h.tagName[1])"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for landmark in ("banner", "navigation", "main", "contentinfo"):
        assert await page.get_by_role(landmark).count() == 1
    tables = page.get_by_role("table")
    assert await tables.count() == await page.locator("table > caption").count() == 6
