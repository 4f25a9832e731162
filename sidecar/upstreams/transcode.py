"""Decides that cross protocols: what stands around an upstream so that it can be asked in the other shape.

Two decorators change what is sent and what comes back, never whether or when.
`GatewayDecides` stands around c-gateway's HTTP, `RouterDecides` around the
Router's gRPC. A decide is small and its evidence is its whole answer, so both
bodies are held whole. Facts stay those of the wire that answered: whether a try
is worth repeating is read off c-gateway's statuses at c-gateway, off gRPC codes at
the Router, whichever the caller speaks.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from sidecar.body import Body, Messages
from sidecar.call import Reply, Sign, Wire
from sidecar.dialects.beamline import DECIDE
from sidecar.dialects.decide import DECIDE_PATH, DECIDE_PATHS, Shape, Untranslatable, is_trace, loads
from sidecar.dialects.decide_answer import (
    read_json_decision,
    read_route_decision,
    write_json_decision,
    write_route_decision,
)
from sidecar.dialects.decide_error import as_failure, as_status, read_failure, sign_of, write_failure
from sidecar.dialects.decide_request import (
    complete_real,
    read_json,
    read_route_request,
    tenant_field,
    with_policy,
    write_real,
    write_route_request,
)
from sidecar.dialects.metadata import is_text
from sidecar.upstreams.transcode_bodies import cannot_carry, derived, hold, index, no_decision, read

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sidecar.call import Attempt, Call, Upstream
    from sidecar.dialects.decide import Decide, Decision

LONGEST_REQUEST = 65_535
"""Bytes of a request, head included, that c-gateway's one read takes; a body alone may not be longer."""

UNTOLD_WAIT = 1.0
"""The `Retry-After` (seconds) of a 429 whose time nobody knows: a client of c-gateway that finds none sleeps for a
minute.
"""

# What means the same on both wires, in the spelling of HTTP: c-gateway compares names byte for byte.
_SHARED = {
    b"authorization": b"Authorization",
    b"x-api-key": b"X-API-Key",
    b"x-user-id": b"X-User-ID",
    b"tracestate": b"tracestate",
    b"baggage": b"baggage",
    b"via": b"Via",  # calls that go in a circle are known by it
}
_TOLD = (b"retry-after", b"x-ratelimit-")
"""What an error of c-gateway's tells a gRPC caller beside its text."""

_JSON = (b"Content-Type", b"application/json")


def gateway_cannot(call: Call) -> str:
    """Why c-gateway cannot carry the call: it serves HTTP, and of gRPC the one method that has a codec."""
    return "" if call.wire is Wire.HTTP or call.path == DECIDE else "not_translatable: it carries HTTP and Decide"


def router_cannot(call: Call) -> str:
    """Why the Router cannot carry the call: it serves gRPC, and of HTTP the decides."""
    return "" if call.wire is Wire.GRPC or is_http_decide(call) else "not_translatable: it carries gRPC and decides"


def is_http_decide(call: Call) -> bool:
    """A POST to where c-gateway takes decides; what its body is has not been looked at."""
    return call.method == b"POST" and (call.outgoing or call.target) in DECIDE_PATHS and not call.upgrade


