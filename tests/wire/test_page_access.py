"""Who may use the dashboard, and from where: the token, addresses, TLS, and frames of other pages."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from playwright.async_api import Error

from sidecar.accepting import bind
from sidecar.admin.server import serve
from sidecar.settings.address import Address
from tests.kit.browser import opened
from tests.kit.certificates import make_certificates
from tests.kit.dashboard import LISTEN, dashboard, refusals
from tests.kit.running import running
from tests.kit.standin import StandIn

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.asyncio(loop_scope="session")


def policy(shop: StandIn, listen: str = LISTEN, token: str = "") -> str:
    secret = f'[admin]\ntoken = "{token}"\n' if token else ""
    return f"""{listen}{secret}
[upstreams.shop]
url = "{shop.url}"
[routes.shop]
match = {{ path = "/shop/*" }}
chain = ["shop"]
"""


async def give(page: Page, token: str) -> None:
    """The token, to the dialog that asks for it."""
    dialog = page.get_by_role("dialog", name="Admin token")
    await dialog.get_by_label("Token").fill(token)
    await dialog.get_by_role("button", name="Use token").click()


async def test_a_change_asks_for_the_token_where_one_is_set(browser: Browser) -> None:
    async with StandIn("shop") as shop, dashboard(browser, policy(shop, token="s3cret"), allowed=refusals) as shown:
        page = shown.page
        await shown.until_live()
        close = page.get_by_role("button", name="Close breaker shop")
        open_ = page.get_by_role("button", name="Open breaker shop")
        await open_.click()
        await page.get_by_role("button", name="Open it").click()
        await page.get_by_text("Changes need the admin token.").wait_for()
        assert await page.locator("#token").get_attribute("type") == "password"
        await give(page, "a guess")
        await page.get_by_text("That was not the admin token.").wait_for()
        assert await shown.breaker("shop") == "closed"
        await give(page, "s3cret")
        await shown.row("breakers", "shop").get_by_text("until it is closed by hand").wait_for()
        assert await shown.breaker("shop") == "open"

        # In this tab it is known from now on, also after a reload of the page; nowhere else.
        await page.reload()
        await close.click()
        await shown.row("breakers", "shop").get_by_text("closed", exact=True).wait_for()
        assert await page.evaluate("JSON.stringify(localStorage) + document.cookie") == "{}"
        await page.get_by_role("button", name="Forget token").click()
        assert await page.evaluate("sessionStorage.length") == 0
        await close.click()
        await page.get_by_role("button", name="Cancel").click()
        await page.get_by_role("alert").filter(has_text="No admin token was given.").wait_for()


@pytest.mark.parametrize("token", ["s3cret", ""])
async def test_off_loopback_nothing_is_shown_without_a_token(browser: Browser, token: str) -> None:
    everywhere = '[listen]\nhttp = "127.0.0.1:0"\nadmin = "0.0.0.0:0"\n'
    async with StandIn("shop") as shop, running(policy(shop, everywhere, token)) as sidecar:
        url = sidecar.admin.replace("0.0.0.0", "127.0.0.1")
        async with opened(browser, url, allowed=refusals) as shown:
            if token:
                await shown.page.get_by_text("This sidecar asks for its admin token.").wait_for()
                await give(shown.page, token)
                await shown.page.get_by_text("Live", exact=True).wait_for()
                await shown.page.get_by_text("Healthy").wait_for()
            else:
                link = shown.page.locator("#link")
                await link.get_by_text("until admin.token is set").wait_for()
                assert await shown.page.get_by_role("dialog").count() == 0
                assert await shown.page.get_by_role("button", name="Try now").is_visible()
                assert shop.url not in await shown.page.content()


async def test_another_token_is_asked_for_while_somebody_looks(browser: Browser) -> None:
    everywhere = '[listen]\nhttp = "127.0.0.1:0"\nadmin = "0.0.0.0:0"\n'
    async with StandIn("shop") as shop, running(policy(shop, everywhere, "first")) as sidecar:
        url = sidecar.admin.replace("0.0.0.0", "127.0.0.1")
        async with opened(browser, url, allowed=refusals) as shown:
            page = shown.page
            await give(page, "first")
            await page.get_by_text("Live", exact=True).wait_for()
            sidecar.file.write_text(sidecar.file.read_text().replace('"first"', '"second"'))
            await sidecar.daemon.reload()
            await page.get_by_text("The token that this tab has is not the admin token.").wait_for()
            await give(page, "a guess")
            await page.get_by_text("That was not the admin token.").wait_for()
            await give(page, "second")
            await page.get_by_text("Live", exact=True).wait_for()


async def test_any_name_of_this_machine_may_change(browser: Browser) -> None:
    """As through `kubectl port-forward`, where name and port are the forwarder's."""
    async with StandIn("shop") as shop, running(policy(shop)) as sidecar:
        url = sidecar.admin.replace("127.0.0.1", "localhost")
        async with opened(browser, url) as shown:
            await shown.page.get_by_text("Live", exact=True).wait_for()
            await shown.page.get_by_role("button", name="Open breaker shop").click()
            await shown.page.get_by_role("button", name="Open it").click()
            await shown.page.get_by_text("until it is closed by hand").wait_for()


async def test_on_an_ipv6_address_behind_tls(browser: Browser, tmp_path: Path) -> None:
    cert, key = make_certificates(tmp_path).pair("server")
    listen = f'[listen]\nhttp = "127.0.0.1:0"\nadmin = "[::1]:0"\nadmin_tls = {{ cert = "{cert}", key = "{key}" }}\n'
    async with StandIn("shop") as shop, running(policy(shop, listen)) as sidecar:
        url = sidecar.admin.replace("http:", "https:")
        async with opened(browser, url, ignore_https_errors=True) as shown:
            await shown.page.get_by_text("Live", exact=True).wait_for()
            await shown.page.get_by_role("button", name="Open breaker shop").click()
            await shown.page.get_by_role("button", name="Open it").click()
            await shown.page.get_by_text("until it is closed by hand").wait_for()


async def test_no_other_page_can_frame_it(browser: Browser) -> None:
    """Else its Open button could lie, unseen, under something that people like to press."""
    async with StandIn("shop") as shop, running(policy(shop)) as sidecar:

        async def trap(_: web.Request) -> web.Response:
            return web.Response(text=f"<iframe src='{sidecar.admin}/'></iframe>", content_type="text/html")

        app = web.Application()
        app.add_routes([web.get("/", trap)])
        other = await serve(app, bind(Address("127.0.0.1", 0)))
        try:
            async with opened(browser, f"http://{other.address}/", allowed=lambda _: True) as shown:
                await shown.page.wait_for_event("console", lambda said: "frame-ancestors" in said.text)
                (frame,) = shown.page.frames[1:]
                assert not frame.url.startswith(sidecar.admin) or await frame.locator("#main").count() == 0
        finally:
            await other.aclose()


async def test_a_page_of_another_origin_moves_nothing(browser: Browser) -> None:
    async with StandIn("shop") as shop, dashboard(browser, policy(shop)) as shown:
        await shown.until_live()
        other = await shown.page.context.new_page()
        await other.goto("data:text/html,<title>elsewhere</title>")
        ask = f"fetch('{shown.sidecar.admin}/circuit-breakers/shop/open', {{method: 'POST', mode: 'no-cors'}})"
        with contextlib.suppress(Error):  # the browser says no by itself, or the sidecar does
            await other.evaluate(ask)
        assert await shown.breaker("shop") == "closed"
