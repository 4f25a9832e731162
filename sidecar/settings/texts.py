"""Text with a shape: URLs, hosts, header names and values, paths, methods, networks."""

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from sidecar.settings.table import Table
from sidecar.settings.values import Secret, SettingError

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, section 5.6.2."""

SECRET_NAME = re.compile(r"key|token|auth|cookie|secret", re.IGNORECASE)
"""Names of header fields that hold a credential."""

SECRET_PARAMETER = re.compile(r"key|token|auth|cookie|secret|sig|pass|code", re.IGNORECASE)
"""Names of query parameters that do: signed URLs have a `sig`, functions of some clouds a `code`."""

OURS = frozenset(
    {
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Fields that frame a message or belong to one connection: the sidecar writes them itself."""


def header_value(text: str) -> str:
    """Without control characters: a line break would smuggle a header of its own (RFC 9110, section 5.5).

    Sent as ISO 8859-1, as HTTP has always read it.
    """
    if any(c > "\xff" for c in text):
        raise SettingError("a header value can hold the letters of ISO 8859-1 only")
    if any((c < " " and c != "\t") or c == "\x7f" for c in text):
        raise SettingError("a header value cannot hold control characters")
    return text


def _credential(text: str) -> str:
    """It is compared with a header value, around which blanks are lost (RFC 9110, section 5.5)."""
    if text != text.strip():
        raise SettingError("a credential cannot begin or end with a blank")
    return header_value(text)


def host_name(text: str) -> str:
    """A host without a port, lower case: names ignore case (RFC 9110, section 4.2.3)."""
    if not re.fullmatch(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", text):
        raise SettingError("is not a host", allowed="a name or an address without port or wildcard; IPv6 in brackets")
    return text.lower()


def path_text(text: str) -> str:
    """A request path as it stands on the wire."""
    if not text.startswith("/"):
        raise SettingError("must begin with /", nearest=f"/{text}" if text else "/")
    if not text.isascii() or any(c in text for c in '?# "<>\\^`{|}') or not text.isprintable():
        raise SettingError(
            "is not a path as it stands on the wire", allowed="ASCII without query; the rest percent-encoded"
        )
    return text


def _pattern(text: str) -> str:
    path_text(text)
    if "*" in text.removesuffix("/*"):
        raise SettingError("* may only stand alone after the last /", allowed='"/a/b" (exact) or "/a/*" (prefix)')
    return text


def _prefix(text: str) -> str:
    if text and (path_text(text) == "/" or text.endswith("/")):
        raise SettingError("cannot end with /", nearest=text.rstrip("/"))
    return text


def _rewrite(text: str) -> str:
    return path_text(text) if text else text


def _method(text: str) -> str:
    if not TOKEN.fullmatch(text):
        raise SettingError("is not a method")
    if text != text.upper():
        raise SettingError("methods are upper case", nearest=text.upper())
    return text


def check_scheme(text: str, schemes: tuple[str, ...]) -> None:
    """Raises `SettingError`."""
    scheme = text.partition(":")[0]
    if scheme not in schemes:
        raise SettingError(f"cannot have the scheme {scheme}", allowed=_forms(schemes))


def check_url(text: str, schemes: tuple[str, ...] = (), *, userinfo: bool = False) -> str:
    """A URL with a host, a sane port, neither query nor fragment, and one of the schemes. Raises `SettingError`."""
    allowed = _forms(schemes)
    if "://" not in text:
        scheme = schemes[0] if schemes else "http"
        raise SettingError(
            "is not a URL", allowed=allowed, nearest=f"{scheme}://{text}" if text and "@" not in text else ""
        )
    if any(c <= " " or c == "\x7f" for c in text):
        raise SettingError("is not a URL: it holds blanks or control characters", allowed=allowed)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise SettingError(f"is not a URL: {error}", allowed=allowed) from None
    if schemes:
        check_scheme(text, schemes)
    if not parts.hostname:
        raise SettingError("has no host", allowed=allowed)
    if port == 0:
        raise SettingError("has port 0")
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise SettingError("cannot have a query or a fragment")
    if not userinfo and "@" in parts.netloc:
        raise SettingError("cannot hold a user and password: set an Authorization header instead")
    return text


def _forms(schemes: tuple[str, ...]) -> str:
    return ", ".join("unix:/path" if scheme == "unix" else f"{scheme}://host" for scheme in schemes)


def _upstream_url(text: str) -> str:
    if text.startswith("unix:"):
        if not text.startswith("unix:/") or "\0" in text or text.startswith("unix://"):
            raise SettingError("names no absolute path after unix:", allowed="unix:/path")
        return text
    return check_url(text)


def _proxy_url(text: str) -> str:
    return check_url(text, ("http", "https"), userinfo=True) if text else text


def _redis_url(text: str) -> str:
    check_url(text, ("redis", "rediss"), userinfo=True)
    database = urlsplit(text).path.removeprefix("/")
    if database and not (database.isascii() and database.isdigit()):
        raise SettingError("names no database by its number", allowed="redis://host/0")
    return text


def _otlp_url(text: str) -> str:
    return check_url(text, ("http", "https"), userinfo=True) if text else text


def _origin(text: str) -> str:
    text = text.lower()
    check_url(text, ("http", "https"))
    parts = urlsplit(text)
    if parts.path:
        raise SettingError("an origin has no path", nearest=f"{parts.scheme}://{parts.netloc}")
    return text


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise SettingError("is not an address or a network", allowed='"10.0.0.0/8", "::1"') from None


def _limit_key(text: str) -> str:
    kind, _, name = text.partition(":")
    if text in {"global", "ip", "api_key"} or (kind == "header" and TOKEN.fullmatch(name)):
        return text
    raise SettingError("is not a key that calls can be counted by", allowed="global, ip, header:NAME, api_key")


def _text(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(check)


Headers = Table[Annotated[Secret, _text(header_value)]]
"""Header fields to send."""

Credential = Annotated[Secret, _text(_credential)]
Host = Annotated[str, _text(host_name)]
PathPattern = Annotated[str, _text(_pattern)]
PathText = Annotated[str, _text(path_text)]
Prefix = Annotated[str, _text(_prefix)]
Rewrite = Annotated[str, _text(_rewrite)]
Method = Annotated[str, _text(_method)]
Url = Annotated[str, _text(_upstream_url)]
ProxyUrl = Annotated[str, _text(_proxy_url)]
RedisUrl = Annotated[Secret, _text(_redis_url)]
OtlpUrl = Annotated[str, _text(_otlp_url)]
Origin = Annotated[str, _text(_origin)]
Network = Annotated[str, _text(_network)]
LimitKey = Annotated[str, _text(_limit_key)]
