"""What a call would meet: its route, its chain, and each value that counts, with where it comes from.

Routes are found, chains chosen and requests made by the code that does so for real
calls; nothing is sent. What only a body could tell is not known here: it is taken
for one that every target of its dialect understands.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from sidecar.body import Body
from sidecar.call import NO_DEADLINE, Wire
from sidecar.config.effective import Held
from sidecar.config.places import nearest
from sidecar.config.resolve import STATIC, resolve
from sidecar.config.sources import Sources
from sidecar.config.view import plain
from sidecar.described import needs_token
from sidecar.dialects.ask import INFER, VERSION, read_ask, wants_body
from sidecar.dialects.beamline import DECIDE
from sidecar.dialects.decide import DECIDE_PATH
from sidecar.engine.route import BY_MODEL, Pattern, by_model, within_reach
from sidecar.engine.route_table import RouteTable
from sidecar.errors import MethodNotAllowed, NoRoute, Refused
from sidecar.explained_policy import route_policy, target_policy
from sidecar.listeners.http import BUILTIN_PATHS
from sidecar.llm import Kind
from sidecar.route_facts import always_idempotent, asked_elsewhere, cannot_carry, matching, scope
from sidecar.settings.protocols import PROVIDERS
from sidecar.settings.written import duration
from sidecar.upstreams.llm_request import as_sent, why_not
from sidecar.wiring_llm import model_of, named_models, options_of, provider_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sidecar.call import Call
    from sidecar.config import Loaded
    from sidecar.config.places import Place
    from sidecar.config.resolve import Resolved, ResolvedRoute, ResolvedTarget
    from sidecar.llm import Ask

Json = dict[str, Any]

_SAID = "…"
"""What the described caller says, since it must say something."""


_ONCE = "not idempotent: where it may have been carried out (a reset, a timeout, most 5xx), it is not sent again"


class _Chain(NamedTuple):
    """Which chain it is, all its links, and where the file has them."""

    by: str
    links: Sequence[ResolvedTarget]
    place: Place
    weights: tuple[int, ...] | None = None
    asked: str = ""
    """Of a chain that names no model, the one that is asked for, if the file names it elsewhere."""


class Explainer:
    """Explains calls by one configuration. `match` finds the route of a call, and raises `NoRoute`."""

    def __init__(self, loaded: Loaded, resolved: Resolved, match: Callable[[Call], Pattern]) -> None:
        self._settings = loaded.settings
        self._resolved = resolved
        self._match = match
        self._sources = Sources(str(loaded.path), loaded.lines, loaded.secrets)

    @classmethod
    def of(cls, loaded: Loaded) -> Explainer:
        """By a file that nobody runs."""
        resolved = resolve(loaded.settings)
        return cls(loaded, resolved, RouteTable(Pattern(**matching(route)) for route in resolved.routes).match)

    def explain(self, call: Call, model: str = "") -> Json:
        """Plain JSON. `call` is as `described`; `model` is what its body asks for, if it is one for a model.

        The call is left as the engine has it when it chooses the chain.
        """
        notes: list[str] = []
        told = {**_told(call, model), "notes": notes}
        if needs_token(call, self._settings):
            notes.append("callers must send X-Sidecar-Token: listen.http_token is set")
        try:
            if call.refusal is not None:
                raise call.refusal
            pattern = self._match(call)
            route = next(one for one in self._resolved.routes if one.name == pattern.name)
            call.route, by_caller = route.name, call.idempotent
            told["route"] = self._route(route)
            if pattern.strip or pattern.rewrite:
                call.outgoing = pattern.outgoing(call.target)
            if route.llm:
                call.llm = _ask(call, route, model)
        except Refused as refusal:
            here = isinstance(refusal, NoRoute) and _answered_here(call)
            if here:
                notes.append("no route takes it: the sidecar answers this path itself")
            return {**told, "answered_here": here, "refusal": None if here else _refusal(refusal, call)}
        told["policy"] = route_policy(self._settings, self._resolved, route, call, self._sources, by_caller=by_caller)
        notes += _notes(route, call, model)
        if call.llm is not None:
            told["llm"] = _llm(call.llm)
            if call.llm.kind is Kind.MODELS:
                return {**told, **self._list(route)}
        told |= self._chain(route, call)
        sent = [target["policy"] for target in told["targets"] if not target["static"]]
        # A target that may be asked twice whatever the call is says so in its own policy.
        if sent and not told["policy"]["idempotent"]["value"] and not any("idempotent" in policy for policy in sent):
            notes.append(_ONCE)
        return told

    def _route(self, route: ResolvedRoute) -> Json:
        match = shown_match(route, self._sources.hidden)
        return {"name": route.name, **self._sources.place(("routes", route.name)), "match": match}

    def _list(self, route: ResolvedRoute) -> Json:
        """Models are told by ourselves, and by each provider that the route leads to."""
        links = dict.fromkeys(link.upstream for link in route.targets if not link.static)
        asked = [name for name in links if self._resolved.upstreams[name].settings.protocol in PROVIDERS]
        place = self._own(route).place
        return {"chain": {"by": "list", **self._sources.place(place), "asks": asked}, "targets": []}

    def _chain(self, route: ResolvedRoute, call: Call) -> Json:
        chain = self._chosen(route, call)
        links = chain.links
        if call.llm is not None and chain.weights is None:  # by weight each may be the first one
            links = within_reach(call.llm, links)
        targets = []
        for index, link in enumerate(chain.links):
            if not any(one is link for one in links):
                continue
            target = self._target(route, link, call, chain, (*chain.place, index))
            if chain.weights is not None:
                target["share"] = round(chain.weights[index] / sum(chain.weights), 4)
            targets.append(target)
        return {"chain": {"by": chain.by, **self._sources.place(chain.place)}, "targets": targets}

    def _chosen(self, route: ResolvedRoute, call: Call) -> _Chain:
        ask = call.llm
        if ask is None:
            return self._own(route)
        links = by_model(ask, route.models)
        if links is not None:
            return _Chain("model", links, ("models", ask.model, "chain"))
        known = asked_elsewhere(route, named_models([route]))
        return self._own(route)._replace(asked=ask.model if ask.model in known else "")

    def _own(self, route: ResolvedRoute) -> _Chain:
        by = "chain" if route.weights is None else "traffic"
        return _Chain(by, route.targets, ("routes", route.name, by), route.weights)

    def _target(self, route: ResolvedRoute, link: ResolvedTarget, call: Call, chain: _Chain, place: Place) -> Json:
        policy = target_policy(self._settings, self._resolved, route, link, place, self._sources)
        told: Json = {"target": _name(link), "static": link.static, **self._sources.place(place)}
        if link.static:
            return {**told, "policy": policy}
        upstream = self._resolved.upstreams[link.upstream]
        own, protocol = upstream.settings, upstream.settings.protocol
        if always_idempotent(route, protocol) and not call.idempotent and not route.idempotent:
            policy["idempotent"] = self._sources.value(True, otherwise=f"protocol {protocol}")
        skipped = self._skipped(route, call, link)
        told |= {
            "upstream": link.upstream,
            "protocol": protocol,
            "skipped": skipped or None,
            "urls": self._urls(link.upstream),
            "path": None if skipped else self._path(call, link),
            "breaker": None,
        }
        if upstream.circuit_breaker is not None:
            of_model = f"/{scope(link, chain.asked, named_models([route]))}" if protocol in PROVIDERS else ""
            told["breaker"] = link.upstream + of_model
        if own.query:
            told["query"] = plain(Held(own.query, ("upstreams", link.upstream, "query")), self._sources.hidden)
        if call.llm is not None:
            told["model"] = link.model or call.llm.model or None
        return {**told, "policy": policy}

    def _skipped(self, route: ResolvedRoute, call: Call, link: ResolvedTarget) -> str:
        """Why the target could not carry the call whatever its body; empty when it could."""
        upstream = self._resolved.upstreams[link.upstream]
        cannot = cannot_carry(route, self._settings, upstream.settings.protocol)
        if cannot is not None:
            return cannot(call)
        if upstream.settings.protocol not in PROVIDERS or call.llm is None:
            return ""
        return why_not(call.llm, provider_of(upstream))

    def _urls(self, name: str) -> list[Any]:
        own = self._settings.upstreams[name]
        key = "urls" if own.urls else "url"
        shown = plain(Held(getattr(own, key), ("upstreams", name, key)), self._sources.hidden)
        return shown if isinstance(shown, list) else [shown]

    def _path(self, call: Call, link: ResolvedTarget) -> str:
        """What stands behind the path of the upstream's URL."""
        upstream = self._resolved.upstreams[link.upstream]
        protocol, path = upstream.settings.protocol, call.outgoing or call.target
        if call.llm is not None and protocol in PROVIDERS:
            path = as_sent(call, call.llm, provider_of(upstream), model_of(link)).outgoing
        elif call.wire is Wire.GRPC and protocol == "c-gateway":
            path = DECIDE_PATH
        elif call.wire is Wire.HTTP and protocol == "router":
            path = DECIDE
        return path.decode("latin-1")


