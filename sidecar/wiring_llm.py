"""From settings to what LLM routes need: providers, models, and the list of them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sidecar.llm import Dialect, LlmOptions
from sidecar.upstreams.llm_request import Model, Provider
from sidecar.wiring import credential_of, injects_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sidecar.config.resolve import ResolvedRoute, ResolvedTarget, ResolvedUpstream

OPENAI_HOSTS = (".openai.com", ".openai.azure.com", ".cognitiveservices.azure.com")
"""Where OpenAI's own models are; any other host speaks their dialect, mostly an older one."""

ANY_MODEL = "*"
"""What the breaker and the rest of an upstream are named for models that the file does not name."""


def provider_of(upstream: ResolvedUpstream, sender: bytes = b"sidecar") -> Provider:
    """What its clients must know of it, and `sender`: who asks."""
    own = upstream.settings
    hosts = [f".{urlsplit(url).hostname or ''}" for url in upstream.urls]
    return Provider(
        dialect=Dialect(own.protocol),
        credential=credential_of(upstream),
        own=injects_secret(upstream),
        compatible=not all(host.endswith(OPENAI_HOSTS) for host in hosts),
        sender=sender,
    )


def model_of(link: ResolvedTarget) -> Model:
    return Model(link.model, link.max_tokens, link.prefill)


def options_of(route: ResolvedRoute) -> LlmOptions:
    return LlmOptions(route.stream, route.on_break, strict=route.translation == "strict")


def named_models(routes: Iterable[ResolvedRoute]) -> set[tuple[str, str]]:
    """Upstream and model wherever a chain names both."""
    return set(_links(routes))


def _links(routes: Iterable[ResolvedRoute]) -> Iterator[tuple[str, str]]:
    for route in routes:
        for chain in route.models.values():
            for link in chain:
                if link.model:
                    yield link.upstream, link.model
