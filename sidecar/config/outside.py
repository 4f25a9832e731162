"""What is wrong with a policy file only in the world around it: an address in use, a certificate that is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.config.places import dotted
from sidecar.errors import ConfigError, Mistake

if TYPE_CHECKING:
    from sidecar.config.load import Loaded


def outside(loaded: Loaded, error: OSError) -> ConfigError:
    """The error as a mistake of the file's, with its line. Its text begins with the key, as in `listen.http: …`."""
    key, _, problem = str(error.args[-1]).partition(": ")
    lines = {dotted(place): line for place, line in loaded.lines.items()}
    return ConfigError([Mistake(str(loaded.path), lines.get(key, 0), key, problem)], files=loaded.files)