def shown_match(route: ResolvedRoute, hidden: frozenset[Place]) -> Json:
    """The conditions that the file sets; a header's value may be a secret."""
    shown = plain(Held(route.match, ("routes", route.name, "match")), hidden)
    return {key: value for key, value in shown.items() if key in route.match.model_fields_set}


def _name(link: ResolvedTarget) -> str:
    if link.static:
        return f"{STATIC}{link.upstream}"
    return f"{link.upstream}/{link.model}" if link.model else link.upstream


def _told(call: Call, model: str) -> Json:
    return {
        "request": {
            "wire": call.wire.value,
            "method": call.method.decode("latin-1"),
            "target": call.target.decode("latin-1"),
            "host": call.host.decode("latin-1"),
            "headers": sorted(name.decode("latin-1") for name in call.fields),
            "model": model or None,
            "retry": call.retry,
            "fallback": call.fallback,
            "deadline": None if call.caller_deadline == NO_DEADLINE else call.caller_deadline,
        },
        "refusal": None, "answered_here": False, "route": None, "llm": None, "chain": None, "policy": None,
        "targets": [],
    }  # fmt: skip


def _ask(call: Call, route: ResolvedRoute, model: str) -> Ask:
    """What it asks for, with the shortest body that its operation has."""
    said: Json = {"model": model} if model else {}
    spoken = [{"role": "user", "content": _SAID}]
    for body in ({**said, "messages": spoken}, {**said, "input": _SAID}):
        call.body = Body.of(json.dumps(body).encode() if wants_body(call) else b"")
        ask = read_ask(call, options_of(route))
        if ask.kind is not Kind.RESPONSES:
            break
    return ask


