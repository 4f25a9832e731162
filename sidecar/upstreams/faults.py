"""Chaos for testing one's own application: an upstream that fails as `[faults]` of the policy file says.

What stands around the upstream plays it towards its caller, so all that is above (retry,
fallback, breakers, the dialects of LLMs) meets the trouble as if the upstream had made it.
Each attempt is drawn for anew.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.access import hostname
from sidecar.call import Facts, Reply, What, Wire
from sidecar.dialects.llm_errors import LlmError, write_error
from sidecar.errors import UpstreamError
from sidecar.replies import let_go
from sidecar.upstreams.faulty_body import TORN_MESSAGE, disturb
from sidecar.upstreams.grpc_status import status_alone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sidecar.call import Attempt, Call, Upstream
    from sidecar.settings import FaultSettings

_GRPC_CODES = {
    400: "INTERNAL",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "UNIMPLEMENTED",
    429: "UNAVAILABLE",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "UNAVAILABLE",
}
"""The code that a gRPC client makes of an HTTP status, UNKNOWN for all others
(https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md).
"""

_NO_BODY = frozenset({204, 205, 304})


@dataclass(frozen=True, slots=True)
class Fault:
    """`[faults.NAME]`. Times are seconds, `percent` is of the attempts that match.

    A condition that is not set always holds. `path` and `grpc` are beginnings where a `*` stood behind them;
    those on path and methods hold for HTTP alone, as that on `grpc` does for gRPC.
    """

    name: str
    percent: float = 100.0
    delay: float = 0.0
    status: int | None = None
    reset: bool = False
    first_token: float = 0.0
    cut: int | None = None
    """So many events of a stream pass."""
    stall: float = 0.0
    malformed: bool = False

    path: bytes | None = None
    is_prefix: bool = False
    host: bytes = b""
    methods: frozenset[bytes] = frozenset()
    headers: tuple[tuple[bytes, bytes], ...] = ()
    grpc: bytes | None = None
    is_beginning: bool = False

    @property
    def disturbs(self) -> bool:
        """It does something to a reply's body."""
        return self.first_token > 0 or self.cut is not None or self.stall > 0 or self.malformed

    def hits(self, call: Call) -> bool:
        """Do all conditions that are set hold?"""
        if call.wire is Wire.GRPC:
            if self.path is not None or self.methods or not self._calls(call.path[1:]):
                return False
        elif self.grpc is not None or not self._asks(call):
            return False
        if self.host and self.host != hostname(call.host):
            return False
        for name, value in self.headers:
            sent = call.fields.get(name)
            if sent is None or value not in (b"*", sent):
                return False
        return True

    def _calls(self, method: bytes) -> bool:
        if self.grpc is None:
            return True
        return method.startswith(self.grpc) if self.is_beginning else method == self.grpc

    def _asks(self, call: Call) -> bool:
        if self.methods and call.method not in self.methods:
            return False
        path = self.path
        if path is None or call.path == path:
            return True
        # `/a/*` also takes `/a`; `/*` takes everything, also the asterisk of OPTIONS.
        return self.is_prefix and (not path or call.path.startswith(path + b"/"))


def compiled(name: str, settings: FaultSettings) -> Fault:
    """The fault as a call meets it."""
    match = settings.match
    path, grpc = match.path, match.grpc
    return Fault(
        name=name,
        percent=settings.percent,
        delay=settings.delay,
        status=settings.status,
        reset=settings.reset,
        first_token=settings.first_token,
        cut=settings.cut_after_tokens,
        stall=settings.stall,
        malformed=settings.malformed,
        path=None if path is None else path.removesuffix("/*").encode(),
        is_prefix=path is not None and path.endswith("/*"),
        host=(match.host or "").lower().encode(),
        methods=frozenset(method.encode() for method in match.methods),
        headers=tuple((name.lower().encode(), value.encode()) for name, value in match.headers.items()),
        grpc=None if grpc is None else grpc.removesuffix("*").encode(),
        is_beginning=grpc is not None and grpc.endswith("*"),
    )


class Faulty:
    """An upstream with faults. `rng` is uniform in [0, 1); `idle` is the longest silence (seconds) inside a reply that
    `inner` allows, 0 for any: faults are silent for no longer.

    Of several faults that hit one attempt each is applied, in order; the first that answers or resets ends it.
    """

    def __init__(
        self, inner: Upstream, faults: Sequence[Fault], rng: Callable[[], float], *, idle: float = 0.0
    ) -> None:
        self._inner = inner
        self._faults = tuple(faults)
        self._rng = rng
        self._idle = idle

    def send(self, call: Call, attempt: Attempt) -> Awaitable[Reply]:
        """Send once, or not at all. Beside what `inner` raises: `UpstreamError` with RESET for a fault's reset."""
        drawn = [fault for fault in self._faults if fault.hits(call) and self._rng() * 100 < fault.percent]
        return self._fail(call, attempt, drawn) if drawn else self._inner.send(call, attempt)

    async def aclose(self) -> None:
        """Close what `inner` holds."""
        await self._inner.aclose()

    async def _fail(self, call: Call, attempt: Attempt, drawn: list[Fault]) -> Reply:
        for fault in drawn:
            if fault.delay:
                await asyncio.sleep(fault.delay)
            if fault.reset:
                raise _reset(fault)
            if fault.status is not None:
                return _answer(call, fault, fault.status)
        reply = await self._inner.send(call, attempt)
        for fault in drawn:
            if not fault.disturbs:
                continue
            if call.wire is Wire.GRPC and reply.whole is not None:
                try:
                    await _disturb_message(reply, fault)
                except BaseException:
                    let_go(reply)
                    raise
            else:
                disturb(reply, fault, self._idle, call.wire)
        return reply


async def _disturb_message(reply: Reply, fault: Fault) -> None:
    """A unary answer is one message, and its evidence: held back, it is late; cut, it never came."""
    await asyncio.sleep(fault.first_token + fault.stall)
    if fault.cut is not None:
        raise _reset(fault)
    if fault.malformed:
        reply.whole = TORN_MESSAGE


def _reset(fault: Fault) -> UpstreamError:
    return UpstreamError(Facts(What.RESET, detail=f"fault {fault.name}: reset"))


def _answer(call: Call, fault: Fault, status: int) -> Reply:
    """The answer of an upstream that was not asked, in the shape of the call."""
    message = f"fault {fault.name}"
    if call.wire is Wire.GRPC:
        code = _GRPC_CODES.get(status, "UNKNOWN")
        return status_alone(code, message, [], [], Facts(What.REPLY, status=200, grpc_code=code, detail=message))
    if status in _NO_BODY:
        return Reply(status, b"", [], Facts(What.REPLY, status=status), {}, whole=b"")
    if call.llm is not None and status >= 400:
        _, body = write_error(call.llm.dialect, LlmError(status, "", "", message), call.id)
    elif status >= 400:
        body = json.dumps({"error": {"type": "fault", "message": message}}).encode()
    else:
        body = json.dumps({"fault": fault.name}).encode()
    kind = b"application/json"
    facts = Facts(What.REPLY, status=status)
    return Reply(status, b"", [(b"Content-Type", kind)], facts, {b"content-type": kind}, whole=body)
