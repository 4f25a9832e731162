"""`sidecar status`: a page that tells at a glance what a running sidecar is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sidecar.cli.admin_client import Admin
from sidecar.cli.health import STYLES, ask_health, exit_code, troubles
from sidecar.cli.output import aligned, harmless, print_json, print_line, print_table, shortened
from sidecar.cli.routes import chain_words, match_words
from sidecar.cli.upstreams import upstream_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.cli.admin_client import Document

PLACES = {
    "config": "/config", "listeners": "/listeners", "routes": "/routes", "models": "/models",
    "upstreams": "/upstreams", "circuit_breakers": "/circuit-breakers", "rate_limits": "/rate-limits",
}  # fmt: skip


class _Table(NamedTuple):
    head: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def status(url: str | None, token: str | None, *, as_json: bool = False) -> int:
    """Exit code 1 when it is unhealthy."""
    admin = Admin(url, token)
    health = ask_health(admin)
    told = {name: admin.get(path) for name, path in PLACES.items()}
    with admin.understood():
        told["config"] = {name: told["config"][name] for name in ("file", "generation", "hash")}
        if as_json:
            print_json({**health, **told})
            return exit_code(health)
        lines, tables = list(_head(health, told)), list(_tables(health, told))
        title = f"sidecar {health['version']} is {health['status']}"
    print_line(title, STYLES[health["status"]])
    for line in lines:
        print_line(line)
    for table in tables:
        print_line()
        print_table(table.head, table.rows)
    return exit_code(health)


def _head(health: Document, told: dict[str, Document]) -> Iterator[str]:
    config = told["config"]
    live = "live" if health["checks"].get("config", "ok") == "ok" else "STALE: what the file says now is not live"
    pairs = [
        ("policy", config["file"]),
        ("generation", f"{config['generation']}, hash {shortened(config['hash'])}, {live}"),
        *told["listeners"].items(),
    ]
    for line in aligned([(harmless(name), harmless(str(said))) for name, said in pairs]):
        yield f"  {line}"


def _tables(health: Document, told: dict[str, Document]) -> Iterator[_Table]:
    if wrong := troubles(health):
        yield _Table(("not ok", "says"), list(wrong))
    if routes := told["routes"]:
        yield _Table(
            ("route", "match", "chain"),
            [(name, match_words(route["match"]), _chain(route)) for name, route in routes.items()],
        )
    if models := told["models"]:
        yield _Table(("model", "chain"), [(name, _chain(model)) for name, model in models.items()])
    if table := upstream_table(told["upstreams"], told["circuit_breakers"]):
        yield _Table(table[0], table[1:])
    if limits := told["rate_limits"]:
        rows = [(name, _windows(limit), limit["key"], _counted(limit)) for name, limit in limits.items()]
        yield _Table(("limit", "allows", "per", "in use"), rows)


def _chain(route: Document) -> str:
    """Targets in order, each with whether it would be tried now."""
    names = [each["target"] + ("" if each["ready"] else " (not ready)") for each in route["chain"]]
    return chain_words(names, route.get("weights"))


def _windows(limit: Document) -> str:
    return ", ".join(f"{each['limit']:g} {each['unit']} in {each['seconds']:g} s" for each in limit["windows"])


def _counted(limit: Document) -> str:
    """How much of it is in use; with the store that other sidecars count in, too, as this one has heard."""
    store = limit.get("store", "local")
    return _keys(limit) if store == "local" else f"{_keys(limit)}, in {store}"


def _keys(limit: Document) -> str:
    """Of one bucket for all what is left; else how many buckets there are."""
    if "remaining" in limit:
        left = ", ".join(f"{each:g}" for each in limit["remaining"])
        return f"{left} left"
    return f"{limit['keys']} of {limit['max_keys']} keys"
