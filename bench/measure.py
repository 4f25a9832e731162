"""One measurement: a proxy is started afresh, warmed up, loaded, and its CPU time read around the load."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from bench.load import Load
from bench.process import Memory, Process
from bench.proxies import Place


class Proxy(Protocol):
    @property
    def name(self) -> str: ...

    def up(self, place: Place) -> AbstractContextManager[tuple[Process, int]]: ...


@dataclass(frozen=True, slots=True)
class Times:
    seconds: float
    warm_up: float


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run of one proxy cost."""

    proxy: str
    load: Load
    cpu_seconds: float
    memory: Memory

    @property
    def micros(self) -> float:
        """CPU time of the proxy process per request, in microseconds."""
        return self.cpu_seconds / self.load.requests * 1e6 if self.load.requests else float("nan")

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.load.requests / self.load.seconds

    @property
    def busy(self) -> float:
        """Share of its core that the proxy used; well under 1 it was not the bottleneck."""
        return self.cpu_seconds / self.load.seconds


def measure(proxy: Proxy, place: Place, times: Times, connections: int) -> Sample:
    """Starts `proxy`, loads it over `connections` connections, ends it. Raises NotReadyError."""
    with proxy.up(place) as (process, port):
        place.load(port, times.warm_up, connections)
        before = process.cpu_seconds()
        load = place.load(port, times.seconds, connections)
        spent = process.cpu_seconds() - before
        return Sample(proxy.name, load, spent, process.memory())


def direct(place: Place, times: Times) -> Load:
    """The upstream without a proxy, over one connection: what latencies are compared with."""
    return place.load(place.upstream, times.seconds, connections=1)
