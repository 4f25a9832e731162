"""The dashboard of a real sidecar: what befalls its upstreams is seen, and its buttons move what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.standins.faults import Fault, Kind
from tests.kit.dashboard import dashboard, refusals
from tests.kit.standin import StandIn

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")


def policy(shop: StandIn, spare: StandIn | None = None, more: str = "") -> str:
    """`shop`, whose breaker opens at the second failure, and `spare` behind it."""
    return f"""
[upstreams.shop]
url = "{shop.url}"
circuit_breaker = {{ failure_threshold = 2, recovery_first = "50s" }}
[upstreams.spare]
url = "{(spare or shop).url}"
[routes.shop]
match = {{ path = "/shop/*" }}
chain = ["shop", "spare"]
retry = {{ backoff = "1ms", tries = 1 }}
rate_limit = {{ per_minute = 500 }}
{more}
"""


async def test_a_breaker_opens_before_ones_eyes_and_a_button_closes_it(browser: Browser) -> None:
    async with StandIn("shop") as shop, StandIn("spare") as spare, dashboard(browser, policy(shop, spare)) as shown:
        await shown.until_live()
        breaker, chain = shown.row("breakers", "shop"), shown.row("chains", "shop")
        await breaker.get_by_text("closed").wait_for()
        await shown.page.get_by_role("heading", name="No calls yet").wait_for()

        await shown.sidecar.ask("/shop/1")
        await chain.get_by_text("serves").wait_for()
        await shown.page.get_by_role("heading", name="No calls yet").wait_for(state="hidden")

        await shop.switch(Fault(Kind.FAIL))
        for number in (2, 3, 4):
            assert (await shown.sidecar.ask(f"/shop/{number}")).status == 200
        await breaker.get_by_text("open", exact=True).wait_for()
        await chain.get_by_text("falls back to spare").wait_for()
        await shown.page.get_by_text("Degraded").wait_for()
        left = breaker.get_by_role("cell").nth(1)
        assert 0 < int((await left.inner_text()).removesuffix(" s")) <= 50
        assert await shown.page.locator("#feed").get_by_text("shop: closed → open").count() == 1
        await shown.until("announced.includes('Breaker shop is open.')")
        assert await shown.breaker("shop") == "open"

        await shop.switch(Fault(Kind.NONE))
        await shown.page.get_by_role("button", name="Close breaker shop").click()
        await breaker.get_by_text("closed").wait_for()
        assert await shown.breaker("shop") == "closed"
        await shown.page.get_by_text("Healthy").wait_for()


async def test_by_keyboard_alone(browser: Browser) -> None:
    """To the numbers by the first link, to the button by Tab; Escape is no, Enter is yes; the focus comes back."""
    async with StandIn("shop") as shop, dashboard(browser, policy(shop)) as shown:
        page = shown.page
        await shown.until_live()
        button = page.get_by_role("button", name="Open breaker shop")
        await button.wait_for()
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.textContent") == "Skip to the numbers"
        await page.keyboard.press("Enter")
        for _ in range(60):
            await page.keyboard.press("Tab")
            if await button.evaluate("button => button === document.activeElement"):
                break
        outline = await button.evaluate("button => getComputedStyle(button).outlineStyle")
        assert outline == "solid"

        await page.keyboard.press("Enter")
        question = page.get_by_role("dialog", name="Open breaker shop?")
        await question.wait_for()
        await page.keyboard.press("Escape")
        await question.wait_for(state="hidden")
        assert await shown.breaker("shop") == "closed"
        assert await button.evaluate("button => button === document.activeElement")

        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Open it").focus()
        await page.keyboard.press("Enter")
        await shown.row("breakers", "shop").get_by_text("until it is closed by hand").wait_for()
        assert await shown.breaker("shop") == "open"
        assert await button.evaluate("button => button === document.activeElement")


async def test_a_call_has_its_timeline(browser: Browser) -> None:
    async with StandIn("shop", Fault(Kind.FAIL, status=503)) as shop, StandIn("spare") as spare:
        again = policy(shop, spare).replace("tries = 1", "tries = 2")
        async with dashboard(browser, again) as shown:
            page = shown.page
            await shown.sidecar.ask("/shop/7?key=secret", "X-Request-ID: order-17")
            await page.get_by_role("button", name="Timeline of GET /shop/7 at").click()
            told = page.get_by_role("dialog", name="Timeline of")
            await told.get_by_role("heading", name="steps, 3 attempts").wait_for()
            steps = [" ".join((await step.inner_text()).split()) for step in await told.get_by_role("listitem").all()]
            assert steps[0].startswith("shop ▲ 503 server_error at")
            assert any(step.startswith("waits") for step in steps)
            assert "spare ● 200 ok" in steps[-1]
            widths = await told.locator(".bar").evaluate_all("bars => bars.map(bar => bar.offsetWidth)")
            assert all(width > 0 for width in widths)
            assert "order-17" in await told.inner_text()
            await page.get_by_role("button", name="Close timeline").click()

            await page.get_by_label("Outcome").select_option("more than one attempt")
            assert await page.locator("#calls tbody tr").count() == 1
            await page.get_by_label("Outcome").select_option("not well")
            await page.get_by_text("none is as chosen").wait_for()
            assert "secret" not in await page.content()


async def test_a_reload_shows_its_mistakes_by_line_and_then_its_difference(browser: Browser) -> None:
    async with StandIn("shop") as shop, dashboard(browser, policy(shop), allowed=refusals) as shown:
        page, file = shown.page, shown.sidecar.file
        await shown.until_live()
        well = file.read_text()
        file.write_text(well.replace('chain = ["shop", "spare"]', 'chian = ["shop", "spare"]'))
        line = 1 + well[: well.index("chain =")].count("\n")
        await page.get_by_role("button", name="Reload the policy file").click()
        mistake = page.locator("#configuration").get_by_role("listitem").filter(has_text="routes.shop.chian")
        await mistake.get_by_text(f"sidecar.toml:{line}").wait_for()
        await mistake.get_by_text("Did you mean chain?").wait_for()
        await page.get_by_role("alert").filter(has_text="was not taken: it has").wait_for()
        await page.get_by_text("config: stale").wait_for()

        file.write_text(well.replace("per_minute = 500", "per_minute = 700"))
        await page.get_by_role("button", name="Reload the policy file").click()
        await page.get_by_text("taken", exact=True).wait_for()
        told = page.locator("#reload-told")
        assert "route shop" in await told.locator("div", has_text="Begun anew").last.inner_text()
        await page.locator("#limits").get_by_text("700 calls a minute").wait_for()
        assert await page.locator("#tiles div", has_text="Generation").locator(".value").inner_text() == "2"


async def test_what_is_counted_is_shown(browser: Browser) -> None:
    async with StandIn("shop") as shop, dashboard(browser, policy(shop)) as shown:
        await shown.until_live()
        for number in range(30):
            await shown.sidecar.ask(f"/shop/{number}")
        await shown.sidecar.ask("/nowhere")
        page = shown.page
        await shown.row("traffic", "shop").wait_for()
        await page.locator("figure", has_text="Latency").locator("canvas").wait_for()
        await page.locator("#limits").get_by_text("of 500 left").wait_for()
        await page.locator("#calls").get_by_text("404 no_route").first.wait_for()
        busy = page.locator("#pools tbody tr", has_text="shop").first
        assert shop.url in await busy.inner_text()
        await page.get_by_label("Plots show").select_option("shop")
        legend = page.locator("figure", has_text="Calls per second").locator(".legend")
        await legend.get_by_text("shop").wait_for()
        assert await legend.get_by_role("listitem").count() == 1
