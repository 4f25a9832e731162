"""Which models lead to which upstreams, as the sidecar tells it. Callers choose models; they never choose an upstream.

A model that `[models]` names has a chain of its own, wherever it is asked for. Any
other goes where the route of the call leads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from sidecar.cli.llm.conversation import MODELS
from sidecar.cli.llm.listener import answering
from sidecar.cli.llm.told import refusal
from sidecar.cli.trouble import BAD_USAGE, NOT_WELL, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sidecar.cli.admin_client import Admin
    from sidecar.cli.llm.conversation import Speech
    from sidecar.cli.web import Heard, Web

Chain = list[dict[str, Any]]
"""Targets in their order: `target`, and whether it is `ready`."""

PROVIDERS = frozenset({"openai", "anthropic"})


@dataclass(frozen=True, slots=True)
class Leads:
    """`models` and `routes` lead to LLM providers: their chains by name. `upstreams` are all, with their protocols."""

    models: Mapping[str, Chain] = field(default_factory=dict)
    routes: Mapping[str, Chain] = field(default_factory=dict)
    upstreams: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def told(cls, admin: Admin) -> Leads:
        """By the admin listener. Raises `Trouble`."""
        with admin.understood():
            upstreams = {name: one["protocol"] for name, one in admin.get("/upstreams").items()}
            providers = {name for name, protocol in upstreams.items() if protocol in PROVIDERS}
            routes = {name: one["chain"] for name, one in admin.get("/routes").items()}
            return cls(
                models={name: one["chain"] for name, one in admin.get("/models").items()},
                routes={name: chain for name, chain in routes.items() if not providers.isdisjoint(upstreams_of(chain))},
                upstreams=upstreams,
            )

    def chain(self, model: str, route: str) -> Chain:
        """What a call for this model by this route meets; empty where it leads to no provider."""
        return self.models.get(model) or self.routes.get(route, [])

    def check(self, upstream: str) -> None:
        """Raises `Trouble` unless it is a provider."""
        providers = [name for name, protocol in self.upstreams.items() if protocol in PROVIDERS]
        if upstream in providers:
            return
        protocol = self.upstreams.get(upstream)
        wrong = f"{upstream} speaks {protocol}, no LLM dialect" if protocol else f"there is no upstream {upstream}"
        known = f"providers are: {', '.join(providers)}" if providers else "the policy file has no LLM provider"
        raise Trouble(f"{wrong}; {known}", BAD_USAGE)


@dataclass(frozen=True, slots=True)
class Listing:
    """What `GET /v1/models` answers: entries as they came, and the route by which they did."""

    entries: list[dict[str, Any]]
    route: str
    heard: Heard


def listing(web: Web, speech: Speech) -> Listing:
    """Raises `Trouble` with the answer's own words."""
    with answering():
        heard = web.ask("GET", MODELS, fields=speech.fields)
    try:
        document = orjson.loads(heard.body)
    except orjson.JSONDecodeError:
        document = None
    entries = document.get("data") if isinstance(document, dict) else None
    if heard.status != 200 or not isinstance(entries, list):
        raise Trouble(f"no list of models: {refusal(heard.status, heard.fields, heard.body)}", NOT_WELL)
    known = [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str)]
    return Listing(known, heard.fields.get("x-sidecar-route", ""), heard)


def leads_to(chain: Chain, upstream: str) -> bool:
    """Some target of it is that upstream's."""
    return upstream in upstreams_of(chain)


def upstreams_of(chain: Chain) -> list[str]:
    """Of each target, in order; a static link's is `static`."""
    return [link["target"].partition("/")[0] for link in chain]


def choose(model: str | None, upstream: str | None, leads: Leads, listed: Callable[[], Listing]) -> str:
    """The model to ask for: `model`; else the first of `[models]`, else the first that is listed. With `upstream` only
    what leads there counts, and of `[models]` the one where it stands earliest: it is to answer if it can. `listed` is
    asked only where it matters: providers are called for it. Raises `Trouble`.
    """
    if upstream is None:
        found = model or next(iter(leads.models), None) or next((entry["id"] for entry in listed().entries), None)
        if found is None:
            raise Trouble("the sidecar lists no model: name one with -m, or add [models.NAME] to its file", NOT_WELL)
        return found
    leads.check(upstream)
    if model is not None:
        chain = leads.models.get(model)
        if leads_to(chain, upstream) if chain is not None else _route_leads(upstream, leads, listed):
            return model
        routes = {} if chain is not None else leads.routes
        raise Trouble(f"model {model} does not lead to {upstream}{_instead(upstream, leads.models, routes)}", BAD_USAGE)
    if leading := {name: way for name, chain in leads.models.items() if upstream in (way := upstreams_of(chain))}:
        return min(leading, key=lambda name: leading[name].index(upstream))
    if _route_leads(upstream, leads, listed):
        for entry in listed().entries:
            if entry["id"] not in leads.models:
                return str(entry["id"])
        raise Trouble(f"the route leads to {upstream}, which lists no model: name one with -m", NOT_WELL)
    raise Trouble(f"nothing in this dialect leads to {upstream}{_instead(upstream, {}, leads.routes)}", BAD_USAGE)


def _route_leads(upstream: str, leads: Leads, listed: Callable[[], Listing]) -> bool:
    """Whether the route by which models are asked for that have no chain of their own has the upstream in its own."""
    leading = {name for name, chain in leads.routes.items() if leads_to(chain, upstream)}
    if not leading or leading == set(leads.routes):
        return bool(leading)
    return listed().route in leading


def _instead(upstream: str, models: Mapping[str, Chain], routes: Mapping[str, Chain]) -> str:
    """What of these does lead there."""
    told = ""
    if leading := [name for name, chain in models.items() if leads_to(chain, upstream)]:
        told += f"; models that do: {', '.join(leading)}"
    if leading := [name for name, chain in routes.items() if leads_to(chain, upstream)]:
        told += f"; routes that do: {', '.join(leading)} (is -p the right dialect?)"
    return told
