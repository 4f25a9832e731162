"""`sidecar check [FILE]`: every mistake of a policy file at once, or what the file says, and whether it is live."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sidecar.cli.changes import change_document, change_lines
from sidecar.cli.mistakes import policy
from sidecar.cli.output import print_json, print_line
from sidecar.cli.routes import chain_words, match_words
from sidecar.cli.trouble import BAD_USAGE, NOT_WELL, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.config import Loaded
    from sidecar.config.difference import Change
    from sidecar.settings import ModelSettings, RouteSettings

_OK = "ok"


def check(
    path: str | None, *, as_json: bool = False, live: bool = False, admin: str | None = None, token: str | None = None
) -> int:
    """Prints the mistakes (exit code 2) or a summary (0). Without a path the file is found as by `sidecar run`.

    `live`: then also what the sidecar at `admin` runs; exit code 1 when it is not this file, or nobody answers.
    """
    loaded = policy(path, as_json=as_json)
    if loaded is None:
        return BAD_USAGE
    if as_json:
        return _as_json(loaded, live=live, admin=admin, token=token)
    for line in _summary(loaded):
        print_line(line)
    if not live:
        return 0
    running = _running(loaded, admin, token)
    for line, style in _told(running, loaded):
        print_line(line, style)
    return 0 if running.same else NOT_WELL


class _Running(NamedTuple):
    """What a sidecar runs, beside a file."""

    same: bool
    generation: int
    hash: str
    file: str
    stale: str
    """Why it did not take what it found, empty if it did."""
    changes: list[Change]
    """What it would do otherwise by the file."""


def _running(loaded: Loaded, admin: str | None, token: str | None) -> _Running:
    """Raises `Trouble` when nobody answers."""
    from sidecar.cli.admin_client import Admin
    from sidecar.config.difference import difference_from_view

    sidecar = Admin(admin, token)
    now = sidecar.get("/config")
    config = sidecar.get("/health", fine={200, 503}).get("checks", {}).get("config", _OK)
    try:
        same = now["hash"] == loaded.hash
        changes = [] if same else difference_from_view(now["config"], loaded)
        return _Running(same, now["generation"], now["hash"], now.get("file", ""), _reason(config), changes)
    except (KeyError, TypeError, AttributeError) as error:
        raise Trouble(f"{sidecar.url} does not say what it runs: is it a sidecar of this version?") from error


def _reason(config: str) -> str:
    return "" if config == _OK else config.removeprefix("stale: ")


def _told(running: _Running, loaded: Loaded) -> Iterator[tuple[str, str]]:
    if running.same:
        yield f"live: generation {running.generation}", "green"
    else:
        yield f"not live: generation {running.generation} runs, and this file would change", "bold red"
        if not running.changes:
            yield "  nothing, unless a secret is another one", ""
        for line, style in change_lines(running.changes, "", str(loaded.path)):
            yield f"  {line}", style
    if _is_another(running.file, loaded.path):
        yield f"it runs another file: {running.file}", "yellow"
    if running.stale:
        yield f"it did not take what it found there: {running.stale}", "red"


def _is_another(running: str, path: Path) -> bool:
    """Where a relative path began only the sidecar knows: of those the names are compared."""
    file = Path(running)
    return file.resolve() != path.resolve() if file.is_absolute() else file.name not in {"", path.name}


def _as_json(loaded: Loaded, *, live: bool, admin: str | None, token: str | None) -> int:
    settings = loaded.settings
    document: dict[str, Any] = {
        "file": str(loaded.path),
        "ok": True,
        "mistakes": [],
        "hash": loaded.hash,
        "listeners": _listeners(loaded),
        "upstreams": list(settings.upstreams),
        "routes": {
            name: {"match": _match(name, loaded), "targets": _targets(route)} for name, route in settings.routes.items()
        },
        "models": {name: _leads_to(model) for name, model in settings.models.items()},
    }
    code = 0
    if live:
        try:
            running = _running(loaded, admin, token)
        except Trouble as trouble:
            code, document["live"] = trouble.code, {"same": False, "unknown": str(trouble)}
        else:
            code = 0 if running.same else NOT_WELL
            changes = [change_document(change) for change in running.changes]
            document["live"] = {**running._asdict(), "changes": changes}
    print_json(document)
    return code


def _summary(loaded: Loaded) -> Iterator[str]:
    settings = loaded.settings
    yield f"{loaded.path}: fine"
    yield f"  hash       {loaded.hash}"
    yield f"  listeners  {', '.join(f'{name} {at}' for name, at in _listeners(loaded).items()) or 'none'}"
    yield f"  upstreams  {', '.join(settings.upstreams) or 'none'}"
    yield f"  routes     {len(settings.routes) or 'none'}"
    width = max(map(len, settings.routes), default=0)
    for name, route in settings.routes.items():
        yield f"    {name:{width}}  {_match(name, loaded)}  →  {_targets(route)}"
    if settings.models:
        yield f"  models     {len(settings.models)}"
    width = max(map(len, settings.models), default=0)
    for name, model in settings.models.items():
        yield f"    {name:{width}}  →  {_leads_to(model)}"


def _listeners(loaded: Loaded) -> dict[str, str]:
    listen = loaded.settings.listen
    named = {"http": listen.http, "grpc": listen.grpc, "admin": listen.admin, "probe": listen.probe}
    return {name: address for name, address in named.items() if address}


def _match(name: str, loaded: Loaded) -> str:
    """A header that it asks for may be a credential: then its value is `***`."""
    from sidecar.config.effective import Held
    from sidecar.config.view import plain

    match = loaded.settings.routes[name].match
    return match_words(plain(Held(match, ("routes", name, "match")), loaded.secrets))


def _targets(route: RouteSettings) -> str:
    if route.chain:
        return chain_words(route.chain, None)
    return chain_words([part.upstream for part in route.traffic], [part.weight for part in route.traffic])


def _leads_to(model: ModelSettings) -> str:
    return chain_words([f"{link.upstream}/{link.model}" for link in model.chain], None)
