"""The admin listener as commands ask it: where it is, who asks, and what is said when it refuses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sidecar.cli.admin_client import Admin
from sidecar.cli.trouble import Trouble
from tests.kit.addresses import free_port
from tests.kit.blunt import answer, blunt, json_answer
from tests.kit.certificates import make_certificates
from tests.kit.running import running

if TYPE_CHECKING:
    from pathlib import Path

GUARDED = '[listen]\nhttp = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n[admin]\ntoken = "schlüssel"\n'


async def trouble(admin: Admin, path: str = "/health") -> tuple[str, int]:
    with pytest.raises(Trouble) as raised:
        await asyncio.to_thread(admin.get, path)
    return str(raised.value), raised.value.code


@pytest.mark.parametrize(
    ("url", "environ", "where"),
    [
        (None, {}, "http://127.0.0.1:7072"),
        (None, {"SIDECAR_LISTEN_ADMIN": "127.0.0.1:1"}, "http://127.0.0.1:1"),
        (None, {"SIDECAR_LISTEN_ADMIN": ""}, "http://127.0.0.1:7072"),
        (None, {"SIDECAR_ADMIN": "http://127.0.0.1:2", "SIDECAR_LISTEN_ADMIN": "127.0.0.1:1"}, "http://127.0.0.1:2"),
        ("unix:/run/s", {"SIDECAR_ADMIN": "http://127.0.0.1:2"}, "unix:/run/s"),
    ],
)
def test_where_it_is(url: str | None, environ: dict[str, str], where: str) -> None:
    assert Admin(url, None, environ).url == where


async def test_a_running_sidecar_answers() -> None:
    async with running(GUARDED.replace("[admin]", "[limits]").replace('token = "schlüssel"', "")) as sidecar:
        admin = Admin(sidecar.admin, None, {})
        assert (await asyncio.to_thread(admin.get, "/health"))["service"] == "sidecar"
        assert await asyncio.to_thread(admin.post, "/log-level", {"level": "error"}) == {"level": "error"}


async def test_a_change_needs_the_token() -> None:
    async with running(GUARDED) as sidecar:

        async def reset(token: str | None, environ: dict[str, str]) -> dict[str, object]:
            return await asyncio.to_thread(Admin(sidecar.admin, token, environ).post, "/reload")

        with pytest.raises(Trouble, match=r"the admin token is needed.*--token, or \$SIDECAR_ADMIN_TOKEN") as raised:
            await reset(None, {})
        assert raised.value.code == 2
        with pytest.raises(Trouble, match="this is not the admin token"):
            await reset("other", {"SIDECAR_ADMIN_TOKEN": "schlüssel"})
        assert (await reset(None, {"SIDECAR_ADMIN_TOKEN": "schlüssel\n"}))["generation"] == 2


async def test_a_name_that_is_not_ours_is_no_matter_of_tokens() -> None:
    async with running(GUARDED) as sidecar:
        url = sidecar.admin.replace("127.0.0.1", "localhost.example.org")
        admin = Admin(url, "schlüssel", {})
        admin._web._host = "127.0.0.1"  # as if that name led here
        admin._web._fields["Host"] = "localhost.example.org"
        said, code = await trouble(admin)
    assert (said, code) == ("this Host is not one of ours: add it to listen.hosts if it should be", 2)


async def test_over_a_unix_socket(tmp_path: Path) -> None:
    where = f"unix:{tmp_path}/admin"
    async with running(f'[listen]\nhttp = "127.0.0.1:0"\nadmin = "{where}"\n'):
        assert (await asyncio.to_thread(Admin(where, None, {}).get, "/listeners"))["admin"] == where


async def test_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificates = make_certificates(tmp_path)
    cert, key = certificates.pair("server")
    tls = f'admin_tls = {{ cert = "{cert}", key = "{key}" }}'
    async with running(f'[listen]\nhttp = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n{tls}\n') as sidecar:
        url = sidecar.admin.replace("http:", "https:")
        said, code = await trouble(Admin(url, None, {}))
        assert ("its certificate is not trusted" in said, code) == (True, 1)
        monkeypatch.setenv("SSL_CERT_FILE", certificates.ca)
        assert (await asyncio.to_thread(Admin(url, None, {}).get, "/health"))["status"] == "healthy"
        said, code = await trouble(Admin(sidecar.admin, None, {}))
        assert ("does not answer" in said, code) == (True, 1)


async def test_nobody_is_there() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    hint = "Is a sidecar running? --admin URL says where"
    assert await trouble(Admin(url, None, {})) == (f"{url} does not answer: Connection refused. {hint}", 1)


@pytest.mark.parametrize(
    "said",
    [
        answer(b"<html>It works!</html>"),
        answer(b"", "302 Found"),
        answer(b'["a", "list"]'),
        answer(b"[" * 100_000),
        answer(b"\xff\xfe{}"),
        json_answer({"message": "not found"}, "404 Not Found"),
        json_answer({"error": "no"}, "500 Internal Server Error"),
        json_answer({"error": {"message": 7, "correlation_id": "c"}}, "500 Internal Server Error"),
        json_answer({"error": {"message": "Invalid URL (GET /health)", "code": None}}, "404 Not Found"),  # a provider
    ],
)
async def test_something_else_is_there(said: bytes) -> None:
    async with blunt(said) as there:
        said_of_it, code = await trouble(Admin(there.url, None, {}))
    assert said_of_it.startswith(f"{there.url}/health answers ")
    assert said_of_it.endswith("is it an admin listener?")
    assert code == 1


@pytest.mark.parametrize(("status", "code"), [("400 Bad", 2), ("404 Not", 2), ("422 No", 2), ("500 Oops", 1)])
async def test_a_refusal_in_its_own_words(status: str, code: int) -> None:
    async with blunt(json_answer({"error": {"message": "not like this", "correlation_id": "c"}}, status)) as there:
        assert await trouble(Admin(there.url, None, {})) == ("not like this", code)


def test_a_document_of_another_shape_is_told_as_that() -> None:
    admin = Admin("http://127.0.0.1:1", None, {})
    with (
        pytest.raises(Trouble, match="is no sidecar, or one of a version that this one does not know"),
        admin.understood(),
    ):
        raise KeyError("status")
