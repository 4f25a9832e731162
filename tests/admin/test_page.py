"""The dashboard's files as they are served; what they do in a browser is in tests/wire/test_page_*.py."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from yarl import URL

from sidecar.admin.page import FOLDER, HEADERS, OPENER, TYPES, UNDER, files
from sidecar.admin.view import Access
from tests.kit.commands import ROOT
from tests.kit.tools import tool

if TYPE_CHECKING:
    import aiohttp

    from tests.kit.fake_view import FakeView

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
SCRIPTS = sorted(FOLDER.glob("*.js"))
LONGEST = 300
"""Lines of a module."""
LARGEST_PICTURE = 400 << 10
VENDORED = {
    "vendor/uPlot.esm.js": "5dd9b3281aa64b461b42d9945f6adb2649d346502b12281a9ae0d46599a80eba",
    "vendor/uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}
"""SHA-256 of the files of uPlot 1.6.32, as its package has them in dist/."""


@pytest.mark.parametrize("accept", [BROWSER, "*/*", "text/html", "application/json;q=0.5, text/html", "", "no/such"])
async def test_people_get_the_page(admin: aiohttp.ClientSession, accept: str) -> None:
    async with admin.get("/", headers={"Accept": accept}) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/html"
        assert answer.headers["Vary"] == "Accept"
        assert "<!doctype html>" in await answer.text()


@pytest.mark.parametrize(
    "accept", ["application/json", "application/json, text/plain, */*", "Application/JSON;q=1.0, text/html;q=0.9"]
)
async def test_programs_get_the_paths(admin: aiohttp.ClientSession, accept: str) -> None:
    async with admin.get("/", headers={"Accept": accept}) as answer:
        assert answer.headers["Vary"] == "Accept"
        assert "/health" in (await answer.json())["read"]


@pytest.mark.parametrize(
    "accept", ["application/json;q=much", "application/json;q=0, */*", ";;q=1,,", "application/json" * 99]
)
async def test_an_accept_that_asks_for_nothing_is_a_persons(admin: aiohttp.ClientSession, accept: str) -> None:
    async with admin.get("/", headers={"Accept": accept}) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")


@pytest.mark.parametrize("name", sorted(files()))
async def test_each_file_has_its_type_and_strict_headers(admin: aiohttp.ClientSession, name: str) -> None:
    path = "/" if name == "index.html" else UNDER + name
    async with admin.get(path) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == TYPES[Path(name).suffix]
        assert {key: answer.headers[key] for key in HEADERS} == HEADERS
        assert await answer.read() == (FOLDER / name).read_bytes()


def test_the_content_policy_lets_nothing_in_and_nobody_frame_it() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    )
    assert "unsafe" not in policy
    assert "*" not in policy


async def test_a_browser_that_has_a_file_is_not_sent_it_again(admin: aiohttp.ClientSession) -> None:
    for path in ("/", UNDER + "main.js"):
        async with admin.get(path) as first:
            etag = first.headers["ETag"]
        for known in (etag, f'"other", W/{etag}', "*"):
            async with admin.get(path, headers={"If-None-Match": known}) as again:
                assert (again.status, again.headers["ETag"], await again.read()) == (304, etag, b"")
                assert again.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]
        async with admin.get(path, headers={"If-None-Match": '"another"'}) as other:
            assert other.status == 200


async def test_head_tells_what_get_would(admin: aiohttp.ClientSession) -> None:
    async with admin.head("/") as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, TYPES[".html"])
        assert int(answer.headers["Content-Length"]) == len(files()["index.html"].body)


@pytest.mark.parametrize(
    "path",
    [
        "/static/", "/static/nothing.js", "/static/../page.py", "/static/..%2fpage.py", "/static/%2e%2e/page.py",
        "/static/..%5cpage.py", "/static//etc/passwd", "/static/%2fetc%2fpasswd", "/static/vendor", "/static/vendor/",
        "/static/vendor/LICENSE-uPlot", "/static/index.html", "/static/main.js%00", "/static/main.js/", "/page.css",
    ],
)  # fmt: skip
async def test_no_path_leads_anywhere_else(admin: aiohttp.ClientSession, path: str) -> None:
    async with admin.get(URL(path, encoded=True)) as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["type"] == "not_found"


@pytest.mark.parametrize("token", ["", "secret"])
async def test_off_loopback_the_files_need_no_token_and_the_numbers_do(
    admin: aiohttp.ClientSession, view: FakeView, token: str
) -> None:
    view.may = Access(token=token, loopback=False, check_host=False)
    for path in ("/", UNDER + "main.js", UNDER + "vendor/uPlot.esm.js"):
        async with admin.get(path) as answer:
            assert answer.status == 200
    refused = 401 if token else 403
    for path in ("/health", "/static/../health", "/static/%2e%2e/health"):
        async with admin.get(URL(path, encoded=True)) as answer:
            assert answer.status in {refused, 404}
            assert "checks" not in await answer.text()
    async with admin.get("/", headers={"Accept": "application/json"}) as answer:
        assert answer.status == refused
    async with admin.post(UNDER + "main.js") as answer:
        assert answer.status == refused


@pytest.mark.parametrize(
    ("host", "told"), [("127.0.0.1:7072", "same-origin"), ("localhost", "same-origin"), ("192.0.2.7:7072", None)]
)
async def test_no_header_brings_an_error_into_the_console(
    admin: aiohttp.ClientSession, host: str, told: str | None
) -> None:
    """Where neither TLS nor loopback makes an origin trustworthy, Chromium complains of the opener's policy."""
    async with admin.get("/", headers={"Host": host}) as answer:
        assert answer.status == 200
        assert answer.headers.get(OPENER) == told


