"""What a limit costs that is counted in Redis, beside a local one and none: latency alone, and CPU time under load."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.load import Load
from bench.measure import Sample, Times, measure
from bench.process import NotReadyError
from bench.proxies import Place
from bench.redis_proxies import KINDS, Limited, Redis, redis_server
from bench.report import NONE, errors, table

FEW = 0.99
"""Fewer decisions than this share of the calls in Redis: the sidecar counted alone, and the row says nothing."""


@dataclass
class Row:
    """One kind of limit, a sample each round."""

    alone: list[Sample] = field(default_factory=list)
    """Over one connection."""
    loaded: list[Sample] = field(default_factory=list)
    redis: list[float] = field(default_factory=list)
    """Redis' own CPU time per call, in microseconds, under load."""


def measure_limits(
    binary: str, place: Place, times: Times, rounds: int, connections: int, note: Callable[[str], None]
) -> dict[str, Row]:
    """Every kind once a round. Raises `NotReadyError`, also where Redis was not asked."""
    found = {name: Row() for name in KINDS.values()}
    with redis_server(binary, place) as redis:
        for number in range(rounds):
            for kind in KINDS:
                limited = Limited(kind, redis.port)
                row = found[limited.name]
                row.alone.append(_counted(limited, redis, place, times, 1)[0])
                sample, micros = _counted(limited, redis, place, times, connections)
                row.loaded.append(sample)
                row.redis.append(micros)
                alone = row.alone[-1].load
                note(
                    f"round {number + 1}: {limited.name} p50 {alone.p50:.0f} µs, p99 {alone.p99:.0f} µs, "
                    f"{sample.micros:.1f} µs CPU, {sample.rate:,.0f} requests/s"
                )
    return found


def _counted(limited: Limited, redis: Redis, place: Place, times: Times, connections: int) -> tuple[Sample, float]:
    before, spent = redis.decisions(), redis.process.cpu_seconds()
    sample = measure(limited, place, times, connections)
    decisions = redis.decisions() - before
    if limited.kind == "shared" and decisions < FEW * sample.load.requests:
        raise NotReadyError(f"Redis decided {decisions} of {sample.load.requests} calls")
    return sample, (redis.process.cpu_seconds() - spent) / max(decisions, 1) * 1e6


def redis_table(rows: dict[str, Row]) -> str:
    """What is added is told against the row without a limit, in the same round."""
    none, *_ = rows.values()
    head = ["", "p50 µs", "p99 µs", "added p50 µs", "added p99 µs", "µs CPU per request", "requests/s", "Redis' µs CPU"]
    lines = []
    for name, row in rows.items():
        alone, base = [sample.load for sample in row.alone], [sample.load for sample in none.alone]
        lines.append(
            [
                name + errors([*alone, *(sample.load for sample in row.loaded)]),
                f"{median(load.p50 for load in alone):.0f}",
                f"{median(load.p99 for load in alone):.0f}",
                *([NONE, NONE] if row is none else _added(alone, base)),
                f"{median(sample.micros for sample in row.loaded):.1f}",
                f"{median(sample.rate for sample in row.loaded):,.0f}",
                f"{median(row.redis):.1f}" if "shared" in name else NONE,
            ]
        )
    return table(head, lines)


def _added(loads: Sequence[Load], base: Sequence[Load]) -> list[str]:
    pairs = list(zip(loads, base, strict=True))
    return [
        f"{median(ours.p50 - theirs.p50 for ours, theirs in pairs):+.0f}",
        f"{median(ours.p99 - theirs.p99 for ours, theirs in pairs):+.0f}",
    ]
