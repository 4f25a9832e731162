"""What one key cannot know alone: names that must exist, keys that exclude each other, routes that tie.

Each check yields problems for settings whose single values are right.
"""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING

from sidecar.config.carriage import GRPC, impossible
from sidecar.config.grpc_checks import check_match, check_route, check_upstream
from sidecar.config.llm_checks import check_circle, check_fault, check_llm_route, check_llm_upstream, check_models
from sidecar.config.overlap import covers, ties
from sidecar.config.places import Place, Problem, dotted, unknown
from sidecar.config.resolve import STATIC
from sidecar.settings import SettingError, parse_address
from sidecar.settings.texts import OURS, TOKEN, check_scheme

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sidecar.settings import MatchSettings, RouteSettings, Settings, UpstreamSettings

Names = dict[str, frozenset[str]]
"""The names that the file gives, by section, also those whose tables hold mistakes."""

_SCHEMES: Mapping[str, tuple[str, ...]] = {
    "http": ("http", "https", "unix"),
    "c-gateway": ("http", "https"),
    "grpc": ("grpc", "grpcs", "unix"),
    "router": ("grpc", "grpcs", "unix"),
    "openai": ("http", "https"),
    "anthropic": ("http", "https"),
}


def relations(settings: Settings, names: Names) -> Iterator[Problem]:
    """All problems between keys, in no order."""
    yield from _listeners(settings)
    for name, upstream in settings.upstreams.items():
        yield from _upstream(("upstreams", name), upstream, names)
        yield from check_upstream(("upstreams", name), upstream)
        yield from check_llm_upstream(("upstreams", name), upstream)
        yield from check_circle(("upstreams", name), upstream, settings.listen)
    for name, route in settings.routes.items():
        place: Place = ("routes", name)
        yield from _policy(place, route.policy, names)
        if not route.match.model_fields_set:
            yield Problem((*place, "match"), "is missing or empty", allowed="path, host, methods, headers, grpc")
        yield from _match((*place, "match"), route.match)
        yield from check_route(place, route)
        yield from _links(place, route, names)
        yield from impossible(place, route, settings)
        yield from check_llm_route(place, route, settings)
        yield from _paths(place, route)
        yield from _limits(place, route, settings)
    for name, static in settings.static.items():
        yield from _headers(("static", name, "headers"), static.headers, sent=True)
    yield from check_models(settings, names)
    for name, fault in settings.faults.items():
        yield from _match(("faults", name, "match"), fault.match)
        yield from check_fault(("faults", name), fault)
    yield from _ties(settings)


def unnameable(names: Names) -> Iterator[Problem]:
    """They stand in URLs, header values, metrics and chains, where `/` has a meaning."""
    for section in ("policies", "upstreams", "routes", "static", "faults"):
        for name in names.get(section, ()):
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}", name):
                yield Problem(
                    (section, name), "is not a name", allowed="up to 64 letters, digits, and . _ : - after the first"
                )
    if "static" in names.get("upstreams", ()):
        yield Problem(("upstreams", "static"), "is taken: X-Sidecar-Upstream says it of answers from the policy file")


def _listeners(settings: Settings) -> Iterator[Problem]:
    listen = settings.listen
    texts = {"http": listen.http, "grpc": listen.grpc, "admin": listen.admin, "probe": listen.probe}
    addresses = {name: address for name, text in texts.items() if (address := parse_address(text))}
    for (one, first), (other, second) in combinations(addresses.items(), 2):
        if first.collides(second):
            yield Problem(("listen", other), f"is the address of listen.{one} as well ({first})", other=("listen", one))


def _upstream(place: Place, upstream: UpstreamSettings, names: Names) -> Iterator[Problem]:
    yield from _policy(place, upstream.policy, names)
    if upstream.url is not None and upstream.urls:
        yield Problem((*place, "urls"), "stands beside url: one of them must go")
    elif not upstream.addresses:
        yield Problem((*place, "url"), "is missing", allowed="url or urls", other=(*place, "urls"))
    yield from _headers((*place, "headers"), upstream.headers, sent=True)
    yield from _headers((*place, "default_headers"), upstream.default_headers, sent=True)
    schemes = _SCHEMES[upstream.protocol]
    for index, url in enumerate(upstream.addresses):
        here = (*place, "urls", index) if upstream.urls else (*place, "url")
        if url in upstream.addresses[:index]:
            yield Problem(here, "is listed twice")
        try:
            check_scheme(url, schemes)
        except SettingError as error:
            told = f"{error.problem} with protocol {upstream.protocol}"
            yield Problem(here, told, error.allowed, follows=((*place, "protocol"),))
    if upstream.tls.key and not upstream.tls.cert:
        yield Problem((*place, "tls", "cert"), "is missing: a key alone proves nothing")
    if upstream.tls.model_fields_set and not any(_secure(url) for url in upstream.addresses):
        secure = "grpcs" if upstream.protocol in GRPC else "https"
        yield Problem((*place, "tls"), f"has no effect: no URL of this upstream is {secure}")


