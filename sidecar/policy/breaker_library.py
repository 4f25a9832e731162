"""pybreaker, imported without the packages that it merely looks for.

It imports redis and tornado where they are installed, to offer what is not used here; redis' client imports
OpenTelemetry in turn. Where the extras are installed and not used that is 8 MB and 80 ms of each start. So during this
one import both look as if they were not there, which pybreaker is prepared for.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["pybreaker"]

LOOKED_FOR = ("redis", "tornado")


def _alone(name: str) -> ModuleType:
    """The module. Whoever wants one of the others later gets it; who has one already keeps it."""
    hidden = [package for package in LOOKED_FOR if package not in sys.modules]
    try:
        for package in hidden:  # None: an import of it fails (Python reference, section 5.3.1); typeshed does not know
            sys.modules[package] = None  # type: ignore[assignment]
        return import_module(name)
    finally:
        for package in hidden:
            sys.modules.pop(package, None)


if TYPE_CHECKING:
    import pybreaker
else:
    pybreaker = _alone("pybreaker")