async def test_a_foreign_host_does_not_get_the_page(admin: aiohttp.ClientSession) -> None:
    """A name that is made to resolve to 127.0.0.1 would be an origin of its own, with our buttons in it."""
    async with admin.get("/", headers={"Host": "evil.example.com"}) as answer:
        assert answer.status == 403


def test_the_page_names_only_files_that_are_there() -> None:
    html = files()["index.html"].body.decode()
    named = re.findall(r'(?:src|href)="(?!#)([^"]+)"', html)
    assert named
    assert [name for name in named if name.removeprefix("static/") not in files()] == []
    for script in SCRIPTS:
        for name in re.findall(r'from "\./([^"]+)"', script.read_text()):
            assert name in files(), f"{script.name} imports {name}"


@pytest.mark.parametrize(("look", "width"), [("light", 1440), ("dark", 1440), ("phone", 360)])
def test_the_documents_have_their_pictures(look: str, width: int) -> None:
    """tests/wire/test_page_looks.py takes them. The size stands in the first chunk (PNG, third edition, 11.2.1)."""
    name = f"images/dashboard-{look}.png"
    assert name in (ROOT / "docs" / "dashboard.md").read_text()
    content = (ROOT / "docs" / name).read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
    assert int.from_bytes(content[16:20]) == width
    assert 800 < int.from_bytes(content[20:24]) < 2000
    assert len(content) < LARGEST_PICTURE


def test_nothing_of_the_page_is_inline_or_from_elsewhere() -> None:
    html = files()["index.html"].body.decode()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*\ssrc=)", html)
    for name, file in files().items():
        if not name.startswith("vendor/"):
            text = re.sub(r"http://(www\.w3\.org/2000/svg|127\.0\.0\.1|\$\{)", "", file.body.decode())
            assert not re.search(r"https?://|//cdn", text), f"{name} names another host"


def test_no_module_takes_html_from_text() -> None:
    """The page's policy would refuse it, too (Trusted Types): a name with a tag in it is shown as it is."""
    for script in SCRIPTS:
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|srcdoc", script.read_text()
        )


def test_each_module_is_short_and_used() -> None:
    long = {script.name: count for script in SCRIPTS if (count := len(script.read_text().splitlines())) > LONGEST}
    assert long == {}
    everything = "".join(file.body.decode() for file in files().values())
    unused = [name for name in files() if name != "index.html" and f"/{name.rpartition('/')[2]}" not in everything]
    assert unused == []


def test_what_a_module_exports_is_imported_by_another() -> None:
    texts = {script.name: script.read_text() for script in SCRIPTS}
    for name, text in texts.items():
        for exported in re.findall(r"^export (?:async )?(?:function|const|class) (\w+)", text, re.MULTILINE):
            others = [
                other for other, theirs in texts.items() if other != name and re.search(rf"\b{exported}\b", theirs)
            ]
            assert others, f"nobody uses {exported} of {name}"


@pytest.mark.parametrize("script", [pytest.param(script, id=script.name) for script in SCRIPTS])
def test_each_module_parses(script: Path) -> None:
    kind = "commonjs" if script.name == "theme.js" else "module"
    node = tool("node", package="nodejs")
    command = [str(node), "--check", f"--input-type={kind}"]
    done = subprocess.run(command, input=script.read_bytes(), capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("name", sorted(VENDORED))
def test_what_is_not_ours_is_as_it_was_published(name: str) -> None:
    """`docs/dashboard.md` says how it is renewed."""
    assert hashlib.sha256(files()[name].body).hexdigest() == VENDORED[name]
    assert "MIT License" in (FOLDER / "vendor" / "LICENSE-uPlot").read_text()
    assert "uPlot 1.6.32" in (ROOT / "docs" / "dashboard.md").read_text()
