"""What is installed only where it is used: packages that a policy file asks for by what it says.

Redis' client takes 10 MB and 100 ms to import, OpenTelemetry's SDK twice that: who wants neither pays for neither.
A file that asks for one that is not there is refused (`config/needs.py`), so nothing else looks for it again.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

DISTRIBUTION = "sidecar-proxy"


@cache
def installed(package: str) -> bool:
    """Could it be imported? Looks for it once."""
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # of `a.b` not even `a`
        return False


def load(module: str) -> ModuleType:
    """A module of ours that imports such a package. Raises `ImportError`."""
    return import_module(module)