class GatewayDecides:
    """c-gateway, asked for decides in any shape; other calls pass untouched.

    `tenant` is whom the upstream's settings name as `X-Tenant-ID` where the caller names none.
    """

    def __init__(self, inner: Upstream, *, tenant: str = "") -> None:
        self._inner = inner
        self._tenant = tenant

    def send(self, call: Call, attempt: Attempt) -> Awaitable[Reply]:
        """Send once. Of a decide the answer is whole. Beside what `inner` raises: `UpstreamError` with CANNOT_CARRY
        for a decide that cannot be said in c-gateway's shape or is too long for it, with UNPARSEABLE for an
        answer that is none.
        """
        if call.wire is Wire.GRPC:
            return self._grpc(call, attempt)
        if is_http_decide(call):
            return self._http(call, attempt)
        return self._inner.send(call, attempt)

    async def aclose(self) -> None:
        """Close what `inner` holds."""
        await self._inner.aclose()

    async def _http(self, call: Call, attempt: Attempt) -> Reply:
        body = call.body.whole
        if body is None or len(body) > LONGEST_REQUEST:
            body = await hold(call, attempt, LONGEST_REQUEST)
        decide = read_json(body, call.fields, call.id, self._tenant)
        onward = call if decide is None else _json_to_gateway(call, decide)
        reply = await self._inner.send(onward, attempt)
        if reply.tunnel is not None or reply.fields.get(b"content-encoding", b"identity") != b"identity":
            return reply  # nothing that c-gateway itself would send
        whole = await read(reply)
        document = loads(whole)
        failure = read_failure(reply.status, document, whole)
        if failure is not None:
            sign = sign_of(failure, sent=bool(body))
            if sign is not None:
                reply.facts = replace(reply.facts, sign=sign)
        elif decide is not None:
            decision = read_json_decision(document)
            if decision is None:
                raise no_decision(reply.status)
            if decision.shape is not decide.shape:
                reply.whole = _written(decision, decide)
                reply.length = len(reply.whole)
        return reply

    async def _grpc(self, call: Call, attempt: Attempt) -> Reply:
        if call.path != DECIDE:
            raise cannot_carry("c-gateway has no such method")
        message = await hold(call, attempt, LONGEST_REQUEST)
        decide = read_route_request(message, call.id, self._tenant)
        if decide is None:
            raise cannot_carry("the message is no RouteRequest")
        answer = await self._inner.send(_grpc_to_gateway(call, decide), attempt)
        status, whole = answer.status, await read(answer)
        document = loads(whole)
        failure = read_failure(status, document, whole)
        if failure is None:
            decision = read_json_decision(document)
            if decision is None:
                raise no_decision(status)
            reply = Reply(200, b"", [], answer.facts, {}, whole=_written(decision, decide))
            reply.code = "OK"
            return reply
        if status in range(300, 400):
            raise no_decision(status)
        sign = sign_of(failure, sent=True)
        reply = Reply(200, b"", [], answer.facts if sign is None else replace(answer.facts, sign=sign), {})
        reply.trailers = [(name, value) for name, value in answer.fields.items() if name.startswith(_TOLD)]
        reply.code, reply.message = as_status(failure)
        return reply


class RouterDecides:
    """The Router, asked for decides in any shape; other gRPC calls pass untouched.

    `max_held` is the longest body (bytes) that is held whole. `wall` is seconds since 1970. `tenant` is
    whom the upstream's settings name where an HTTP caller names none.
    """

    def __init__(self, inner: Upstream, *, max_held: int, wall: Callable[[], float], tenant: str = "") -> None:
        self._inner = inner
        self._max_held = max_held
        self._wall = wall
        self._tenant = tenant

    def send(self, call: Call, attempt: Attempt) -> Awaitable[Reply]:
        """Send once. Beside what `inner` raises: `UpstreamError` with CANNOT_CARRY for what is no decide or too long
        to be held, with UNPARSEABLE for an answer that is none.
        """
        if call.wire is Wire.HTTP:
            return self._http(call, attempt)
        if call.path == DECIDE:
            return self._grpc(call, attempt)
        return self._inner.send(call, attempt)

    async def aclose(self) -> None:
        """Close what `inner` holds."""
        await self._inner.aclose()

    async def _grpc(self, call: Call, attempt: Attempt) -> Reply:
        message = call.body.whole
        if message is None:
            message = await hold(call, attempt, self._max_held)
        due = with_policy(message)
        if due is not message or not call.unary:
            call = derived(call, body=Messages.of(due), unary=True)
        return await self._inner.send(call, attempt)

    async def _http(self, call: Call, attempt: Attempt) -> Reply:
        if not is_http_decide(call):
            raise cannot_carry("only decides go from HTTP to the Router")
        body = await hold(call, attempt, self._max_held)
        decide = read_json(body, call.fields, call.id, self._tenant)
        if decide is None:
            raise cannot_carry("the body is no decide")
        answer = await self._inner.send(_to_router(call, decide, int(self._wall() * 1000)), attempt)
        alone = answer.whole is None and answer.chunks is None
        facts, message = answer.facts, await read(answer)
        headers = [_JSON]
        if answer.code == "OK":
            decision = None if alone else read_route_decision(message)
            if decision is None:
                raise no_decision(answer.status, "without a RouteDecision")
            status, body = 200, _written(decision, decide)
        else:
            failure = as_failure(answer.code, answer.message, too_long=facts.sign is Sign.MESSAGE_SIZE)
            status, body = failure.status, write_failure(failure, decide)
            wait = UNTOLD_WAIT if facts.wait is None and status == 429 else facts.wait
            if wait is not None and wait >= 0:
                headers.append((b"Retry-After", b"%d" % math.ceil(wait)))
        return Reply(status, b"", headers, facts, index(headers), whole=body, length=len(body))


