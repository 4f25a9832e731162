"""The engine on a stage: fake upstreams behind real policies, one call at a time or many.

    stage.route(stage.target("a", "503"), stage.target("b", "ok"))
    answer = await stage.call()
    assert stage.lines == ["0 > a", "0 a: server_error", …]

Backoff is 1 s, doubling, without jitter, so that every moment is a round number.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidecar.body import Body
from sidecar.call import NO_DEADLINE, Call, Wire
from sidecar.engine.exchange import Engine
from sidecar.engine.route import Limit, Route, Service, Target, key_function
from sidecar.engine.route_table import RouteTable
from sidecar.errors import Refused, UpstreamError
from sidecar.policy.breaker import Breaker
from sidecar.policy.budget import RetryBudget
from sidecar.policy.classify import Rules
from sidecar.policy.concurrency import Concurrency
from sidecar.policy.limiter import RateLimit
from sidecar.policy.outlier import Addresses
from sidecar.policy.rest import Rest
from sidecar.quota import Quota, Taken
from sidecar.settings import CircuitBreakerSettings, ConcurrencySettings, RateLimitSettings, RetrySettings
from sidecar.upstreams.static import StaticUpstream
from tests.kit.fakes import FakeRouteObserver, FakeTargetObserver, FakeUpstream, Transcript, hear_breaker

if TYPE_CHECKING:
    from sidecar.call import Reply, Summary
    from sidecar.quota import SharedLimit


def rules(**told: Any) -> Rules:
    """The table's rules as for an http upstream with the default settings, unless told otherwise."""
    retry = RetrySettings()
    circuit = CircuitBreakerSettings()
    made = {
        "protocol": "http",
        "idempotent": False,
        "statuses": frozenset(retry.statuses),
        "failure_statuses": frozenset(circuit.failure_statuses),
        "patience": retry.patience,
        "max_retry_after": retry.max_retry_after,
        "max_rest": retry.max_rest,
        **told,
    }
    return Rules(**made)


def a_call(
    method: bytes = b"GET",
    path: bytes = b"/",
    *,
    started: float = 0.0,
    body: Body | bytes = b"",
    host: bytes = b"",
    fields: dict[bytes, bytes] | None = None,
    peer: str = "",
    **wishes: Any,
) -> Call:
    """A call as a listener would make it; `wishes` are attributes of the call."""
    call = Call(
        id="1",
        correlation_id="1",
        wire=Wire.HTTP,
        method=method,
        target=path,
        path=path.partition(b"?")[0],
        headers=[],
        fields=fields or {},
        body=Body.of(body) if isinstance(body, bytes) else body,
        started=started,
        host=host,
        peer=peer,
    )
    call.idempotent = method != b"POST"
    for name, value in wishes.items():
        assert hasattr(call, name), f"a call has no {name}"
        setattr(call, name, value)
    return call


def limit(shared: SharedLimit | None = None, **told: Any) -> Limit:
    settings = RateLimitSettings(**told)
    bucket = RateLimit(settings, asyncio.get_running_loop().time)
    return Limit(bucket, key_function(settings.key), settings.max_wait, shared)


class Elsewhere:
    """A shared limit by what it is to say, in order: waits in seconds, or what it raises. Keeps what it heard."""

    def __init__(self, *says: float | Exception) -> None:
        self.says = list(says)
        self.heard: list[tuple[object, ...]] = []

    async def take(self, key: str, amount: float = 1.0, tokens: float = 0.0) -> Taken:
        self.heard.append(("take", key, amount, tokens))
        await asyncio.sleep(0.001)
        said = self.says.pop(0) if self.says else 0.0
        if isinstance(said, Exception):
            raise said
        return Taken(said, [Quota(10, 60.0, len(self.says), 1.0)])

    def correct(self, key: str, tokens: float) -> None:
        self.heard.append(("correct", key, tokens))


def slots(most: int = 1, *, queue: int = 0, max_wait: float = 0.0) -> Concurrency:
    return Concurrency(ConcurrencySettings(max=most, queue=queue, max_wait=max_wait))


@dataclass
class Answer:
    """What the caller got. `label` is our own error's; `broke` says that the body was cut."""

    call: Call
    status: int
    body: bytes = b""
    refusal: Refused | None = None
    broke: bool = False

    @property
    def label(self) -> str:
        return self.refusal.label if self.refusal is not None else ""

    @property
    def retry_after(self) -> float | None:
        assert self.refusal is not None, f"no refusal but {self.status} {self.body!r}"
        return self.refusal.retry_after


