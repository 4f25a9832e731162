"""`sidecar check [FILE]`: every mistake of a policy file at once, or what the file says."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.config import Loaded
    from sidecar.settings import MatchSettings, RouteSettings


def check(path: str | None) -> int:
    """Prints the mistakes (exit code 2) or a summary (0). Without a path the file is found as by `sidecar run`."""
    from sidecar.config import find, load
    from sidecar.config.load import FILE, VARIABLE
    from sidecar.errors import ConfigError

    try:
        found = find(path, os.environ, Path.cwd())
        if found is None:
            print(f"No policy file: name one, set ${VARIABLE}, or stand in a folder with {FILE}.", file=sys.stderr)
            return 2
        loaded = load(found, os.environ)
    except ConfigError as error:
        for mistake in error.mistakes:
            print(mistake)
        count = len(error.mistakes)
        print(f"{count} mistake{'s' * (count != 1)}", file=sys.stderr)
        return 2
    for line in _summary(loaded):
        print(line)
    return 0


def _summary(loaded: Loaded) -> Iterator[str]:
    settings = loaded.settings
    listen = settings.listen
    named = {"http": listen.http, "grpc": listen.grpc, "admin": listen.admin, "probe": listen.probe}
    yield f"{loaded.path}: fine"
    yield f"  hash       {loaded.hash}"
    yield f"  listeners  {', '.join(f'{name} {address}' for name, address in named.items() if address) or 'none'}"
    yield f"  upstreams  {', '.join(settings.upstreams) or 'none'}"
    yield f"  routes     {len(settings.routes) or 'none'}"
    width = max(map(len, settings.routes), default=0)
    for name, route in settings.routes.items():
        yield f"    {name:{width}}  {_match(route.match)}  →  {_targets(route)}"


def _match(match: MatchSettings) -> str:
    methods = "|".join(match.methods)
    place = match.grpc or f"{match.host or ''}{match.path or '/*'}"
    headers = " ".join(f"{name}: {value}" for name, value in match.headers.items())
    return " ".join(part for part in (methods, place, f"[{headers}]" if headers else "") if part)


def _targets(route: RouteSettings) -> str:
    if route.chain:
        return " → ".join(route.chain)
    total = sum(part.weight for part in route.traffic)
    return ", ".join(f"{part.upstream} {100 * part.weight / total:.3g} %" for part in route.traffic)
