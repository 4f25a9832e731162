"""Who may use the stand-in's RouterAdmin.

The key comes in `x-api-key`, else in `authorization`, there bare or behind `Bearer`;
`api-key` is not read, although the Router's documentation names it. Who holds the key
may do everything, unless `x-user-id` names someone who may do less.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidecar.standins.router_error import RouterError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEMO_KEY = "beamline-demo-key"
DEMO_READ_KEY = "beamline-read-key"
WELL_FORMED = re.compile(r"[A-Za-z0-9_.-]{8,}")
"""The Router takes no other key for one, its own neither."""


@dataclass(frozen=True, slots=True)
class Access:
    """The admin key, a second one that only reads, and the users by name: True for those who may write.

    Without a key of its own the Router cannot compare, and says INTERNAL to all.
    """

    key: str = DEMO_KEY
    read_key: str = DEMO_READ_KEY
    users: Mapping[str, bool] = field(default_factory=lambda: {"demo-admin": True, "demo-viewer": False})

    def check(self, metadata: Mapping[str, str], *, writes: bool) -> None:
        """Return when the call may go on. Raises `RouterError`: unauthenticated, permission_denied, internal."""
        if not WELL_FORMED.fullmatch(self.key):
            raise RouterError("internal", "no admin key is configured")
        given = metadata.get("x-api-key")
        if given is None:
            given = metadata.get("authorization", "").removeprefix("Bearer ")
        may_write = self._same(given, self.key)
        if not may_write and not self._same(given, self.read_key):
            raise RouterError("unauthenticated", "the admin key is missing or wrong")
        user = metadata.get("x-user-id")
        if user is not None:
            if user not in self.users:
                raise RouterError("permission_denied", f"{user} has no role")
            may_write = may_write and self.users[user]
        if writes and not may_write:
            raise RouterError("permission_denied", "this role may only read")

    @staticmethod
    def _same(given: str, key: str) -> bool:
        return bool(WELL_FORMED.fullmatch(given)) and hmac.compare_digest(given, key)