class Stage:
    """An engine, its transcript, and everything that must be given back when the play is over."""

    def __init__(self) -> None:
        self.clock = asyncio.get_running_loop().time
        self.transcript = Transcript()
        self.unmatched = FakeRouteObserver("-", self.transcript)
        self.observer = FakeRouteObserver("r", self.transcript)
        self.upstreams: dict[str, FakeUpstream] = {}
        self.targets: dict[str, Target] = {}
        self.engine = self._engine()
        self.chance = 0.5
        """What the engine's dice show."""

    @property
    def lines(self) -> list[str]:
        return self.transcript.lines

    @property
    def summary(self) -> Summary:
        """Of the call that ended last."""
        return (self.observer.summaries or self.unmatched.summaries)[-1]

    @property
    def now(self) -> float:
        return self.transcript.now

    def target(
        self,
        name: str,
        *script: str,
        breaker: dict[str, Any] | None = None,
        addresses: int = 0,
        budget: RetryBudget | None = None,
        attempt: float = 0.0,
        protocol: str = "http",
        idempotent: bool = False,
        limit: Limit | None = None,
        concurrency: Concurrency | None = None,
        **retry: Any,
    ) -> Target:
        """A target whose upstream plays `script`; `retry` are keys of the retry table."""
        upstream = self.upstreams[name] = FakeUpstream(name, self.transcript, script or ("ok",))
        circuit = None
        if breaker is not None:
            told = {"failure_threshold": 3, "failure_rate": 0, "success_threshold": 1, "recovery_first": 10, **breaker}
            circuit = Breaker(name, CircuitBreakerSettings(**told), self.clock, [self._moved])
        settings = RetrySettings(**{"backoff": 1, "jitter": 0, **retry})
        many = Addresses(addresses, self.clock, lambda: 0.0) if addresses else None
        target = self.targets[name] = Target(
            name=name,
            service=Service(name, upstream, circuit, limit, concurrency, many),
            rest=Rest(),
            budget=budget or RetryBudget(settings.budget, settings.budget_min_per_second, self.clock),
            retry=settings,
            rules=rules(
                protocol=protocol,
                idempotent=idempotent,
                statuses=frozenset(settings.statuses),
                patience=settings.patience,
                max_retry_after=settings.max_retry_after,
                max_rest=settings.max_rest,
            ),
            observer=FakeTargetObserver(name, self.transcript),
            attempt_timeout=attempt,
        )
        return target

    def static(self, name: str = "sorry", status: int = 503) -> Target:
        name = f"static/{name}"
        return Target(
            name=name,
            service=Service(name, StaticUpstream(status, (), b"sorry")),
            rest=Rest(),
            budget=RetryBudget(0, 0, self.clock),
            retry=RetrySettings(),
            rules=rules(),
            observer=FakeTargetObserver(name, self.transcript),
            static=True,
        )

    def route(self, *targets: Target, **told: Any) -> Route:
        """The only route, to these targets."""
        route = Route("r", targets, self.observer, **{"deadline": NO_DEADLINE, **told})
        self.engine.table = RouteTable([route])
        return route

    async def call(self, method: bytes = b"GET", path: bytes = b"/", **told: Any) -> Answer:
        """One call from its start to the end of its answer."""
        return await self.send(a_call(method, path, started=self.clock(), **told))

    def calling(self, method: bytes = b"GET", path: bytes = b"/", **told: Any) -> asyncio.Task[Answer]:
        """The same while the test goes on."""
        return asyncio.create_task(self.call(method, path, **told))

    async def send(self, call: Call) -> Answer:
        answer = Answer(call, 0)
        try:
            async with self.engine.exchange(call) as reply:
                answer.status = reply.status
                await _relay(reply, answer)
        except Refused as refusal:
            answer.refusal = refusal
            answer.status = refusal.http_status
        except UpstreamError:
            answer.broke = True
        return answer

    async def until(self, moment: float) -> None:
        """Let the play go on until so many seconds after the start."""
        await asyncio.sleep(moment - self.now)

    async def leave(self, calling: asyncio.Task[Answer]) -> None:
        """The caller of this call goes away."""
        calling.cancel()
        await asyncio.wait([calling])
        assert calling.cancelled(), "the leaving must not be swallowed"

    def everything_is_given_back(self) -> None:
        """No slot, no reply and no address is still held."""
        route = self.engine.table.routes[0] if self.engine.table.routes else None
        rooms = [target.service.concurrency for target in self.targets.values()]
        rooms += [self.engine.inflight, route.concurrency if route is not None else None]
        assert [
            (room.inflight, room.waiting) for room in rooms if room is not None and (room.inflight or room.waiting)
        ] == []
        assert {name: upstream.held for name, upstream in self.upstreams.items() if upstream.held} == {}
        for target in self.targets.values():
            if target.service.addresses is not None:
                assert [shown["inflight"] for shown in target.service.addresses.snapshot() if shown["inflight"]] == []

    def _engine(self) -> Engine:
        return Engine(RouteTable([]), 7, self.clock, self._rng, self.unmatched)

    def _rng(self) -> float:
        return self.chance

    def _moved(self, breaker: Breaker, _old: str, new: str) -> None:
        hear_breaker(self.transcript, breaker, new)


async def _relay(reply: Reply, answer: Answer) -> None:
    """Pass the reply on, as a listener does."""
    if reply.whole is not None:
        answer.body = reply.whole
        return
    if reply.chunks is not None:
        async for chunk in reply.chunks:
            answer.body += chunk
