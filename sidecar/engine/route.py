"""Where a call goes: services, targets and routes.

A `Service` is an upstream with what guards it, shared by all routes that lead
there. A `Target` is a service as one route uses it. A `Route` is a compiled
match with its chain. All of it is built once per configuration; a call only
follows pointers (`route_table.py` finds its route).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from sidecar.errors import RateLimited
from sidecar.llm import Kind
from sidecar.policy.rest import Rests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sidecar.call import Call, Upstream
    from sidecar.engine.observer import RouteObserver, TargetObserver
    from sidecar.llm import Ask, LlmOptions
    from sidecar.policy.breaker import Breaker
    from sidecar.policy.budget import RetryBudget
    from sidecar.policy.classify import Rules
    from sidecar.policy.concurrency import Concurrency
    from sidecar.policy.limiter import RateLimit
    from sidecar.policy.outlier import Addresses
    from sidecar.policy.rest import Rest
    from sidecar.quota import SharedLimit, Taken
    from sidecar.settings import RetrySettings


BY_MODEL = (Kind.CHAT, Kind.COMPLETIONS, Kind.EMBEDDINGS, Kind.RESPONSES, Kind.MESSAGES)
"""Operations to which `[models]` applies."""

LONGEST_KEY = 64
"""Bytes of a header's value that is a rate limit's key as it stands."""


@dataclass(slots=True, eq=False)
class Limit:
    """A rate limit with the function that tells whose bucket a call draws on."""

    bucket: RateLimit
    """Counts here. Where the limit is `shared` it says what the limit is, and stands in for the others."""
    key_of: Callable[[Call], str]
    max_wait: float
    shared: SharedLimit | None = None
    """Counts for all sidecars."""

    def take(self, call: Call) -> float:
        """0.0 and taken, or the wait in seconds and nothing taken. Of tokens the call's estimate is taken."""
        return self.bucket.take(self.key_of(call), 1.0, self._tokens(call))

    async def take_shared(self, shared: SharedLimit, call: Call) -> Taken:
        """The same, of what all sidecars count in. Raises `Refused`."""
        return await shared.take(self.key_of(call), 1.0, self._tokens(call))

    def used(self, call: Call, tokens: float) -> None:
        """So many tokens more than were taken have been used; a negative number is given back."""
        if tokens and self.bucket.counts_tokens:
            (self.shared or self.bucket).correct(self.key_of(call), tokens)

    def _tokens(self, call: Call) -> int:
        return call.llm.estimate if call.llm is not None and self.bucket.counts_tokens else 0

    def refusal(self, name: str, wait: float) -> RateLimited:
        """The answer when there is no place within `max_wait`."""
        settings = self.bucket.settings
        message = f"rate limit of {name} exceeded"
        detail: dict[str, object] = {
            "error": message,
            "limit_per_minute": settings.per_minute or None,
            "limit_per_hour": settings.per_hour or None,
            "retry_after": math.ceil(wait),
        }
        return RateLimited(message, retry_after=wait, detail=detail)


@dataclass(slots=True, eq=False)
class Service:
    """An upstream with what guards it, shared by all routes that lead to it."""

    name: str
    upstream: Upstream
    breaker: Breaker | None = None
    limit: Limit | None = None
    concurrency: Concurrency | None = None
    addresses: Addresses | None = None
    answered_at: float = float("-inf")
    """When it last gave anyone evidence of an answer."""


