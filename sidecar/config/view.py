"""The effective configuration as it may be shown: every value decided, every secret hidden."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from sidecar.config.effective import Held, effective
from sidecar.settings.texts import SECRET_NAME, SECRET_PARAMETER

if TYPE_CHECKING:
    from sidecar.config.places import Place
    from sidecar.settings import Settings

HIDDEN = "***"

_USERINFO = re.compile(r"(?<=://)[^/?#\s]+(?=@)")  # up to the last @: a password may hold one
_SECRET_KEYS = {"http_token", "token", "api_key"}
_NAMED_VALUES = {"headers", "default_headers", "query"}
_ANY = "*"
"""What a route says of a header that need only be there: no secret, whatever the header's name."""


def view(settings: Settings, hidden: frozenset[Place]) -> dict[str, Any]:
    """Plain JSON values. `hidden` are the places whose values came from the environment or a file."""
    whole: dict[str, Any] = plain(effective(settings), hidden)
    return whole


def plain(tree: Any, hidden: frozenset[Place]) -> Any:
    """A part of the effective configuration as it may be shown: each value is hidden if its place is."""
    if isinstance(tree, Held):
        return _shown(tree.value, tree.place, hidden)
    if isinstance(tree, dict):
        return {key: plain(item, hidden) for key, item in tree.items()}
    return [plain(item, hidden) for item in tree]


def _shown(value: Any, place: Place, hidden: frozenset[Place]) -> Any:
    if place and (place in hidden or _tells(value, place)):
        return HIDDEN
    if isinstance(value, BaseModel):
        return {key: _shown(item, (*place, key), hidden) for key, item in value}
    if isinstance(value, Mapping):
        return {key: _shown(item, (*place, key), hidden) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_shown(item, (*place, index), hidden) for index, item in enumerate(value)]
    return _USERINFO.sub(HIDDEN, value) if isinstance(value, str) else value


def _tells(value: Any, place: Place) -> bool:
    """A value that is a secret by its name, wherever it came from."""
    if not isinstance(value, str) or value in {"", _ANY}:
        return False
    table, name = place[-2] if len(place) > 1 else "", str(place[-1])
    if table in _NAMED_VALUES:
        return (SECRET_PARAMETER if table == "query" else SECRET_NAME).search(name) is not None
    return name in _SECRET_KEYS
