"""What a package manager is told. CI builds the wheel and the sdist, and installs them."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distribution

import sidecar
from tests.kit.commands import ROOT
from tests.test_architecture import HOMES

# Packages whose import name is another one.
IMPORT_NAMES = {
    "googleapis-common-protos": "google",
    "grpcio": "grpc",
    "grpcio-health-checking": "grpc_health",
    "prometheus-client": "prometheus_client",
    "protobuf": "google",
}


def project() -> dict[str, list[str]]:
    text = (ROOT / "pyproject.toml").read_text()
    found: dict[str, list[str]] = tomllib.loads(text)["project"]
    return found


def test_the_version_stands_in_one_place() -> None:
    assert distribution("sidecar-proxy").version == sidecar.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", sidecar.__version__)


def test_the_command_is_called_sidecar() -> None:
    (command,) = distribution("sidecar-proxy").entry_points
    assert (command.name, command.value) == ("sidecar", "sidecar.cli:main")
    assert callable(command.load())


def test_every_dependency_has_a_home_in_the_house() -> None:
    names = {re.split(r"[^\w-]", dependency)[0] for dependency in project()["dependencies"]}
    assert {IMPORT_NAMES.get(name, name) for name in names} <= HOMES.keys()


def test_a_dependency_that_could_break_us_is_pinned_to_its_minor_version() -> None:
    """Their private names are in use; contract tests hold those for the versions allowed here."""
    pinned = {line for line in project()["dependencies"] if re.match(r"aiolimiter|pybreaker|httptools", line)}
    assert len(pinned) == 3
    assert all("<" in line for line in pinned)
