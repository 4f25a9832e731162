"""The LLM rows: whole answers and streams of 100 events, passed on and translated, and 1,000 streams at once."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bench import llm_words as words
from bench.llm_load import Loader, Order, Told, loader
from bench.llm_proxies import LiteLlm, LlmNginx, LlmProxy, LlmSidecar, Portkey, find_litellm, find_portkey
from bench.load import Load
from bench.measure import Sample, Times
from bench.process import Memory, NotReadyError, Process
from bench.proxies import Place, find_nginx

PEERS = {
    "nginx": "not installed",
    "litellm": "not installed: .venv-bench/bin/pip install 'litellm[proxy]'",
    "portkey": "not installed: needs Node and npm, then make .venv-bench/portkey/node_modules",
}
"""And what a row says where one is missing."""
TOGETHER = 1000
"""Streams that are open at the same time."""


@dataclass(frozen=True, slots=True)
class Case:
    """One table: which provider answers, and how."""

    name: str
    model: str
    stream: bool

    @property
    def translated(self) -> bool:
        return self.model == words.TRANSLATED


CASES = (
    Case("whole, passed on", words.PASSED, stream=False),
    Case("whole, translated", words.TRANSLATED, stream=False),
    Case("stream, passed on", words.PASSED, stream=True),
    Case("stream, translated", words.TRANSLATED, stream=True),
)


@dataclass(frozen=True, slots=True)
class Crowd:
    """A proxy before, and with, `TOGETHER` streams open."""

    rest: Memory
    sample: Sample


@dataclass
class Found:
    """All samples by table and proxy. `absent`: why a proxy has none, or no more."""

    by_case: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    crowds: dict[str, list[Crowd]] = field(default_factory=dict)
    direct: dict[str, list[Load]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


def measure_all(names: Sequence[str], command: str, place: Place, times: Times, rounds: int, connections: int) -> Found:
    """Every proxy once a round, started afresh, all tables on one start: LiteLLM takes long to start."""
    found = Found()
    with loader(place) as load:
        place = replace(place, upstream=load.upstream)
        proxies = present(names, command, load, found)
        for number in range(rounds):
            for case in CASES:
                order = Order(load.upstream, case.model, case.stream, connections, times.seconds / 4)
                found.direct.setdefault(case.name, []).append(load.load(order).load)
            for proxy in proxies:
                if proxy.name not in found.absent:
                    try:
                        measure(proxy, load, place, times, connections, found, number)
                    except NotReadyError as error:
                        found.absent[proxy.name] = first_line(error)
                        note(f"{proxy.name}: {error}")
    return found


def present(names: Sequence[str], command: str, load: Loader, found: Found) -> list[LlmProxy]:
    nginx, litellm, portkey = find_nginx(), find_litellm(), find_portkey()
    there: dict[str, LlmProxy | None] = {
        "sidecar": LlmSidecar(command),
        "nginx": LlmNginx(nginx) if nginx else None,
        "litellm": LiteLlm(litellm) if litellm else None,
        "portkey": Portkey(portkey, load.upstream) if portkey else None,
    }
    found.absent |= {name: PEERS[name] for name in names if there[name] is None}
    return [proxy for name in names if (proxy := there[name]) is not None]


def measure(
    proxy: LlmProxy, load: Loader, place: Place, times: Times, connections: int, found: Found, number: int
) -> None:
    with proxy.up(place) as (process, port):
        rest = process.memory()
        for case in CASES:
            if case.translated and not proxy.translates:
                continue
            order = Order(port, case.model, case.stream, connections, times.warm_up, proxy.headers(case.model))
            load.load(order)
            sample = sampled(proxy, process, load, replace(order, seconds=times.seconds))
            found.by_case.setdefault(case.name, {}).setdefault(proxy.name, []).append(sample)
            note(f"round {number + 1}: {proxy.name}, {case.name}: {sample.micros:.1f} µs, {sample.rate:,.0f} a second")
        if number:  # memory does not vary as time does, and LiteLLM needs minutes for so many
            return
        crowd = Order(port, words.PASSED, True, TOGETHER, 0.0, proxy.headers(words.PASSED), together=True)
        sample = sampled(proxy, process, load, crowd)
        found.crowds.setdefault(proxy.name, []).append(Crowd(rest, sample))
        note(f"round {number + 1}: {proxy.name}, {TOGETHER} streams: peak {sample.memory.peak / 1e6:.0f} MB")


def sampled(proxy: LlmProxy, process: Process, load: Loader, order: Order) -> Sample:
    before = process.cpu_seconds()
    told = load.load(order)
    spent = process.cpu_seconds() - before
    complain(proxy.name, told)
    return Sample(proxy.name, told.load, spent, process.memory())


def complain(name: str, told: Told) -> None:
    if told.load.errors:
        note(f"{name}: {told.load.errors} wrong answers, such as: {told.wrong}")
    if told.pushed:
        note(f"{name}: {told.pushed} events were written without news of the one before")


def first_line(error: NotReadyError) -> str:
    return f"did not run: {str(error).splitlines()[0][:160]}"


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
