"""What is left of a rate limit, as the caller is told it: the IETF draft's fields, and the older ones beside them.

Which fields there are, and most of their text, depends on the limit's windows alone,
so it is made once for each set of windows and kept.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.call import Quota

_WINDOW_NAMES = {1.0: b"Second", 60.0: b"Minute", 3600.0: b"Hour", 86400.0: b"Day"}


class QuotaLines:
    """Encodes quotas as header lines. `wall` is seconds since 1970, for `X-RateLimit-Reset-*`."""

    __slots__ = ("_templates", "_wall")

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._templates: dict[tuple[tuple[int, float], ...], bytes] = {}

    def of(self, quotas: list[Quota]) -> bytes:
        """The lines, with a line end between them and none behind."""
        windows = tuple([(quota.limit, quota.window) for quota in quotas])
        template = self._templates.get(windows) or self._template(windows)
        now = math.ceil(self._wall())
        numbers: list[int] = []
        older: list[int] = []
        for quota in quotas:
            reset = math.ceil(quota.reset)
            numbers += (quota.remaining, reset)
            older += (quota.remaining, now + reset)
        return template % (*numbers, *older)

    def _template(self, windows: tuple[tuple[int, float], ...]) -> bytes:
        """The lines for these windows (limit, seconds), with places for what changes from call to call."""
        policies, states, older = [], [], []
        for limit, seconds in windows:
            name = _WINDOW_NAMES[seconds]
            policies.append(b'"%b";q=%d;w=%d' % (name.lower(), limit, seconds))
            states.append(b'"%b";r=%%d;t=%%d' % name.lower())
            older.append(
                b"\r\nX-RateLimit-Limit-%b: %d\r\nX-RateLimit-Remaining-%b: %%d\r\nX-RateLimit-Reset-%b: %%d"
                % (name, limit, name, name)
            )
        template = b"RateLimit-Policy: %b\r\nRateLimit: %b%b" % (
            b", ".join(policies),
            b", ".join(states),
            b"".join(older),
        )
        self._templates[windows] = template
        return template
