"""Which of c-gateway's answers a request gets. No sockets here: bytes in, bytes out.

The order of the routes and of the checks in each is the real one's, for it decides what
a request with two mistakes is told, and which calls the rate limit counts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from sidecar.standins import c_gateway_decide as decides
from sidecar.standins import c_gateway_router as behind
from sidecar.standins import c_gateway_wire as wire
from sidecar.standins.c_gateway_faults import WELL, GatewayFault, GatewayKind
from sidecar.standins.c_gateway_json import loads
from sidecar.standins.c_gateway_limits import Group, Limits, Windows
from sidecar.standins.c_gateway_metrics import Counters
from sidecar.standins.c_gateway_registry import TYPE_KEPT, Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DECIDE = b"/api/v1/routes/decide"
MESSAGES = b"/api/v1/messages"
STREAM = b"/api/v1/messages/stream"
BLOCKS = b"/api/v1/registry/blocks/"
POLICIES = b"/api/v1/policies/"
EXTENSIONS = b"/api/v1/extensions/health"
BREAKERS = b"/api/v1/extensions/circuit-breakers"
DRY_RUN = b"/api/v1/policies/dry-run"
DELETED_MOST = 255
"""Bytes of the answer to a DELETE; an id that makes it longer is refused."""
EVENT_MOST = 127
"""Bytes of the event for it; a longer one is not sent."""


def for_router(asked: wire.Asked) -> bool:
    """Whether this is one of the calls that the gateway takes to the Router: those meet faults."""
    if asked.method == b"POST":
        return asked.path in {DECIDE, MESSAGES, DRY_RUN}
    reads = asked.path in {EXTENSIONS, BREAKERS} or asked.path.startswith((DECIDE + b"/", POLICIES))
    return asked.method == b"GET" and reads


@dataclass(slots=True)
class Routes:
    """One process of the gateway: what it counts and remembers goes with it. `clock` is seconds since 1970."""

    mode: behind.Mode = behind.Mode.STUB
    limits: Limits = field(default_factory=Limits)
    auth_required: bool = False
    clock: Callable[[], float] = time.time
    counters: Counters = field(default_factory=Counters)
    fault: GatewayFault = WELL
    """What the present request meets."""
    _behind: behind.Stub = field(init=False)
    _registry: Registry = field(init=False)
    _windows: Windows = field(init=False)
    _began: float = field(init=False)
    _nats: str = field(init=False)
    _asks_for_authorization: bool = False
    _receipts: int = 0

    def __post_init__(self) -> None:
        router = self.mode is behind.Mode.ROUTER
        self._behind = behind.Router() if router else behind.Stub()
        self._nats = "unknown" if router else behind.Stub.status
        self._registry = Registry(self.clock)
        self._windows = Windows(self.limits, self.clock)
        self._began = self.clock()

    def answer(self, asked: wire.Asked, fault: GatewayFault = WELL) -> wire.Answer:
        """What it gets. Faults of the connection are not met here."""
        self.counters.requests += 1
        self.fault = fault
        answer = self._answer(asked, wire.Context.of(asked))
        self.counters.errors += answer.refused
        return answer

    def _answer(self, asked: wire.Asked, context: wire.Context) -> wire.Answer:
        method, path = asked.method, asked.path
        if not path:
            return self._served(wire.refusal(400, b"invalid_request", b"malformed request line", context))
        if method == b"GET" and path in self._pages:
            return self._served(self._pages[path](self))
        if method in {b"POST", b"PUT", b"DELETE"} and path.startswith(BLOCKS):
            return self._block(asked, context)
        if method == b"GET" and path.startswith(DECIDE + b"/"):
            return self._decision(path[len(DECIDE) + 1 :], context)
        if method in {b"PUT", b"DELETE"} and path.startswith(MESSAGES + b"/"):
            return self._message(asked, context)
        if method == b"GET" and path.startswith(STREAM):
            return stream(path, context)
        if method == b"POST" and path in {MESSAGES, DECIDE}:
            return self._decide(asked, context)
        if method == b"GET" and path == EXTENSIONS:
            return self._served(self._admin(self._behind.extensions, context, read=True))
        if method == b"GET" and path == BREAKERS:
            return self._served(self._admin(self._behind.breakers, context, read=True))
        if method == b"POST" and path == DRY_RUN:
            return self._served(self._dry_run(asked.body, context))
        if method == b"GET" and path.startswith(POLICIES):
            return self._complexity(path[len(POLICIES) :], context)
        return self._served(wire.refusal(404, b"invalid_request", b"route not found", context))

    def _served(self, answer: wire.Answer) -> wire.Answer:
        self.counters.served(answer.delay)
        return answer

    # The gateway's own pages

    def _health(self) -> wire.Answer:
        moment = datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return wire.answer(200, b'{"status":"healthy","timestamp":"%b"}' % moment.encode())

    def _metrics(self) -> wire.Answer:
        return wire.answer(200, self.counters.prometheus(), wire.PROMETHEUS)

    def _metrics_json(self) -> wire.Answer:
        now = self.clock()
        return wire.answer(200, self.counters.json(self._nats, now - self._began, int(now)))

    _pages: ClassVar[Mapping[bytes, Callable[[Routes], wire.Answer]]] = {
        b"/health": _health,
        b"/_health": _health,
        b"/metrics": _metrics,
        b"/_metrics": _metrics_json,
    }

    # What the gateway does by itself

    def _limit(self, group: Group, context: wire.Context) -> wire.Answer | None:
        """The 429, if the window is full."""
        self._asks_for_authorization = self.auth_required
        self.counters.checks += 1
        if self.fault.kind is not GatewayKind.RATE_LIMITED and self._windows.take(group):
            self.counters.allowed += 1
            return None
        self.counters.exceeded[group] += 1
        limits = self.limits
        return wire.limited(group.endpoint, limits.of(group), limits.window, int(self.clock()), context)

    def _block(self, asked: wire.Asked, context: wire.Context) -> wire.Answer:
        kind, slash, version = asked.path[len(BLOCKS) :].partition(b"/")
        if not version:
            missing = b"empty version" if slash else b"missing version segment"
            return wire.refusal(400, b"invalid_request", missing, context)
        if full := self._limit(Group.REGISTRY, context):
            return full
        if asked.method == b"DELETE":
            return self._registry.delete(kind[:TYPE_KEPT], version)
        return self._registry.write(kind[:TYPE_KEPT], version, asked.body)

    def _message(self, asked: wire.Asked, context: wire.Context) -> wire.Answer:
        message_id = asked.path[len(MESSAGES) + 1 :]
        if not message_id:
            return wire.refusal(400, b"invalid_request", b"missing message_id", context)
        if not context.tenant_id:
            return wire.refusal(400, b"invalid_request", b"missing X-Tenant-ID header", context)
        if full := self._limit(Group.MESSAGES, context):
            return full
        if asked.method == b"DELETE":
            return deleted(message_id, context)
        return updated(message_id, asked.body, context)

    # What it asks the Router

    def _decide(self, asked: wire.Asked, context: wire.Context) -> wire.Answer:
        if self._asks_for_authorization and asked.value(b"Authorization") is None:
            return wire.refusal(401, b"unauthorized", b"missing Authorization header", context)
        if asked.value(b"X-Tenant-ID") is None:
            return wire.refusal(400, b"invalid_request", b"missing X-Tenant-ID header", context)
        if full := self._limit(Group.DECIDE if asked.path == DECIDE else Group.MESSAGES, context):
            return full
        return self._served(self._decide_body(asked.body, context))

    def _decide_body(self, body: bytes, context: wire.Context) -> wire.Answer:
        if not body or self.fault.kind is GatewayKind.FALSE_EMPTY:
            return wire.refusal(400, b"invalid_request", b"empty request body", context)
        if self.fault.kind is GatewayKind.BACKPRESSURE:
            return wire.overloaded(context)
        self.counters.decides += 1
        decide = decides.read(body)
        if decide is None:
            return wire.refusal(400, b"invalid_request", b"invalid decide request DTO", context)
        context = replace(context, request_id=str(decide["request_id"]).encode()[: wire.ID_KEPT])
        route = decides.route_request(decide, context)
        reply = self._ask(lambda: self._behind.decide(route), route)
        if reply is None:
            return self._late(wire.refusal(503, b"unavailable", b"router or NATS unavailable", context))
        return self._late(decides.passed_on(reply))

    def _decision(self, message_id: bytes, context: wire.Context) -> wire.Answer:
        if not message_id:
            return wire.refusal(400, b"invalid_request", b"missing message_id path parameter", context)
        if full := self._limit(Group.DECIDE, context):
            return full
        if not context.tenant_id:
            return wire.refusal(400, b"invalid_request", b"missing tenant_id for decision lookup", context)
        asked = message_id.decode("utf-8", "replace")
        reply = self._ask(lambda: self._behind.decision(asked), {"request_id": asked})
        if reply is None:
            return self._late(wire.refusal(503, b"internal", b"router or NATS unavailable", context))
        answer = decides.looked_up(reply)
        if answer.status == 200:
            answer = replace(answer, event=(context.tenant_id, b"message_created", reply))
        return self._late(answer)

    def _dry_run(self, body: bytes, context: wire.Context) -> wire.Answer:
        if not body or self.fault.kind is GatewayKind.FALSE_EMPTY:
            return wire.refusal(400, b"INVALID_REQUEST", b"empty request body", context)
        return self._admin(self._behind.dry_run, context)

    def _complexity(self, rest: bytes, context: wire.Context) -> wire.Answer:
        names, suffix, _ = rest.partition(b"/complexity")
        if not suffix:
            return wire.refusal(404, b"NOT_FOUND", b"endpoint not found", context)
        tenant, _, policy = names.partition(b"/")
        if not tenant or not policy:
            return wire.refusal(400, b"INVALID_REQUEST", b"missing tenant_id or policy_id", context)
        return self._served(self._admin(self._behind.complexity, context))

    def _admin(self, reply: Callable[[], bytes], context: wire.Context, *, read: bool = False) -> wire.Answer:
        """A question that needs no tenant. A `read` is never looked into: its errors are 200 too."""
        told = self._ask(reply, {"request_id": ""})
        if told is None:
            return self._late(wire.refusal(503, b"SERVICE_UNAVAILABLE", b"Router or NATS unavailable", context))
        return self._late(wire.answer(200, told) if read else decides.looked_up(told))

    def _ask(self, reply: Callable[[], bytes], route: Mapping[str, object]) -> bytes | None:
        """What the Router says, or the present fault in its place; None if it says nothing."""
        kind = self.fault.kind
        lost = kind in {GatewayKind.UNAVAILABLE, GatewayKind.TIMEOUT}
        if self.mode is behind.Mode.ROUTER:
            self._nats = "disconnected" if lost else behind.Router.status
        if lost:
            return None
        if kind is GatewayKind.NOT_JSON:
            return b"this is not json"
        if kind is GatewayKind.ACK:
            self._receipts += 1
            return b'{"stream":"ROUTER", "seq":%d}' % self._receipts
        if kind is GatewayKind.ROUTER_ERROR:
            return behind.refusal(self.fault.code, route)
        return reply()

    def _late(self, answer: wire.Answer) -> wire.Answer:
        """When the Router takes its time: only what was asked of it is late."""
        slow = self.fault.kind in {GatewayKind.SLOW, GatewayKind.TIMEOUT}
        return replace(answer, delay=self.fault.delay) if slow else answer


def stream(path: bytes, context: wire.Context) -> wire.Answer:
    """The beginning of one, for the tenant in the query; nothing in it is decoded."""
    pairs = (pair.partition(b"=") for pair in path.partition(b"?")[2].split(b"&"))
    tenant = next((value for name, equals, value in pairs if name == b"tenant_id" and equals), b"")
    if not tenant:
        return wire.refusal(400, b"invalid_request", b"missing tenant_id", context)
    return wire.stream(tenant[: wire.ID_KEPT])


def updated(message_id: bytes, body: bytes, context: wire.Context) -> wire.Answer:
    """PUT: the body comes back as it is, and to the tenant's streams."""
    if not body:
        return wire.refusal(400, b"invalid_request", b"empty body", context)
    message = loads(body)
    if not isinstance(message, dict):
        return wire.refusal(400, b"invalid_request", b"invalid JSON", context)
    named = message.get("message_id")
    if isinstance(named, str) and named.encode() != message_id:
        return wire.refusal(409, b"conflict", b"message_id mismatch with path", context)
    return replace(wire.answer(200, body), event=(context.tenant_id, b"message_updated", body))


def deleted(message_id: bytes, context: wire.Context) -> wire.Answer:
    """DELETE: it never asks whether there was one."""
    body = b'{"status":"deleted","message_id":"%b"}' % message_id
    if len(body) > DELETED_MOST:
        return wire.refusal(400, b"invalid_request", b"bad message_id", context)
    answer = wire.answer(200, body)
    event = b'{"message_id":"%b"}' % message_id
    return replace(answer, event=(context.tenant_id, b"message_deleted", event)) if len(event) <= EVENT_MOST else answer
