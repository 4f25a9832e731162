"""A call as `POST /explain` describes it: `{"method", "path" or "url", "headers"?, "model"?}`."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from sidecar.errors import InvalidRequest

KEYS = ("method", "path", "url", "headers", "model")


class Description(NamedTuple):
    """What is asked about; nothing but its form has been looked at."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    model: str


def read_description(body: bytes) -> Description:
    """Raises `InvalidRequest` for what describes no call."""
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise InvalidRequest("the body is not JSON") from None
    if not isinstance(asked, dict):
        raise InvalidRequest('the body must be {"method": "…", "path" or "url": "…", "headers": {…}, "model": "…"}')
    unknown = [key for key in asked if key not in KEYS]
    if unknown:
        raise InvalidRequest(f"{unknown[0]!r} is not known here: {', '.join(KEYS)}")
    if ("path" in asked) == ("url" in asked):
        raise InvalidRequest("one of path and url is needed, and not both")
    url = _text(asked, "path" if "path" in asked else "url")
    return Description(_text(asked, "method").upper(), url, _headers(asked.get("headers")), _model(asked.get("model")))


def _text(asked: dict[str, Any], key: str) -> str:
    found = asked.get(key)
    if not isinstance(found, str) or not found:
        raise InvalidRequest(f"{key} must be text")
    return found


def _headers(found: object) -> tuple[tuple[str, str], ...]:
    if found is None:
        return ()
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise InvalidRequest('headers must be {"name": "value"}')
    return tuple(found.items())


def _model(found: object) -> str:
    if found is not None and not isinstance(found, str):
        raise InvalidRequest("model must be text")
    return found or ""
