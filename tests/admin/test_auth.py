"""Who may read and change things on the admin listener."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.admin.view import Access

if TYPE_CHECKING:
    import aiohttp

    from tests.kit.fake_view import FakeView

READ, CHANGE, PROBE = ("GET", "/routes"), ("POST", "/reload"), ("GET", "/readyz")
RIGHT, WRONG = {"Authorization": "Bearer s3cret"}, {"Authorization": "Bearer other"}


async def status_of(admin: aiohttp.ClientSession, what: tuple[str, str], headers: dict[str, str] | None = None) -> int:
    async with admin.request(*what, headers=headers) as answer:
        return answer.status


@pytest.mark.parametrize(
    ("access", "headers", "statuses"),
    [
        (Access(loopback=True), {}, (200, 200, 200)),
        (Access(loopback=True), WRONG, (200, 200, 200)),
        (Access("s3cret", loopback=True), {}, (200, 401, 200)),
        (Access("s3cret", loopback=True), WRONG, (200, 403, 200)),
        (Access("s3cret", loopback=True), RIGHT, (200, 200, 200)),
        (Access("s3cret", loopback=False, check_host=False), {}, (401, 401, 200)),
        (Access("s3cret", loopback=False, check_host=False), WRONG, (403, 403, 200)),
        (Access("s3cret", loopback=False, check_host=False), RIGHT, (200, 200, 200)),
        (Access(loopback=False, check_host=False), {}, (403, 403, 200)),
        (Access(loopback=False, check_host=False), RIGHT, (403, 403, 200)),
    ],
)
async def test_read_change_and_probe(
    admin: aiohttp.ClientSession,
    view: FakeView,
    access: Access,
    headers: dict[str, str],
    statuses: tuple[int, int, int],
) -> None:
    view.may = access
    assert [await status_of(admin, what, headers) for what in (READ, CHANGE, PROBE)] == list(statuses)


async def test_a_missing_token_says_how_to_send_one(admin: aiohttp.ClientSession, view: FakeView) -> None:
    view.may = Access("s3cret")
    async with admin.post("/reload") as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="sidecar"'
        assert (await answer.json())["error"]["code"] == "forbidden_token"


@pytest.mark.parametrize(
    ("sent", "status"),
    [("bearer s3cret", 200), ("Bearer  s3cret", 200), ("Basic s3cret", 401), ("Bearer", 401), ("s3cret", 401),
     ("Bearer s3cre", 403), ("Bearer ümlaut", 403)],
)  # fmt: skip
async def test_how_a_token_is_read(admin: aiohttp.ClientSession, view: FakeView, sent: str, status: int) -> None:
    view.may = Access("s3cret")
    assert await status_of(admin, CHANGE, {"Authorization": sent}) == status


async def test_an_unknown_path_asks_for_the_token_first(admin: aiohttp.ClientSession, view: FakeView) -> None:
    view.may = Access("s3cret", loopback=False, check_host=False)
    assert await status_of(admin, ("GET", "/nowhere")) == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [("evil.com", 403), ("evil.com:7072", 403), ("localhost:7072", 200), ("127.0.0.1:7072", 200), ("ours.org", 200)],
)
async def test_a_foreign_host_is_refused(admin: aiohttp.ClientSession, view: FakeView, host: str, status: int) -> None:
    view.may = Access(hosts=frozenset({b"ours.org"}))
    assert await status_of(admin, READ, {"Host": host}) == status


async def test_a_unix_socket_has_no_foreign_host(admin: aiohttp.ClientSession, view: FakeView) -> None:
    view.may = Access.at("unix:/run/sidecar-admin.sock")
    assert await status_of(admin, CHANGE, {"Host": "evil.com"}) == 200


@pytest.mark.parametrize(
    ("what", "origin", "status"),
    [
        (CHANGE, "https://evil.com", 403), (CHANGE, "null", 403), (CHANGE, "http://localhost:3000", 200),
        (CHANGE, "https://ours.org", 200), (READ, "https://evil.com", 200),
    ],
)  # fmt: skip
async def test_a_foreign_origin_may_change_nothing(
    admin: aiohttp.ClientSession, view: FakeView, what: tuple[str, str], origin: str, status: int
) -> None:
    view.may = Access(origins=frozenset({b"https://ours.org"}))
    assert await status_of(admin, what, {"Origin": origin}) == status


async def test_a_foreign_origin_may_not_upgrade(admin: aiohttp.ClientSession) -> None:
    headers = {"Origin": "https://evil.com", "Upgrade": "websocket", "Connection": "Upgrade"}
    assert await status_of(admin, READ, headers) == 403