def _llm(ask: Ask) -> Json:
    return {
        "dialect": ask.dialect.value,
        "operation": ask.kind.value or None,
        "model": ask.model or None,
        "tied": ask.tied or ask.kind is Kind.OTHER,
    }


def _refusal(refusal: Refused, call: Call) -> Json:
    told: Json = {"code": refusal.label, "type": refusal.type, "message": refusal.message}
    if call.wire is Wire.GRPC:
        return {"grpc_code": refusal.grpc_code, **told}
    if isinstance(refusal, MethodNotAllowed):
        told["allow"] = list(refusal.allow)
    return {"status": refusal.http_status, **told}


def _answered_here(call: Call) -> bool:
    return call.wire is Wire.HTTP and call.path in BUILTIN_PATHS and call.method in (b"GET", b"HEAD")


def _notes(route: ResolvedRoute, call: Call, model: str) -> list[str]:
    """What a person who asked so should know."""
    notes = []
    ask = call.llm
    if call.caller_deadline < (route.deadline or NO_DEADLINE):
        notes.append(f"the caller's own deadline counts: {duration(call.caller_deadline)}")
    if not call.retry:
        notes.append("X-Sidecar-Retry: off: no target is tried twice")
    if not call.fallback:
        notes.append("X-Sidecar-Fallback: off: only the first target that can carry it is tried")
    if ask is None:
        if model:
            notes.append(f"the model counts for nothing: {route.name} leads to no LLM provider")
        return notes
    if model and ask.kind not in BY_MODEL:
        notes.append(f"[models] does not count for {ask.kind.value or 'this method and path'}")
    elif model and by_model(ask, route.models) is None:
        meant = nearest(model, route.models)
        notes.append(f"[models] does not name {model}" + (f" (did you mean {meant!r}?)" if meant else ""))
    elif not model and ask.kind in BY_MODEL:
        notes.append("no model is told: so goes a call for one that [models] does not name")
    if ask.tied or ask.kind is Kind.OTHER:
        notes.append("it does not leave its first upstream: others do not have what it names")
    if (call.outgoing or call.target).partition(b"?")[0] in (INFER, VERSION + INFER) and ask.kind is Kind.CHAT:
        notes.append("the body tells which operation it is: taken for chat/completions")
    return notes
