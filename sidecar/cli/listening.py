"""Where a policy file has its listeners: for who asks whether a sidecar lives, whatever address it was told.

Only these keys of `[listen]` are looked at, and no secret is read. The file may have mistakes elsewhere: a sidecar that
runs has the one before.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from sidecar.config.files import read
from sidecar.config.interpolate import interpolate
from sidecar.settings import ListenSettings
from sidecar.settings.address import parse_address

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_KEYS = ("probe", "admin", "admin_tls", "http", "http_tls")
_EVERY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what listens on all addresses is asked on loopback


def listening(path: Path, environ: Mapping[str, str]) -> list[str]:
    """The listeners that answer `/livez`, as a command asks them: the probe listener first, which never has TLS and
    none of whose paths a route takes. Raises `OSError`, `ValueError` for a file that does not tell.
    """
    document = tomllib.loads(read(path, pipes=False).decode("utf-8-sig"))
    table = interpolate(document.get("listen", {}), environ).document
    listen = ListenSettings.model_validate({key: value for key, value in dict(table).items() if key in _KEYS})
    asked = ((listen.probe, None), (listen.admin, listen.admin_tls), (listen.http, listen.http_tls))
    return [_url(text, secure=tls is not None) for text, tls in asked if text]


def _url(text: str, *, secure: bool) -> str:
    address = parse_address(text)
    assert address is not None
    if address.unix:
        return str(address)
    host = _EVERY.get(address.host, address.host)
    return f"{'https' if secure else 'http'}://{f'[{host}]' if ':' in host else host}:{address.port}"