def _secure(url: str) -> bool:
    return url.startswith(("https:", "grpcs:"))


def _headers(place: Place, headers: Mapping[str, str], *, sent: bool) -> Iterator[Problem]:
    """Names ignore case; `sent`: the sidecar puts them into a message."""
    seen: dict[str, str] = {}
    for name in headers:
        here, lower = (*place, name), name.lower()
        if not TOKEN.fullmatch(name):
            yield Problem(here, "is not a header name")
        if lower in seen:
            yield Problem(here, f"is the same header as {seen[lower]}: names ignore case")
        if sent and lower in OURS:
            reason = "use the key host" if lower == "host" else "the sidecar writes it"
            yield Problem(here, f"cannot be set: {reason}")
        seen[lower] = name


def _policy(place: Place, policy: str, names: Names) -> Iterator[Problem]:
    known = names["policies"] | {"default"}
    if policy not in known:
        yield unknown((*place, "policy"), "policy", policy, known)


def _match(place: Place, match: MatchSettings) -> Iterator[Problem]:
    yield from _headers((*place, "headers"), match.headers, sent=False)
    yield from check_match(place, match)


def _links(place: Place, route: RouteSettings, names: Names) -> Iterator[Problem]:
    if route.chain and route.traffic:
        yield Problem((*place, "traffic"), "stands beside chain: one of them must go")
    elif not route.chain and not route.traffic:
        key, other = ("traffic", "chain") if "traffic" in route.model_fields_set else ("chain", "traffic")
        allowed = "chain or traffic with at least one"
        yield Problem((*place, key), "names no upstream", allowed, other=(*place, other))
    for index, link in enumerate(route.chain):
        yield from _link((*place, "chain", index), link, names, last=index == len(route.chain) - 1)
    for index, part in enumerate(route.traffic):
        if part.upstream not in names["upstreams"]:
            yield unknown((*place, "traffic", index, "upstream"), "upstream", part.upstream, names["upstreams"])
    for key, links in (("chain", list(route.chain)), ("traffic", [part.upstream for part in route.traffic])):
        for index, link in enumerate(links):
            if link in links[:index]:
                yield Problem((*place, key, index), f"{link} is listed twice")


def _link(place: Place, link: str, names: Names, *, last: bool) -> Iterator[Problem]:
    if not link.startswith(STATIC):
        if link not in names["upstreams"]:
            known = names["upstreams"] | {STATIC + name for name in names["static"]}
            yield unknown(place, "upstream", link, known)
        return
    if (name := link.removeprefix(STATIC)) not in names["static"]:
        yield unknown(place, "static answer", name, names["static"], STATIC)
    if not last:
        yield Problem(place, f"{link} must be the last link: it answers every call")


def _paths(place: Place, route: RouteSettings) -> Iterator[Problem]:
    path = route.match.path
    if route.strip and path is not None and not covers(path.removesuffix("/*"), route.strip):
        yield Problem((*place, "strip"), f"{route.strip} does not begin the path that the route matches ({path})")


def _limits(place: Place, route: RouteSettings, settings: Settings) -> Iterator[Problem]:
    """A head is read before its route is known, so a route can only be stricter."""
    for key in ("max_headers", "max_header_bytes"):
        file = getattr(settings.limits, key)
        if key in route.limits.model_fields_set and getattr(route.limits, key) > file:
            yield Problem((*place, "limits", key), f"cannot be more than limits.{key}, which is {file}")


def _ties(settings: Settings) -> Iterator[Problem]:
    matches = {name: route.match for name, route in settings.routes.items() if route.match.model_fields_set}
    for one, other in ties(matches):
        yield Problem(
            ("routes", other, "match"),
            f"ties with {dotted(('routes', one))}: one request could meet both and neither is more specific",
            other=("routes", one, "match"),
        )
