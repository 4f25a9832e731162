"""Where the sidecar's CPU time goes under load: `python bench/hotspots.py` prints the dearest functions and lines.

bench/sampler.py says how samples are taken and what they are booked on. The sidecar must be started by a Python
command (`{python} …`), which then runs inside the sampler.
"""

import argparse
import json
import os
import pstats
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.llm_load import Order, loader
from bench.llm_proxies import LlmSidecar
from bench.llm_run import CASES
from bench.load import Load
from bench.process import Cores, NotReadyError, Process
from bench.proxies import OURS, Place, Sidecar, find_nginx, memory_upstream
from bench.sampler import Frame

WRITE_SECONDS = 10.0  # for the profile to appear once it has been asked for
Drive = Callable[[float], Load]
"""Loads for so many seconds."""


class Options(argparse.Namespace):
    seconds: int
    top: int
    routes: int
    exact: bool
    llm: str
    command: str


def main() -> int:
    parser = argparse.ArgumentParser(prog="hotspots", description="Where the sidecar's CPU time goes under load.")
    parser.add_argument("--seconds", type=int, default=15, help="load while it is profiled (default 15)")
    parser.add_argument("--top", type=int, default=40, help="rows of each table (default 40)")
    parser.add_argument("--routes", type=int, default=1, help="routes in the policy file (default 1)")
    parser.add_argument("--exact", action="store_true", help="cProfile instead of samples")
    parser.add_argument("--llm", choices=[case.name for case in CASES], default="", help="an LLM row instead of HTTP's")
    parser.add_argument("--command", default=OURS, help="what stands for the sidecar, as in bench/run.py")
    options = parser.parse_args(namespace=Options())
    nginx = find_nginx()
    if nginx is None or not options.command.startswith("{python} "):
        print("needs nginx (Debian, Ubuntu: apt-get install nginx-light) and a command that begins with {python}")
        return 2
    try:
        profile_under_load(options, nginx)
    except NotReadyError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def profile_under_load(options: Options, nginx: str) -> None:
    cores = Cores.split()
    with tempfile.TemporaryDirectory(prefix="sidecar-bench-") as name:
        folder = Path(name)
        profile = folder / "profile"
        sampler = f"{{python}} {Path(__file__).with_name('sampler.py')} {'--exact ' * options.exact}{profile} "
        wrapped = options.command.replace("{python} ", sampler, 1)
        place = Place(folder, cores, 0)
        under = llm_calls(wrapped, options.llm, place) if options.llm else http_calls(wrapped, options, nginx, place)
        with under as (process, drive):
            load = loaded(process, drive, options.seconds)
            until = time.monotonic() + WRITE_SECONDS
            while not profile.exists() and time.monotonic() < until:
                time.sleep(0.05)  # another process writes it; nothing tells when
        print(f"{load.requests / load.seconds:,.0f} requests/s while profiled, {load.errors} errors\n")
        if options.exact:
            pstats.Stats(str(profile)).sort_stats("tottime").print_stats(options.top)
        else:
            print_samples(json.loads(profile.read_text()), options.top)


@contextmanager
def http_calls(command: str, options: Options, nginx: str, place: Place) -> Iterator[tuple[Process, Drive]]:
    with memory_upstream(nginx, place.folder, place.cores) as upstream:
        place = replace(place, upstream=upstream)
        with Sidecar(command, options.routes).up(place) as (process, port):
            yield process, lambda seconds: place.load(port, seconds, connections=32)


@contextmanager
def llm_calls(command: str, name: str, place: Place) -> Iterator[tuple[Process, Drive]]:
    case = next(case for case in CASES if case.name == name)
    with loader(place) as load, LlmSidecar(command).up(replace(place, upstream=load.upstream)) as (process, port):
        yield process, lambda seconds: load.load(Order(port, case.model, case.stream, 32, seconds)).load


def loaded(process: Process, drive: Drive, seconds: float) -> Load:
    """Warms up, then loads the process between the two signals to its profiler; prints the CPU time of each thread."""
    drive(2.0)
    before = dict(process.cpu_by_thread())
    os.kill(process.pid, signal.SIGUSR2)
    load = drive(seconds)
    os.kill(process.pid, signal.SIGUSR2)
    for thread, spent in process.cpu_by_thread():
        micros = (spent - before.get(thread, 0.0)) / max(load.requests, 1) * 1e6
        print(f"thread {thread}: {micros:.1f} µs per request")
    return load


def print_samples(stacks: list[tuple[list[Frame], int]], top: int) -> None:
    """Own: the samples taken in it. With callees: the samples it was anywhere on the stack of."""
    total = sum(count for _, count in stacks)
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for stack, count in stacks:
        names = [f"{short(file)} {function}" for file, function, _ in stack]
        own[names[0]] += count
        whole.update(dict.fromkeys(names, count))
        file, function, line = stack[0]
        lines[f"{short(file)}:{line} {function}"] += count
    print(f"{total} samples\n\n   own  with callees  function")
    for name, count in own.most_common(top):
        print(f"{count / total:6.1%} {whole[name] / total:12.1%}   {name}")
    print("\n   own  line")
    for name, count in lines.most_common(top):
        print(f"{count / total:6.1%}  {name}")


def short(file: str) -> str:
    """The path from the package on."""
    return file.rpartition("site-packages/")[2].removeprefix(f"{Path.cwd()}/")


if __name__ == "__main__":
    sys.exit(main())