@dataclass(slots=True, eq=False)
class Target:
    """A service as one route uses it.

    `attempt_timeout` is seconds, 0 for none. `static` targets answer whatever came
    before them.
    """

    name: str
    service: Service
    rest: Rest
    budget: RetryBudget
    retry: RetrySettings
    rules: Rules
    observer: TargetObserver
    attempt_timeout: float = 0.0
    static: bool = False
    cannot: Callable[[Call], str] | None = None
    """Why it cannot carry such a call at all, as `label: reason` with the label from a closed set; empty when it can.
    None: it carries any that comes by this route.
    """
    collects: int = 0
    """Bytes of a request body that it wants to be here before its slot is taken, 0 for none."""

    first_token: float = 0.0
    """Seconds until a stream of an LLM gives evidence, 0 for any time …"""
    first_token_set: bool = False
    """… the policy file has said so: it holds though no other attempt could follow."""
    own_credential: bool = True
    """It is not called with the caller's own."""
    prefill: bool = False
    """Its model can go on from the beginning of an answer."""
    upstream: str = ""
    """Of an LLM target the upstream's name; the service's names the model, too."""

    def rests(self, call: Call, now: float) -> tuple[float, str]:
        """How long it is still to be left alone by this call, and why. What a caller's own credential
        brought about holds for that credential only.
        """
        rest = self.rest
        if self.own_credential or call.llm is None:
            return (rest.left(now), rest.cause) if rest.until else (0.0, "")
        assert isinstance(rest, Rests), "a target that takes callers' credentials tells them apart"
        return rest.left_for(call.llm.credential, now)

    def give_rest(self, call: Call, now: float, seconds: float, cause: str) -> None:
        """Leave it alone for so long."""
        if self.own_credential or call.llm is None:
            self.rest.rest(now + seconds, cause)
        else:
            assert isinstance(self.rest, Rests), "a target that takes callers' credentials tells them apart"
            self.rest.rest_credential(call.llm.credential, now + seconds, cause, now)
        self.observer.rested(seconds, cause)

    def would_take(self, call: Call, now: float) -> bool:
        """Another attempt of the call could go here."""
        if self.rests(call, now)[0] > 0 or not self.would_admit(now):
            return False
        return self.cannot is None or not self.cannot(call)

    def would_admit(self, now: float) -> bool:
        """It neither rests for everybody nor is open."""
        if self.rest.left(now) > 0:
            return False
        breaker = self.service.breaker
        return breaker is None or breaker.would_admit()


@dataclass(slots=True, eq=False)
class Llm:
    """What a route knows of the LLM calls that come by it.

    `read` makes the `Ask` of a call whose body is here, and raises `InvalidRequest` for one it cannot read;
    `wants` says whether the body is needed for it. `chains` are the targets by a model's name in the policy file;
    `known` are the route's own targets for a model that the file names behind an upstream. `models` answers
    for the list of models. `longest` is the most bytes of a body that is held whole.
    """

    read: Callable[[Call, LlmOptions], Ask]
    wants: Callable[[Call], bool]
    options: LlmOptions
    longest: int
    chains: Mapping[str, tuple[Target, ...]]
    known: Mapping[str, tuple[Target, ...]]
    models: Target

    def chain(self, ask: Ask, route: Route, rng: Callable[[], float]) -> Sequence[Target]:
        """The targets for one call."""
        if ask.kind is Kind.MODELS:
            return (self.models,)
        chain: Sequence[Target] | None = by_model(ask, self.chains)
        if chain is None:
            chain = route.order(self.known.get(ask.model, route.targets), rng)
        return within_reach(ask, chain)


class Link(Protocol):
    """One link of a chain, compiled or as settings have it."""

    @property
    def upstream(self) -> str: ...

    @property
    def static(self) -> bool: ...


_L = TypeVar("_L", bound=Link)


def by_model(ask: Ask, chains: Mapping[str, tuple[_L, ...]]) -> Sequence[_L] | None:
    """The chain of the model that is asked for, None where the route's own counts."""
    return chains.get(ask.model) if ask.kind in BY_MODEL else None


def within_reach(ask: Ask, chain: Sequence[_L]) -> Sequence[_L]:
    """What only one provider can answer does not leave the first one."""
    if not ask.tied and ask.kind is not Kind.OTHER:
        return chain
    first = chain[0].upstream
    return [link for link in chain if link.upstream == first or link.static]


