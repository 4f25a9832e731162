"""Runs a module or a script under a profiler: `sampler.py [--exact] OUT [-m MODULE | SCRIPT] ARGUMENTS`.

SIGUSR2 starts it; the second SIGUSR2 ends it and writes OUT. Samples of the main thread come by the CPU time of the
whole process (ITIMER_PROF, at most one a tick), so waiting costs none. The interpreter looks for signals when a
function begins, a loop turns or a call returns: the time of C code is booked on the Python line that called it, and
what the event loop does in C before a callback on the callback's `def` line.
With `--exact` it is cProfile: every call is counted, and small functions look dearer than they are.
"""

import cProfile
import json
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Protocol

INTERVAL = 0.001  # seconds; the kernel rounds it up to its tick
DEPTH = 60
Frame = tuple[str, str, int]
"""File, function, line."""


class Profiler(Protocol):
    def start(self) -> None: ...
    def stop(self, out: Path) -> None: ...


class Sampler:
    """Counts stacks, the innermost frame first."""

    def __init__(self) -> None:
        self.stacks: Counter[tuple[Frame, ...]] = Counter()

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self.sample)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)

    def sample(self, _signum: int, frame: FrameType | None) -> None:
        stack: list[Frame] = []
        while frame is not None and len(stack) < DEPTH:
            code = frame.f_code
            stack.append((code.co_filename, code.co_qualname, frame.f_lineno or code.co_firstlineno))
            frame = frame.f_back
        self.stacks[tuple(stack)] += 1

    def stop(self, out: Path) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        out.write_text(json.dumps(list(self.stacks.items())))


class Exact:
    """cProfile over the same stretch of time."""

    def __init__(self) -> None:
        self.profile = cProfile.Profile()

    def start(self) -> None:
        self.profile.enable()

    def stop(self, out: Path) -> None:
        self.profile.disable()
        self.profile.dump_stats(out)


class Toggle:
    """Begins at the first SIGUSR2, ends at the second; the file appears whole or not at all."""

    def __init__(self, profiler: Profiler, out: Path) -> None:
        self.profiler = profiler
        self.out = out
        self.on = False

    def __call__(self, _signum: int, _frame: FrameType | None) -> None:
        self.on = not self.on
        if self.on:
            self.profiler.start()
            return
        unfinished = self.out.with_suffix(".unfinished")
        self.profiler.stop(unfinished)
        unfinished.replace(self.out)


def main() -> None:
    words = sys.argv[1:]
    exact = words[0] == "--exact"
    out, *command = words[1:] if exact else words
    signal.signal(signal.SIGUSR2, Toggle(Exact() if exact else Sampler(), Path(out)))
    if command[0] == "-m":
        sys.path[0] = str(Path.cwd())  # as `python -m` does
        sys.argv = command[1:]
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(command[0]).parent)
        sys.argv = command
        runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    main()
