"""The command line of the bench."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.proxies import OURS

TABLES = ("cpu", "routes", "latency", "redis", "grpc", "llm")
PROXIES = ("sidecar", "envoy", "nginx", "grpcio", "litellm", "portkey")
"""Beside HTTP alone stands nginx, beside gRPC alone a plain proxy on grpcio, beside LLM calls LiteLLM and Portkey."""


class Arguments(argparse.Namespace):
    rounds: int
    seconds: float
    warm_up: float
    connections: int
    only: list[str]
    tables: list[str]
    command: str
    envoy: str
    json: Path | None


def parse(argv: Sequence[str] | None = None) -> Arguments:
    parser = argparse.ArgumentParser(prog="bench", description="CPU time per request of this proxy beside its peers.")
    parser.add_argument("--rounds", type=positive, default=3, help="rounds, proxies interleaved (default 3)")
    parser.add_argument("--seconds", type=float, default=8, help="load per measurement (default 8)")
    parser.add_argument("--warm-up", type=float, default=2, help="load before it that is not counted (default 2)")
    parser.add_argument(
        "--connections", type=positive, default=32, help="connections of wrk, gRPC calls at a time (default 32)"
    )
    parser.add_argument("--only", type=among(PROXIES), default=list(PROXIES), help=f"of {','.join(PROXIES)}")
    parser.add_argument("--tables", type=among(TABLES), default=list(TABLES), help=f"of {','.join(TABLES)}")
    parser.add_argument(
        "--command", default=OURS, help="what stands for the sidecar; {python} {config} {port} {upstream} are filled in"
    )
    parser.add_argument("--envoy", default="", help="the Envoy binary (default: PATH, else .venv-bench/bin/envoy)")
    parser.add_argument("--json", type=Path, help="writes every sample there")
    return parser.parse_args(argv, namespace=Arguments())


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def among(names: Sequence[str]) -> Callable[[str], list[str]]:
    """Reads a comma-separated choice out of `names`, in their order."""

    def choice(text: str) -> list[str]:
        asked = {word.strip() for word in text.split(",")}
        if unknown := asked.difference(names):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))} is none of {', '.join(names)}")
        return [name for name in names if name in asked]

    return choice
