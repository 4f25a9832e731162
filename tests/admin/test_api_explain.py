"""`POST /explain` over a real socket: the view's answer, clear refusals, and the token of changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.admin.api import LONGEST_BODY
from sidecar.admin.view import Access

if TYPE_CHECKING:
    import aiohttp

    from tests.kit.fake_view import FakeView

ASKED = b'{"method": "GET", "path": "/x", "headers": {"X-A": "1"}, "model": "smart"}'


async def explain(admin: aiohttp.ClientSession, body: bytes, **headers: str) -> tuple[int, Any]:
    async with admin.post("/explain", data=body, headers=headers) as answer:
        return answer.status, json.loads(await answer.read())


async def test_the_views_answer_is_told(admin: aiohttp.ClientSession) -> None:
    assert await explain(admin, ASKED) == (
        200,
        {"request": {"method": "GET", "target": "/x", "headers": [["X-A", "1"]], "model": "smart"}, "route": None},
    )


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "the body is not JSON"),
        (b'{"method": "GET"}', "one of path and url is needed, and not both"),
        (b'{"method": "GET", "path": "x"}', "'x' is no path"),
    ],
)
async def test_what_describes_no_call_is_answered_with_400(admin: aiohttp.ClientSession, body: bytes, why: str) -> None:
    status, told = await explain(admin, body)
    assert (status, told["error"]["code"], told["error"]["message"]) == (400, "invalid_request", why)


async def test_a_long_description_is_refused(admin: aiohttp.ClientSession) -> None:
    assert (await explain(admin, b" " * (LONGEST_BODY + 1)))[0] == 413


async def test_it_needs_the_token_as_every_post_does(admin: aiohttp.ClientSession, view: FakeView) -> None:
    view.may = Access("s3cret")
    assert (await explain(admin, ASKED))[0] == 401
    assert (await explain(admin, ASKED, Authorization="Bearer s3cret"))[0] == 200
    assert (await explain(admin, ASKED, Authorization="Bearer s3cret", Origin="https://evil.com"))[0] == 403


async def test_a_get_of_it_is_told_how(admin: aiohttp.ClientSession) -> None:
    async with admin.get("/explain") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
