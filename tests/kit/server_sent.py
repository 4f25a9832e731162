"""Reading server-sent events."""

from __future__ import annotations

import json
from typing import Any


def told(frames: bytes) -> list[dict[str, Any]]:
    """The data of each event."""
    return [json.loads(line[6:]) for line in frames.splitlines() if line.startswith(b"data: ")]