def _json_to_gateway(call: Call, decide: Decide) -> Call:
    """The call as c-gateway is to get it: itself where nothing is to change."""
    fields = call.fields
    tenant_stands = bool(fields.get(b"x-tenant-id")) or not decide.tenant
    trace_stands = b"x-trace-id" not in fields or is_trace(fields[b"x-trace-id"].decode("latin-1"))
    try:
        body = write_real(decide) if decide.sent is None else complete_real(decide, decide.sent)
        if body is None and tenant_stands and trace_stands:
            return call
        dropped = {b"accept-encoding"}  # the answer is to be read here
        if not trace_stands:
            dropped.add(b"x-trace-id")
        if not tenant_stands:
            dropped.add(b"x-tenant-id")
        headers = [pair for pair in call.headers if pair[0].lower() not in dropped]
        if not tenant_stands:
            headers.append((b"X-Tenant-ID", tenant_field(decide)))
    except Untranslatable as error:
        raise cannot_carry(str(error)) from error
    return derived(call, headers=headers, fields=index(headers), body=call.body if body is None else Body.of(body))


def _grpc_to_gateway(call: Call, decide: Decide) -> Call:
    headers = [_JSON, *((_SHARED[name], value) for name, value in call.headers if name in _SHARED)]
    try:
        body = write_real(decide)
        if decide.tenant:
            headers.append((b"X-Tenant-ID", tenant_field(decide)))
    except Untranslatable as error:
        raise cannot_carry(str(error)) from error
    if is_trace(decide.trace):  # the Router behind c-gateway would refuse the decide for another
        headers.append((b"X-Trace-ID", decide.trace.encode()))
    return derived(
        call,
        wire=Wire.HTTP,
        target=DECIDE_PATH,
        path=DECIDE_PATH,
        outgoing=b"",
        headers=headers,
        fields=index(headers),
        body=Body.of(body),
        unary=False,
    )


def _to_router(call: Call, decide: Decide, timestamp_ms: int) -> Call:
    try:
        message = write_route_request(decide, timestamp_ms)
    except Untranslatable as error:
        raise cannot_carry(str(error)) from error
    headers = [(name.lower(), value) for name, value in call.headers if name.lower() in _SHARED]
    for name, value in headers:
        if not is_text(value.decode("latin-1")):  # as the policy file's must be; grpcio fails on it
            raise cannot_carry(f"its {name.decode()} cannot stand in metadata")
    tenant = decide.tenant
    if tenant and is_text(tenant):  # else the default of the settings would go along
        headers.append((b"x-tenant-id", tenant.encode()))
    return derived(
        call,
        wire=Wire.GRPC,
        target=DECIDE,
        path=DECIDE,
        outgoing=b"",
        headers=headers,
        fields=index(headers),
        body=Messages.of(message),
        unary=True,
        inform=None,
    )


def _written(decision: Decision, decide: Decide) -> bytes:
    """The decision in the shape due."""
    try:
        if decide.shape is Shape.GRPC:
            return write_route_decision(decision)
        return write_json_decision(decision, decide)
    except Untranslatable as error:
        raise no_decision(200, str(error)) from error
