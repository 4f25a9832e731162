"""What the figures were taken on, and with which versions."""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import grpc


def describe(envoy: str | None, nginx: str) -> dict[str, str]:
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
    }


def version(argv: list[str]) -> str:
    """The words of the answer that hold a version number; wrk and nginx give theirs on stderr."""
    ran = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=10)
    told = (ran.stdout + ran.stderr).replace("/", " ").split()
    return next((word for word in told if word[:1].isdigit() and "." in word), "unknown")
