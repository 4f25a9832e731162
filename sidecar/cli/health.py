"""`sidecar health`: whether a running sidecar is well, and what is not."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.cli.admin_client import Admin
from sidecar.cli.output import print_json, print_line, print_table
from sidecar.cli.trouble import BAD_USAGE, NOT_WELL, Trouble
from sidecar.cli.upstreams import upstream_table

if TYPE_CHECKING:
    from sidecar.cli.admin_client import Document

STYLES = {"healthy": "bold green", "degraded": "bold yellow", "unhealthy": "bold red"}

LIVE_PATIENCE = 3.0
"""Seconds of silence after which a sidecar counts as stuck: less than the five that container engines and kubelets are
usually told to wait, so that they hear why."""


def health(
    url: str | None,
    token: str | None,
    config: str | None = None,
    *,
    everything: bool = False,
    as_json: bool = False,
) -> int:
    """Exit code 1 when it is unhealthy: draining, or no target can be tried. Degraded serves, and is 0."""
    if config is not None:
        raise Trouble("-c says where else to ask whether it lives: it goes with --live", BAD_USAGE)
    admin = Admin(url, token)
    answer = ask_health(admin)
    if everything:
        upstreams, breakers = admin.get("/upstreams"), admin.get("/circuit-breakers")
    if as_json:
        print_json({**answer, "upstreams": upstreams, "circuit_breakers": breakers} if everything else answer)
        return exit_code(answer)
    with admin.understood():
        checks: dict[str, str] = answer["checks"]
        rows = list(checks.items()) if everything else troubles(answer)
        table = upstream_table(upstreams, breakers) if everything else []
    print_line(answer["status"], STYLES[answer["status"]])
    if rows:
        print_table(("check", "says"), rows)
    if table:
        print_line()
        print_table(table[0], table[1:])
    return exit_code(answer)


def live(url: str | None, config: str | None = None, *, everything: bool = False, as_json: bool = False) -> int:
    """For who restarts what does not live. Open breakers, resting targets and a drain are no reason to: 0.

    Any listener but the gRPC one will do. Where no address is told and nobody is at the usual one, those of the policy
    file `config` are asked: an image's health check cannot know what a mounted file has moved. Exit code 1: no answer,
    none within `LIVE_PATIENCE` from all of them, or not a sidecar's.
    """
    if everything:
        raise Trouble("--live asks one thing, and --all everything: choose", BAD_USAGE)
    until = time.monotonic() + LIVE_PATIENCE
    try:
        _lives(url, LIVE_PATIENCE)
    except Trouble:
        told = url or os.environ.get("SIDECAR_ADMIN")
        if told or not any(_does_live(each, until - time.monotonic()) for each in _listeners(config)):
            raise
    if as_json:
        print_json({"status": "alive"})
    else:
        print_line("alive", STYLES["healthy"])
    return 0


def _lives(url: str | None, patience: float) -> None:
    admin = Admin(url, timeout=patience)
    if not admin.alive():
        raise Trouble(f"{admin.url} is no sidecar: its /livez says something else than ok")


def _does_live(url: str, patience: float) -> bool:
    if patience <= 0:
        return False
    try:
        _lives(url, patience)
    except Trouble:
        return False
    return True


def _listeners(config: str | None) -> list[str]:
    """Of the policy file; none if it does not tell."""
    if config is None:
        return []
    # Here, since it takes 0.2 s to import and is seldom needed.
    from sidecar.cli.listening import listening

    try:
        return listening(Path(config), os.environ)
    except (OSError, ValueError):
        return []


def ask_health(admin: Admin) -> Document:
    """What `GET /health` says, when it is a sidecar that says it."""
    answer = admin.get("/health", fine={200, 503})
    with admin.understood():
        if answer["service"] != "sidecar" or answer["status"] not in STYLES:
            raise ValueError(f"the service is {answer['service']!r}, its status {answer['status']!r}")
    return answer


def exit_code(answer: Document) -> int:
    return NOT_WELL if answer["status"] == "unhealthy" else 0


def troubles(answer: Document) -> list[tuple[str, str]]:
    """Checks that are not ok, and what they say."""
    return [(name, said) for name, said in answer["checks"].items() if said != "ok"]