@dataclass(slots=True, eq=False)
class Pattern:
    """Which calls a route takes, and what it makes of their paths."""

    name: str
    _: KW_ONLY
    host: bytes = b""
    grpc: bytes = b""
    """`package.Service/Method`, or a beginning of it with `*` behind; with it, the route takes gRPC calls alone."""
    path: bytes = b"/*"
    methods: frozenset[bytes] = frozenset()
    headers: tuple[tuple[bytes, bytes], ...] = ()
    strip: bytes = b""
    rewrite: bytes = b""

    def accepts(self, call: Call) -> bool:
        """Do the conditions beside host and path hold?"""
        if self.methods and call.method not in self.methods:
            return False
        return not self.headers or self.headers_hold(call)

    def headers_hold(self, call: Call) -> bool:
        for name, value in self.headers:
            sent = call.fields.get(name)
            if sent is None or (value not in (b"*", sent)):
                return False
        return True

    def outgoing(self, target: bytes) -> bytes:
        """The request target as the upstream is to see it; the query is never touched."""
        if (not self.strip and not self.rewrite) or target == b"*":
            return target
        path, mark, query = target.partition(b"?")
        if self.strip and _under(path, self.strip):
            path = path[len(self.strip) :]
        if self.rewrite:
            if self.strip:
                path = self.rewrite + path
            elif self.path.endswith(b"/*"):
                path = self.rewrite + path[len(self.path) - 2 :]
            else:
                path = self.rewrite
        if not path.startswith(b"/"):
            path = b"/" + path
        return path + mark + query


@dataclass(slots=True, eq=False)
class Route(Pattern):
    """A compiled match, its chain, and what the route itself limits."""

    targets: tuple[Target, ...]
    observer: RouteObserver
    deadline: float
    idempotent: bool = False
    weights: tuple[float, ...] | None = None
    limit: Limit | None = None
    concurrency: Concurrency | None = None
    idempotent_paths: frozenset[bytes] = frozenset()
    """gRPC methods that a target's protocol knows to be safe to send twice."""
    replay_buffer: int = 1 << 20
    max_body_bytes: int = 0
    max_headers: int = 0
    max_header_bytes: int = 0
    llm: Llm | None = None

    def everywhere(self) -> list[Target]:
        """All targets that calls by this route may go to, its own first."""
        if self.llm is None:
            return list(self.targets)
        chains = (*self.llm.known.values(), *self.llm.chains.values())
        return [*self.targets, *(target for chain in chains for target in chain)]

    def chain(self, call: Call, rng: Callable[[], float]) -> Sequence[Target]:
        """The targets for one call."""
        if self.llm is None or call.llm is None:
            return self.targets if self.weights is None else self.order(self.targets, rng)
        return self.llm.chain(call.llm, self, rng)

    def order(self, targets: tuple[Target, ...], rng: Callable[[], float]) -> Sequence[Target]:
        """The route's own targets for one call: the first by weight, then the rest in the file's order."""
        if self.weights is None:
            return targets
        left = rng() * sum(self.weights)
        for target, weight in zip(targets, self.weights, strict=True):
            left -= weight
            if left < 0:
                return (target, *(other for other in targets if other is not target))
        return targets


def _under(path: bytes, prefix: bytes) -> bool:
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in (b"", b"/")


def key_function(key: str) -> Callable[[Call], str]:
    """What a limit's `key` setting means: `global`, `ip`, `header:NAME` or `api_key`.

    A call without the header or key shares the bucket of the empty key. Credentials
    are kept only as a digest.
    """
    if key == "ip":
        return lambda call: call.peer
    if key == "api_key":
        return _credential
    if key.startswith("header:"):
        name = key.removeprefix("header:").strip().lower().encode("latin-1")
        return lambda call: _short(call.fields.get(name, b""))
    return _everybody


def _short(value: bytes) -> str:
    """A caller's word as a key: a long one is kept as a digest, since many keys are kept."""
    if len(value) <= LONGEST_KEY:
        return value.decode("latin-1")
    return hashlib.blake2b(value, digest_size=16).hexdigest()


def _everybody(_call: Call) -> str:
    return ""


def _credential(call: Call) -> str:
    credential = call.fields.get(b"x-api-key") or call.fields.get(b"authorization") or b""
    return hashlib.blake2b(credential, digest_size=16).hexdigest() if credential else ""
