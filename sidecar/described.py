"""A call that somebody describes, made a `Call` by the code that makes one of a request.

The description is written as a caller would write it on the wire and given to the
listener's own parser: what explanations say of it is then what calls meet.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from sidecar.access import is_loopback
from sidecar.body import Body, ReplayMemory
from sidecar.errors import InvalidRequest, Refused
from sidecar.http1.intake import Intake, ServerLimits
from sidecar.ids import Ids
from sidecar.listeners.asked import Access
from sidecar.listeners.read_call import CallReader
from sidecar.listeners.read_metadata import MetadataReader
from sidecar.settings import SettingError
from sidecar.settings.texts import TOKEN, header_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidecar.call import Call
    from sidecar.http1.server import ServerConnection
    from sidecar.settings import ListenSettings, Settings

GRPC = "GRPC"
"""The word for a gRPC call where a method of HTTP is asked for: nobody sends it."""

_VIA = b"1.1 sidecar-explained"
"""Nobody's: a described call has not come back."""

_URL = re.compile(r"(?:https?|grpcs?)://([^/?#]*)([^#]*)(?:#.*)?", re.IGNORECASE | re.DOTALL)
_RPC = re.compile(r"/[A-Za-z_][\w.]*/\w+", re.ASCII)
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


def described(method: str, url: str, headers: Iterable[tuple[str, str]], settings: Settings) -> Call:
    """The call of somebody on this machine; its `refusal` is set when the listener would not serve it.

    `url` is a path, or a URL whose host is then the `Host`, unless `headers` have one. What is not ASCII in it is sent
    as clients send it, percent-encoded. gRPC: the method `GRPC`, or a POST with gRPC's content type. No body is there.
    Raises `InvalidRequest` for what is no request.
    """
    fields = [(name.strip(), _value(name, value)) for name, value in headers]
    if not TOKEN.fullmatch(method):
        raise InvalidRequest(f"{method!r} is not a method")
    rpc = method == GRPC or (method == "POST" and any(_is_grpc(name, value) for name, value in fields))
    host, target = _split(url, rpc=rpc)
    named = [value for name, value in fields if name.lower() == "host"]
    host = named[0] if named else host or _host(settings.listen.grpc if rpc else settings.listen.http)
    access = _access(settings)
    if rpc:
        if not _RPC.fullmatch(target):
            raise InvalidRequest(f"{target.removeprefix('/')!r} is no gRPC method: package.Service/Method")
        reader = MetadataReader(access, Ids(), _VIA, _no_time, max_headers=settings.limits.max_headers)
        metadata = [(name.lower(), value) for name, value in fields]
        return reader.read(
            target, metadata, Body.of(b""), deadline=None, peer="ipv4:127.0.0.1:1", host=host.encode("latin-1"),
            secure=False, unary=False,
        )  # fmt: skip
    further = [(name, value) for name, value in fields if name.lower() != "host"]
    hosts = named or [host]
    return _read(method, target, [*(("Host", one) for one in hosts), *further], access, settings)


def needs_token(call: Call, settings: Settings) -> bool:
    """The call would be refused for want of `X-Sidecar-Token`, which nobody should have to tell in a description."""
    return bool(settings.listen.http_token) and b"x-sidecar-token" not in call.fields


def _read(method: str, target: str, fields: list[tuple[str, str]], access: Access, settings: Settings) -> Call:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    caller = _Caller(settings.listen)
    intake = Intake(
        cast("ServerConnection", caller), ServerLimits(settings.limits.max_headers, settings.limits.max_header_bytes)
    )
    reader = CallReader(access, Ids(), ReplayMemory(0), _VIA, _no_time)
    try:
        intake.take("\r\n".join((*lines, "", "")).encode("latin-1"))
    except InvalidRequest:
        raise
    except Refused as refusal:  # a request, but none that is served
        call = reader.unread(None)
        call.method, call.target, call.path = method.encode(), target.encode(), target.partition("?")[0].encode()
        call.refusal = refusal
        return call
    finally:
        intake.forget()
    call = reader.read(intake.waiting[0])
    call.body = Body.of(b"")
    return call


class _Caller:
    """What a request asks of the connection that it came on."""

    loop = None
    secure = False
    closing = False
    peer = "127.0.0.1"

    def __init__(self, listen: ListenSettings) -> None:
        self.local = "127.0.0.1" if is_loopback(listen.http) and not listen.http.startswith("unix:") else ""

    def body_waits(self) -> None:
        """Nothing waits: no body comes."""


def _split(url: str, *, rpc: bool) -> tuple[str, str]:
    """Host (empty when it names none) and request target."""
    if any(c <= " " or c == "\x7f" for c in url):
        raise InvalidRequest(f"{url!r} holds blanks or control characters: they are percent-encoded in a URL")
    found = _URL.fullmatch(url)
    host, rest = (found[1], found[2]) if found else ("", url.partition("#")[0])
    if found and not host:
        raise InvalidRequest(f"{url!r} names no host")
    if not host.isascii():
        raise InvalidRequest(f"{host!r} is no host as it stands on the wire: it is ASCII (xn--…)")
    if (found or rpc) and rest[:1] != "/":
        rest = f"/{rest}"
    if rest[:1] != "/" and rest != "*":
        meant = "" if "://" in url else f" (did you mean {'/' + url!r}?)"
        raise InvalidRequest(f"{url!r} is neither a path nor an http URL{meant}")
    return host, quote(rest, safe=_PRINTABLE, errors="surrogateescape")


def _value(name: str, value: str) -> str:
    if not TOKEN.fullmatch(name.strip()):
        raise InvalidRequest(f"{name!r} is not the name of a header")
    try:
        return header_value(value.strip())
    except SettingError as error:
        raise InvalidRequest(f"{name.strip()}: {error}") from None


def _is_grpc(name: str, value: str) -> bool:
    kind = value.lower().partition(";")[0].strip()
    return name.lower() == "content-type" and (kind == "application/grpc" or kind.startswith("application/grpc+"))


def _host(address: str) -> str:
    """As callers on this machine name the listener."""
    return address if address and not address.startswith("unix:") else "localhost"


def _access(settings: Settings) -> Access:
    hosts = {host.lower().encode() for host in settings.listen.hosts}
    hosts |= {route.match.host.encode() for route in settings.routes.values() if route.match.host}
    return Access(frozenset(hosts), frozenset(origin.lower().encode() for origin in settings.listen.origins))


def _no_time() -> float:
    """What a description says happens at no moment."""
    return 0.0
