"""The printed tables: Markdown, so that a run can be pasted into docs/bench.md as it is."""

from collections.abc import Callable, Iterable, Sequence
from statistics import median

from bench.load import Load
from bench.measure import Sample

Rounds = Sequence[Sample]
PEER = "envoy"
NONE = "-"


def cpu_table(by_proxy: dict[str, list[Sample]], what: str = "proxy") -> str:
    """CPU time per request and its ratio to Envoy's; the ratio of each round stands beside the one of the medians."""
    peer = by_proxy.get(PEER)
    rows = []
    for name, rounds in by_proxy.items():
        cost = middle(rounds, lambda sample: sample.micros)
        rows.append(
            [
                name + errors(sample.load for sample in rounds),
                f"{cost:.1f}",
                f"{cost / middle(peer, lambda sample: sample.micros):.2f}" if peer else NONE,
                " ".join(f"{ours.micros / theirs.micros:.2f}" for ours, theirs in zip(rounds, peer, strict=False))
                if peer
                else NONE,
                f"{middle(rounds, lambda sample: sample.rate):,.0f}",
                f"{middle(rounds, lambda sample: sample.busy):.0%}",
                f"{middle(rounds, lambda sample: sample.memory.now) / 1e6:.0f} MB",
                f"{middle(rounds, lambda sample: sample.memory.peak) / 1e6:.0f} MB",
            ]
        )
    head = [what, "µs CPU per request", "÷ envoy", "per round", "requests/s", "of its core", "RSS", "peak RSS"]
    return table(head, rows)


def routes_table(by_count: dict[int, list[Sample]]) -> str:
    """Our cost by the number of routes; the last column must not grow."""
    base = middle(next(iter(by_count.values())), lambda sample: sample.micros)
    rows = []
    for count, rounds in by_count.items():
        cost = middle(rounds, lambda sample: sample.micros)
        rows.append(
            [
                f"{count:,}{errors(sample.load for sample in rounds)}",
                f"{cost:.1f}",
                f"{middle(rounds, lambda sample: sample.memory.now) / 1e6:.0f} MB",
                f"{cost / base:.2f}",
            ]
        )
    return table(["routes", "µs CPU per request", "RSS", "÷ first row"], rows)


def latency_table(straight: list[Load], by_proxy: dict[str, list[Sample]], what: str = "proxy") -> str:
    """Latency over one connection, and what each proxy adds to the upstream's own in the same round."""
    loads = {name: [sample.load for sample in rounds] for name, rounds in by_proxy.items()}
    rows = [latency_row("no proxy", straight, straight)]
    rows += [latency_row(name, rounds, straight) for name, rounds in loads.items()]
    return table([what, "p50 µs", "p99 µs", "added p50 µs", "added p99 µs"], rows)


def latency_row(name: str, rounds: list[Load], straight: list[Load]) -> list[str]:
    pairs = list(zip(rounds, straight, strict=False))
    return [
        name + errors(rounds),
        f"{median(load.p50 for load in rounds):.0f}",
        f"{median(load.p99 for load in rounds):.0f}",
        NONE if rounds is straight else f"{median(load.p50 - base.p50 for load, base in pairs):+.0f}",
        NONE if rounds is straight else f"{median(load.p99 - base.p99 for load, base in pairs):+.0f}",
    ]


def errors(loads: Iterable[Load]) -> str:
    """The mark of a row that must not be trusted: a refusal or a lost connection is cheaper than an answer."""
    count = sum(load.errors for load in loads)
    return f" **({count:,} errors)**" if count else ""


def middle(rounds: Rounds, of: Callable[[Sample], float]) -> float:
    return median(of(sample) for sample in rounds)


def table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    rule = ["-" * width if column == 0 else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    return "\n".join(
        "| "
        + " | ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in [head, rule, *rows]
    )
