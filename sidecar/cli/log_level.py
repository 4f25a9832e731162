"""`sidecar log-level LEVEL`: how much a running sidecar logs, until its next start."""

from __future__ import annotations

from sidecar.cli.admin_client import Admin
from sidecar.cli.output import print_json, print_line


def log_level(level: str, url: str | None, token: str | None, *, as_json: bool = False) -> int:
    """Exit code 0; a level that is none is `Trouble` with those that are (2)."""
    answer = Admin(url, token).post("/log-level", {"level": level.lower()})
    if as_json:
        print_json(answer)
    else:
        print_line(f"log level {level.lower()} until the next start")
    return 0
