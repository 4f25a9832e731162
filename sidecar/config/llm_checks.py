"""What LLM traffic asks of a file: models that lead to providers, keys that mean something to providers alone,
and one place for each credential.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sidecar.config.carriage import GRPC
from sidecar.config.places import Place, Problem, unknown
from sidecar.config.resolve import STATIC
from sidecar.dialects.metadata import is_text
from sidecar.settings.address import Address, parse_address
from sidecar.settings.protocols import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sidecar.config.checks import Names
    from sidecar.settings import (
        FaultSettings,
        ListenSettings,
        ModelTargetSettings,
        RouteSettings,
        Settings,
        UpstreamSettings,
    )

_OF_ROUTES = ("stream", "on_break", "translation", "fallback_on_refusal")
_NO_QUERY = {
    "grpc": "a gRPC method has none",
    "router": "a gRPC method has none",
    "c-gateway": "it compares paths whole, and answers 404 to one with a query",
}
_PORTS = {"http": 80, "https": 443}
_EFFECTS = ("delay", "status", "reset", "first_token", "cut_after_tokens", "stall", "malformed")


def check_llm_upstream(place: Place, upstream: UpstreamSettings) -> Iterator[Problem]:
    """Problems of `query`, `auth`, `api_key`, and of what only providers know."""
    protocol = upstream.protocol
    spoken: Place = (*place, "protocol")
    if upstream.query and protocol in _NO_QUERY:
        told = f"has no effect with protocol {protocol}: {_NO_QUERY[protocol]}"
        yield Problem((*place, "query"), told, follows=(spoken,))
    if "" in upstream.query:
        yield Problem((*place, "query", ""), "is not a parameter: it needs a name")
    if "auth" in upstream.model_fields_set and "api_key" not in upstream.model_fields_set:
        yield Problem((*place, "auth"), "has no effect without api_key", follows=((*place, "api_key"),))
    if protocol in GRPC and not is_text(upstream.api_key):
        yield Problem((*place, "api_key"), "gRPC metadata can hold printable ASCII only", follows=(spoken,))
    for key in ("headers", "default_headers"):
        yield from _headers((*place, key), getattr(upstream, key), upstream)
    if protocol not in PROVIDERS:
        why = f"has no effect with protocol {protocol}: it is for LLM providers"
        if "first_token" in upstream.timeout.model_fields_set:
            yield Problem((*place, "timeout", "first_token"), why, follows=(spoken,))
        if upstream.rate_limit is not None and upstream.rate_limit.tokens_per_minute:
            yield Problem((*place, "rate_limit", "tokens_per_minute"), why, follows=(spoken,))


def _headers(place: Place, headers: Mapping[str, str], upstream: UpstreamSettings) -> Iterator[Problem]:
    """Two keys in one field would be one too many; and a provider's answer must be readable."""
    provider = upstream.protocol in PROVIDERS
    spoken: Place = (*place[:-1], "protocol")
    for name, value in headers.items():
        lower = name.lower()
        if provider and lower == "accept-encoding":
            yield Problem((*place, name), "cannot be set: the sidecar reads what providers answer", follows=(spoken,))
        elif value and upstream.api_key and lower == upstream.credential_header:
            yield Problem((*place, name), "stands beside api_key, which is sent as this header", other=place[:-1])


def check_circle(place: Place, upstream: UpstreamSettings, listen: ListenSettings) -> Iterator[Problem]:
    """A provider must not be the sidecar itself, as when the URL is taken from the variable that leads applications
    here. No `Via` goes to providers, so that such calls would go round until nothing is left.
    """
    here = parse_address(listen.http)
    if here is None or upstream.protocol not in PROVIDERS:
        return
    for url in upstream.addresses:
        parts = urlsplit(url)
        there = Address(parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0))
        if there.collides(here) and (there.loopback or there.host == here.host):
            key: Place = (*place, "urls" if upstream.urls else "url")
            yield Problem(key, "is where the sidecar itself listens: calls would go round", other=("listen", "http"))


def check_llm_route(place: Place, route: RouteSettings, settings: Settings) -> Iterator[Problem]:
    """Keys that mean something to LLM providers alone, on a route that leads to none."""
    links = route.chain or tuple(part.upstream for part in route.traffic)
    upstreams = [link for link in links if not link.startswith(STATIC)]
    if not links or any(link not in settings.upstreams for link in upstreams):
        return
    if any(settings.upstreams[link].protocol in PROVIDERS for link in upstreams):
        return
    concluded: tuple[Place, ...] = (
        (*place, "chain" if route.chain else "traffic"),
        *(("upstreams", link, "protocol") for link in upstreams),
    )
    told = "has no effect: no target of this route is an LLM provider (protocol openai or anthropic)"
    for key in _OF_ROUTES:
        if key in route.model_fields_set:
            yield Problem((*place, key), told, follows=concluded)
    if route.rate_limit is not None and route.rate_limit.tokens_per_minute:
        yield Problem((*place, "rate_limit", "tokens_per_minute"), told, follows=concluded)


def check_models(settings: Settings, names: Names) -> Iterator[Problem]:
    """Problems of `[models]`: each chain must lead to providers that exist; a static answer ends it."""
    for name, model in settings.models.items():
        place: Place = ("models", name, "chain")
        if not name.strip():
            yield Problem(("models", name), "is not a name that a caller could ask for")
        if not model.chain:
            yield Problem(place, "names no model", allowed="upstream/model, at least one")
        for index, target in enumerate(model.chain):
            last = index == len(model.chain) - 1
            yield from _target((*place, index), target, settings, names, last=last)
            if any((target.upstream, target.model) == (one.upstream, one.model) for one in model.chain[:index]):
                yield Problem((*place, index), f"{target.upstream}/{target.model} is listed twice")


def _target(
    place: Place, target: ModelTargetSettings, settings: Settings, names: Names, *, last: bool
) -> Iterator[Problem]:
    if target.static:
        if target.static not in names["static"]:
            yield unknown(place, "static answer", target.static, names["static"], STATIC)
        if not last:
            yield Problem(place, f"static/{target.static} must be the last link: it answers every call")
        for key in target.model_fields_set & {"max_tokens", "prefill"}:
            yield Problem((*place, key), "has no effect on a static answer")
    elif target.upstream not in names["upstreams"]:
        yield unknown(place, "upstream", target.upstream, names["upstreams"])
    elif (upstream := settings.upstreams.get(target.upstream)) and upstream.protocol not in PROVIDERS:
        told = f"{target.upstream} ({upstream.protocol}) is no LLM provider"
        spoken: Place = ("upstreams", target.upstream, "protocol")
        yield Problem(place, told, allowed="an upstream with protocol openai or anthropic", follows=(spoken,))


def check_fault(place: Place, fault: FaultSettings) -> Iterator[Problem]:
    """Problems of what a `[faults.NAME]` does."""
    if fault.cut_after_tokens is None and not any(getattr(fault, key) for key in _EFFECTS):
        yield Problem(place, "does nothing", allowed=", ".join(_EFFECTS))
    if fault.reset and fault.status is not None:
        yield Problem((*place, "reset"), "stands beside status: one of them must go", other=(*place, "status"))
