"""The printed tables of the LLM rows: each peer's cost beside ours in the same round."""

from bench import llm_words as words
from bench.llm_run import CASES, TOGETHER, Case, Found
from bench.load import Load
from bench.report import NONE, errors, middle, table

OURS = "sidecar"


def llm_tables(found: Found) -> str:
    """All of them. A proxy that did not run has a row that says why."""
    return "\n\n".join([*(case_table(case, found) for case in CASES), crowd_table(found)])


def case_table(case: Case, found: Found) -> str:
    by_proxy = found.by_case.get(case.name, {})
    ours = by_proxy.get(OURS)
    unit = "stream" if case.stream else "request"
    head = [
        case.name,
        f"µs CPU per {unit}",
        "µs per event",
        f"÷ {OURS}",
        "per round",
        f"{unit}s/s",
        "of its core",
        "RSS",
    ]
    rows = []
    for name, rounds in by_proxy.items():
        cost = middle(rounds, lambda sample: sample.micros)
        rows.append(
            [
                name + errors(sample.load for sample in rounds),
                f"{cost:,.0f}",
                f"{cost / words.EVENTS:,.1f}" if case.stream else NONE,
                f"{cost / middle(ours, lambda sample: sample.micros):.1f}" if ours else NONE,
                " ".join(f"{theirs.micros / own.micros:.1f}" for theirs, own in zip(rounds, ours, strict=False))
                if ours
                else NONE,
                f"{middle(rounds, lambda sample: sample.rate):,.0f}",
                f"{middle(rounds, lambda sample: sample.busy):.0%}",
                f"{middle(rounds, lambda sample: sample.memory.now) / 1e6:.0f} MB",
            ]
        )
    rows += [direct_row(found.direct[case.name], len(head))] if case.name in found.direct else []
    rows += missing_rows(found, len(head))
    return table(head if case.stream else without(head, 2), rows if case.stream else [without(row, 2) for row in rows])


def direct_row(rounds: list[Load], width: int) -> list[str]:
    """What provider and callers can do without a proxy; they have one process for both."""
    rate = sorted(load.requests / load.seconds for load in rounds)[len(rounds) // 2]
    return ["no proxy" + errors(rounds), *([NONE] * (width - 4)), f"{rate:,.0f}", NONE, NONE]


def crowd_table(found: Found) -> str:
    head = [f"{TOGETHER:,} streams at once", "RSS at rest", "RSS", "peak RSS", "µs per event"]
    rows = []
    for name, rounds in found.crowds.items():
        samples = [crowd.sample for crowd in rounds]
        rows.append(
            [
                name + errors(sample.load for sample in samples),
                f"{sorted(crowd.rest.now for crowd in rounds)[len(rounds) // 2] / 1e6:.0f} MB",
                f"{middle(samples, lambda sample: sample.memory.now) / 1e6:.0f} MB",
                f"{middle(samples, lambda sample: sample.memory.peak) / 1e6:.0f} MB",
                f"{middle(samples, lambda sample: sample.micros) / words.EVENTS:,.1f}"
                if all(sample.load.requests for sample in samples)
                else NONE,
            ]
        )
    return table(head, rows + missing_rows(found, len(head)))


def missing_rows(found: Found, width: int) -> list[list[str]]:
    return [[f"{name} ({why})", *([NONE] * (width - 1))] for name, why in found.absent.items()]


def without(row: list[str], column: int) -> list[str]:
    return row[:column] + row[column + 1 :]
