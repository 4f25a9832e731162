"""What the figures were taken on, and with which versions."""

import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import grpc


def describe(envoy: str | None, nginx: str, litellm: str | None, portkey: str | None) -> dict[str, str]:
    model = (line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    return {
        "cpu": next(model, "model name: unknown").partition(":")[2].strip(),
        "kernel": platform.release(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "envoy": version([envoy, "--version"]) if envoy else "missing",
        "nginx": version([nginx, "-v"]),
        "wrk": version(["wrk", "-v"]),
        "h2load": version(["h2load", "--version"]) if shutil.which("h2load") else "missing",
        "grpcio": grpc.__version__,
        "litellm": of_package(litellm) if litellm else "missing",
        "portkey": json.loads(Path(portkey).parents[1].joinpath("package.json").read_text())["version"]
        if portkey
        else "missing",
    }


def version(argv: list[str]) -> str:
    """The words of the answer that hold a version number; wrk and nginx give theirs on stderr."""
    ran = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=10)
    told = (ran.stdout + ran.stderr).replace("/", " ").split()
    return next((word for word in told if word[:1].isdigit() and "." in word), "unknown")


def of_package(script: str) -> str:
    """LiteLLM's version, out of its environment's metadata: asking the program takes ten seconds."""
    found = sorted(Path(script).resolve().parents[1].glob("lib/python*/site-packages/litellm-[0-9]*.dist-info"))
    return found[-1].name.removeprefix("litellm-").removesuffix(".dist-info") if found else "unknown"
