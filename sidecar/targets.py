"""Routes and their targets, compiled from settings: what calls follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.call import NO_DEADLINE
from sidecar.dialects.ask import read_ask, wants_body
from sidecar.engine.attempt import REASONING
from sidecar.engine.route import Llm, Route, Service, Target
from sidecar.policy.budget import RetryBudget
from sidecar.policy.classify import GIVE_UP_AFTER, Rules
from sidecar.policy.rest import Rest, Rests
from sidecar.route_facts import (
    always_idempotent,
    asked_elsewhere,
    cannot_carry,
    idempotent_paths,
    matching,
    scope,
    slots,
)
from sidecar.settings import CircuitBreakerSettings
from sidecar.settings.protocols import PROVIDERS
from sidecar.telemetry.call_span import Peer
from sidecar.upstreams.llm import LlmUpstream
from sidecar.upstreams.llm_request import Model
from sidecar.upstreams.models_list import ModelsList
from sidecar.upstreams.transcode import LONGEST_REQUEST
from sidecar.wiring import addressee
from sidecar.wiring_llm import ANY_MODEL, model_of, named_models, options_of, provider_of

if TYPE_CHECKING:
    from sidecar.config.resolve import Resolved, ResolvedRoute, ResolvedTarget, ResolvedUpstream
    from sidecar.parts import Parts
    from sidecar.services import Services
    from sidecar.settings import RetrySettings, Settings
    from sidecar.surroundings import Surroundings


class Targets:
    """Compiles the routes of one configuration. `rests` are those of each upstream's targets."""

    def __init__(
        self, settings: Settings, resolved: Resolved, around: Surroundings, parts: Parts, services: Services
    ) -> None:
        self._settings = settings
        self._resolved = resolved
        self._around = around
        self._parts = parts
        self._services = services
        self._named = named_models(resolved.routes)
        self.rests: dict[str, list[Rest]] = {}

    def route(self, route: ResolvedRoute) -> Route:
        limits = route.limits
        key = "global" if route.rate_limit is None else route.rate_limit.key
        own_limits = limits.model_fields_set
        return Route(
            **matching(route),
            targets=tuple(self._target(route, link) for link in route.targets),
            llm=self._llm(route),
            observer=self._around.telemetry.route(route.name, key, "" if route.match.grpc else route.match.path or ""),
            deadline=route.deadline or NO_DEADLINE,
            idempotent=route.idempotent,
            idempotent_paths=idempotent_paths(route, self._resolved),
            weights=None if route.weights is None else tuple(float(weight) for weight in route.weights),
            limit=self._services.limit(f"route {route.name}", route.rate_limit),
            concurrency=self._services.concurrency(f"route {route.name}", slots(route)),
            replay_buffer=max(link.retry.replay_buffer for link in route.targets),
            max_body_bytes=limits.max_body_bytes,
            max_headers=limits.max_headers if "max_headers" in own_limits else 0,
            max_header_bytes=limits.max_header_bytes if "max_header_bytes" in own_limits else 0,
        )

    def _target(self, route: ResolvedRoute, link: ResolvedTarget, asked: str = "") -> Target:
        if link.static:
            return self._static_target(route, link)
        parts, around, retry = self._parts, self._around, link.retry
        upstream = self._resolved.upstreams[link.upstream]
        protocol, provider, of_model, model = upstream.settings.protocol, None, "", None
        rest: Rest
        if protocol in PROVIDERS:
            provider, model = provider_of(upstream), model_of(link)
            of_model = scope(link, asked, self._named)
            rest = parts.get("rest", f"{link.upstream}/{of_model}", addressee(upstream), Rests)
        else:
            rest = parts.get("rest", f"{route.name}/{link.upstream}", addressee(upstream), Rest)
        service = self._services.get(upstream, of_model, model)
        self.rests.setdefault(link.upstream, []).append(rest)
        # Without a breaker the addresses still hear what is a failure.
        circuit = upstream.circuit_breaker or CircuitBreakerSettings()
        shares = (retry.budget, retry.budget_min_per_second)
        timeout = upstream.timeout
        cannot = cannot_carry(route, self._settings, protocol)
        if cannot is None and isinstance(service.upstream, LlmUpstream):
            cannot = service.upstream.cannot
        return Target(
            name=f"{link.upstream}/{link.model}" if link.model else link.upstream,
            service=service,
            rest=rest,
            budget=parts.get("budget", link.upstream, shares, lambda: RetryBudget(*shares, around.clock)),
            retry=retry,
            rules=_rules(route, upstream, retry, frozenset(circuit.failure_statuses)),
            observer=around.telemetry.target(
                route.name,
                link.upstream,
                "" if of_model == ANY_MODEL else of_model,
                Peer.of(protocol, upstream.urls, model=link.model, breaker=service.name),
            ),
            attempt_timeout=timeout.attempt,
            cannot=cannot,
            collects=LONGEST_REQUEST if protocol == "c-gateway" else 0,
            first_token=timeout.first_token if provider is not None else 0.0,
            first_token_set="first_token" in timeout.model_fields_set,
            own_credential=provider is None or provider.own,
            prefill=link.prefill,
            upstream=link.upstream,
        )

    def _static_target(self, route: ResolvedRoute, link: ResolvedTarget) -> Target:
        around, retry = self._around, link.retry
        name = f"static/{link.upstream}"
        shares = (retry.budget, retry.budget_min_per_second)
        return Target(
            name=name,
            service=self._services.static(link.upstream),
            rest=Rest(),
            budget=RetryBudget(*shares, around.clock),
            retry=retry,
            rules=_rules(route, None, retry, frozenset()),
            observer=around.telemetry.target(route.name, name),
            static=True,
        )

    def _llm(self, route: ResolvedRoute) -> Llm | None:
        """What the route knows of LLM calls, None where no target is for them."""
        if not route.llm:
            return None
        asked = asked_elsewhere(route, self._named)
        return Llm(
            read=read_ask,
            wants=wants_body,
            options=options_of(route),
            longest=route.limits.max_held_bytes,
            chains={name: tuple(self._target(route, link) for link in chain) for name, chain in route.models.items()},
            known={model: tuple(self._target(route, link, model) for link in route.targets) for model in sorted(asked)},
            models=self._models(route),
        )

    def _models(self, route: ResolvedRoute) -> Target:
        """What answers for the list of models: those of the file, and those of the route's providers."""
        links = {link.upstream: link for link in reversed(route.targets) if not link.static}
        upstreams = [self._resolved.upstreams[name] for name in reversed(links)]
        providers = [one for one in upstreams if one.settings.protocol in PROVIDERS]
        clients = {one.name: self._services.get(one, ANY_MODEL, Model()).upstream for one in providers}
        retry = route.targets[0].retry
        return Target(
            name="models",
            service=Service("models", ModelsList(tuple(route.models), clients)),
            rest=Rest(),
            budget=RetryBudget(retry.budget, retry.budget_min_per_second, self._around.clock),
            retry=retry,
            rules=_rules(route, None, retry, frozenset()),
            observer=self._around.telemetry.target(route.name, "models"),
        )


def _rules(
    route: ResolvedRoute, upstream: ResolvedUpstream | None, retry: RetrySettings, failure_statuses: frozenset[int]
) -> Rules:
    """`upstream` is None where we answer ourselves."""
    protocol = "http" if upstream is None else upstream.settings.protocol
    first_token, reasoning = 0.0, 0.0
    if upstream is not None and protocol in PROVIDERS:
        first_token = reasoning = upstream.timeout.first_token
        if "first_token" not in upstream.timeout.model_fields_set:
            reasoning = max(reasoning, REASONING)
    return Rules(
        protocol=protocol,
        idempotent=route.idempotent or always_idempotent(route, protocol),
        statuses=frozenset(retry.statuses),
        failure_statuses=failure_statuses,
        patience=retry.patience,
        max_retry_after=retry.max_retry_after,
        max_rest=retry.max_rest,
        give_up_after=first_token or GIVE_UP_AFTER,
        give_up_on_reasoning=reasoning or GIVE_UP_AFTER,
        refusal_next=route.fallback_on_refusal,
        grpc_codes=frozenset(retry.grpc_codes),
    )
