"""What is left of a rate limit, as the caller is told it: the IETF draft's fields, and the older ones beside them.

Which fields there are, and most of their text, depends on the limit's windows alone,
so it is made once for each set of windows and kept.

A window of tokens says so by `qu` (draft-ietf-httpapi-ratelimit-headers-11, section 3.1.2),
since without it a quota counts requests. The draft's own units are requests, content bytes
and concurrent requests; further ones are to be registered, and none for tokens is yet. The
older fields have no word for a unit, so they speak of requests alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.quota import Quota

_WINDOW_NAMES = {1.0: b"Second", 60.0: b"Minute", 3600.0: b"Hour", 86400.0: b"Day"}

_REQUESTS = "requests"


class QuotaLines:
    """Encodes quotas as header lines. `wall` is seconds since 1970, for `X-RateLimit-Reset-*`."""

    __slots__ = ("_templates", "_wall")

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._templates: dict[tuple[tuple[int, float, str], ...], bytes] = {}

    def of(self, quotas: list[Quota]) -> bytes:
        """The lines, with a line end between them and none behind."""
        windows = tuple([(quota.limit, quota.window, quota.unit) for quota in quotas])
        template = self._templates.get(windows) or self._template(windows)
        now = math.ceil(self._wall())
        numbers: list[int] = []
        older: list[int] = []
        for quota in quotas:
            reset = math.ceil(quota.reset)
            numbers += (quota.remaining, reset)
            if quota.unit == _REQUESTS:
                older += (quota.remaining, now + reset)
        return template % (*numbers, *older)

    def _template(self, windows: tuple[tuple[int, float, str], ...]) -> bytes:
        """The lines for these windows (limit, seconds, unit), with places for what changes from call to call."""
        policies, states, older = [], [], []
        for limit, seconds, unit in windows:
            window = _WINDOW_NAMES[seconds]
            name, counted = window.lower(), b""
            if unit == _REQUESTS:
                older.append(
                    b"\r\nX-RateLimit-Limit-%b: %d\r\nX-RateLimit-Remaining-%b: %%d\r\nX-RateLimit-Reset-%b: %%d"
                    % (window, limit, window, window)
                )
            else:
                name, counted = b"%b-per-%b" % (unit.encode(), name), b';qu="%b"' % unit.encode()
            policies.append(b'"%b";q=%d%b;w=%d' % (name, limit, counted, seconds))
            states.append(b'"%b";r=%%d;t=%%d' % name)
        template = b"RateLimit-Policy: %b\r\nRateLimit: %b%b" % (
            b", ".join(policies),
            b", ".join(states),
            b"".join(older),
        )
        self._templates[windows] = template
        return template
