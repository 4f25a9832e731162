"""The dashboard: `GET /`, and the files it is made of, as they lie in `static/`.

The files are read once and served by a table of their names, so no path leads
anywhere else. They hold nothing secret and need no token; what they show does.
The policy below lets the page load and ask its own listener only, run no text as
code, and stand in nobody's frame: a button that opens a breaker cannot be put
under another page's mouse (Content Security Policy Level 3, Trusted Types).
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import ETag, web

from sidecar.access import is_loopback
from sidecar.admin.auth import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FOLDER = Path(__file__).parent / "static"
UNDER = "/static/"
INDEX = "index.html"

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": CONTENT_POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
}
OPENER = "Cross-Origin-Opener-Policy"


class File(NamedTuple):
    """One file of the page, as it is sent."""

    content_type: str
    body: bytes
    etag: str


@cache
def files() -> Mapping[str, File]:
    """What may be asked for below `UNDER`, by name: read at the first call, 0.3 MB."""
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in TYPES:
            body = path.read_bytes()
            etag = hashlib.sha256(body).hexdigest()[:16]
            found[path.relative_to(FOLDER).as_posix()] = File(TYPES[path.suffix], body, etag)
    return found


def tokenless(request: web.Request) -> bool:
    """Is this one of the page's own files?"""
    return request.path.startswith(UNDER) or (request.path == "/" and not wants_json(request))


def wants_json(request: web.Request) -> bool:
    """A program that names JSON and does not like HTML as well; browsers and `*/*` get the page (RFC 9110, 12.5.1)."""
    shares = dict(_shares(request.headers.getall("Accept", ())))
    return shares.get("application/json", 0.0) > shares.get("text/html", 0.0)


def _shares(lines: Iterable[str]) -> Iterable[tuple[str, float]]:
    """Each media range of `Accept` and how much it is liked, 0 to 1; what cannot be read is not liked."""
    for entry in ",".join(lines).split(","):
        kind, *parameters = (part.strip().lower() for part in entry.split(";"))
        share = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    share = float(parameter[2:])
                except ValueError:
                    share = 0.0
        yield kind, share


async def index(request: web.Request) -> web.Response:
    """The page itself."""
    answer = _answer(request, files()[INDEX])
    answer.headers["Vary"] = "Accept"
    return answer


async def static(request: web.Request) -> web.Response:
    """One of its files. `NotFound`: there is none of that name."""
    name = request.match_info["name"]
    found = files().get(name)
    if found is None or name == INDEX:
        raise NotFound("the page has no such file")
    return _answer(request, found)


def _answer(request: web.Request, file: File) -> web.Response:
    """304 where the browser's copy is still right (RFC 9110, section 13.1.2)."""
    known = {tag.value for tag in request.if_none_match or ()}
    if known & {file.etag, "*"}:
        answer = web.Response(status=304, headers=HEADERS)
    else:
        answer = web.Response(body=file.body, headers={**HEADERS, "Content-Type": file.content_type})
    # Elsewhere a browser ignores it, with an error in the console (HTML, section 7.1.3: secure contexts only).
    if request.secure or is_loopback(request.host):
        answer.headers[OPENER] = "same-origin"
    answer.etag = ETag(file.etag)
    return answer
