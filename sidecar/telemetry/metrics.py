"""Every metric of the sidecar: names, labels, and who moves them.

The series of a route and of a target are bound when these are built and kept in
small dicts by method and status, so that a call only follows pointers. One
`Metrics` belongs to one process and lives over reloads: a route that keeps its
name keeps its counts; a dropped one takes its series along (`retire`).

Labels come from closed sets: a method that is none of HTTP's own is `_OTHER`, a
call that met no route has the endpoint `_none`, and a call whose caller left
before a status was sent has status 499 (nginx's number for it). A gRPC method is one
that is known from an interface, the policy file or reflection, else `other`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder

from sidecar.telemetry.series import Family, Histogram, Number, SeriesLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from prometheus_client.core import Metric

    Reading = Iterable[tuple[tuple[str, ...], float]]

METHODS = {
    name.encode(): name
    for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY")
}
OTHER_METHOD = "_OTHER"
NO_ROUTE = "_none"
CALLER_LEFT = 499

STATES = {"closed": 0.0, "half_open": 1.0, "open": 2.0}
"""What `circuit_breaker_state` says for each state."""

WATCHED: dict[str, tuple[str, tuple[str, ...]]] = {
    "circuit_breaker_state": ("0 closed, 1 half-open, 2 open.", ("service",)),
    "sidecar_connections": ("Open connections of callers.", ("listener",)),
    "sidecar_store_up": ("1 while the store of shared limits counts, 0 while it does not.", ("store",)),
    "sidecar_upstream_connections": ("Open connections to an upstream.", ("upstream", "state")),
    "sidecar_target_ready": ("1 while calls of the route may be sent to it.", ("route", "upstream")),
}
"""Gauges that are read from their owner when somebody scrapes."""


def category(status: int) -> str:
    """The category of an answer that is not a success, as in `X-Sidecar-Error-Category`."""
    if status == 429:
        return "rate_limit"
    if 500 <= status < 600 or status == 408:
        return "server"
    if status in {400, 404, 409, 413, 422}:
        return "invalid_request"
    if status in {401, 403}:
        return "auth"
    return "unknown"


class MethodSeries:
    """What one method of one route moves; `statuses` are gRPC codes where it is gRPC's."""

    __slots__ = ("duration", "name", "statuses")

    def __init__(self, name: str, duration: Histogram) -> None:
        self.name = name
        self.duration = duration
        self.statuses: dict[int | str, Number] = {}


class RouteSeries:
    """The series of one route."""

    __slots__ = ("_grpc", "_live", "_methods", "_metrics", "inflight", "name", "overhead", "refused")

    def __init__(self, metrics: Metrics, name: str) -> None:
        self._metrics = metrics
        self._methods: dict[bytes, MethodSeries] = {}
        self._grpc: dict[str, MethodSeries] = {}
        self._live = True
        self.name = name
        self.inflight = metrics.inflight.child(name)
        self.overhead = metrics.overhead.child(name)
        self.refused = Number()
        """Calls that were refused by us before any attempt: no metric, `GET /live` tells it."""

    def finished(self, method: bytes, status: int, seconds: float, overhead: float) -> None:
        """A call ended: `overhead` is its time (seconds) less waits and upstreams."""
        self.inflight.value -= 1
        series = self._methods.get(method) or self._bind(method)
        series.duration.observe(seconds)
        self.overhead.observe(overhead)
        (series.statuses.get(status) or self._bind_status(series, status)).value += 1
        if status >= 400 or not status:
            self.count(self._metrics.errors, series.name, self.name, category(status))

    def finished_grpc(self, method: str, code: str, seconds: float, overhead: float) -> None:
        """A gRPC call ended with that code; `method` is from a closed set."""
        self.inflight.value -= 1
        series = self._grpc.get(method) or self._bind_grpc(method)
        series.duration.observe(seconds)
        self.overhead.observe(overhead)
        (series.statuses.get(code) or self._bind_code(series, code)).value += 1

    def retire(self) -> None:
        """The route is gone: calls that still run leave no trace."""
        self._live = False

    def count(self, family: Family[Number], *values: str) -> None:
        """One more of something that is rare enough to look its series up."""
        self._child(family, *values).value += 1

    def _child(self, family: Family[Number], *values: str) -> Number:
        return family.child(*values) if self._live else Number()

    def _bind(self, method: bytes) -> MethodSeries:
        name = METHODS.get(method)
        if name is None:  # not kept under its own bytes: they are the caller's, and endless
            name, method = OTHER_METHOD, b""
            if (series := self._methods.get(method)) is not None:
                return series
        duration = self._metrics.durations.child(name, self.name) if self._live else Histogram()
        self._methods[method] = series = MethodSeries(name, duration)
        return series

    def _bind_grpc(self, method: str) -> MethodSeries:
        duration = self._metrics.grpc_durations.child(self.name, method) if self._live else Histogram()
        self._grpc[method] = series = MethodSeries(method, duration)
        return series

    def _bind_code(self, series: MethodSeries, code: str) -> Number:
        series.statuses[code] = number = self._child(self._metrics.grpc_requests, self.name, series.name, code)
        return number

    def _bind_status(self, series: MethodSeries, status: int) -> Number:
        written = str(status or CALLER_LEFT)
        series.statuses[status] = number = self._child(self._metrics.requests, series.name, self.name, written)
        return number


class TargetSeries:
    """The series of one upstream as one route uses it."""

    __slots__ = ("_attempts", "_live", "_metrics", "_tokens", "duration", "route", "ttfb", "upstream")

    def __init__(self, metrics: Metrics, route: str, upstream: str) -> None:
        self._metrics = metrics
        self._attempts: dict[str, Number] = {}
        self._tokens: dict[tuple[str, str], Number] = {}
        self._live = True
        self.route = route
        self.upstream = upstream
        self.duration = metrics.attempt_durations.child(upstream)
        self.ttfb = metrics.ttfb.child(route, upstream)

    def attempted(self, outcome: str, seconds: float, ttfb: float) -> None:
        """An attempt ended; `ttfb` 0 when no byte of a reply came."""
        number = self._attempts.get(outcome)
        if number is None:
            number = self._attempts[outcome] = self._child(self._metrics.attempts, self.route, self.upstream, outcome)
        number.value += 1
        self.duration.observe(seconds)
        if ttfb > 0.0:
            self.ttfb.observe(ttfb)

    def retried(self, reason: str) -> None:
        self._child(self._metrics.retries, self.route, self.upstream, reason).value += 1

    def budget_exhausted(self) -> None:
        self._child(self._metrics.budget, self.upstream).value += 1

    def spent(self, model: str, kind: str, tokens: int) -> None:
        """So many tokens of a kind: input, output, cached or wasted."""
        if not tokens:
            return
        number = self._tokens.get((model, kind))
        if number is None:
            number = self._tokens[model, kind] = self._child(self._metrics.tokens, self.upstream, model, kind)
        number.value += tokens

    def streamed(self, events: Mapping[str, int]) -> None:
        """A stream had so many events of each kind."""
        for kind, count in events.items():
            self._child(self._metrics.stream_events, self.upstream, kind).value += count

    def retire(self) -> None:
        self._live = False

    def _child(self, family: Family[Number], *values: str) -> Number:
        return family.child(*values) if self._live else Number()


class Metrics:
    """One process's metrics. `dropped` tells how many log lines were lost so far."""

    def __init__(self, *, version: str, max_series: int = 10_000, dropped: Callable[[], int] = lambda: 0) -> None:
        limit = self._limit = SeriesLimit(max_series)

        def counter(name: str, text: str, *labels: str, upstreams: Collection[str] | None = None) -> Family[Number]:
            if upstreams is None:
                return Family(Number, limit, name, text, labels)
            return Family(Number, limit, name, text, labels, upstreams=upstreams)

        def duration(name: str, text: str, *labels: str) -> Family[Histogram]:
            return Family(Histogram, limit, name, text, labels, kind="histogram")

        self.requests = counter("http_requests_total", "Calls ended.", "method", "endpoint", "status")
        self.errors = counter("http_request_errors_total", "Calls not a success.", "method", "endpoint", "error")
        self.grpc_requests = counter("grpc_requests_total", "gRPC calls ended.", "route", "grpc_method", "code")
        self.attempts = counter("sidecar_attempts_total", "Attempts ended.", "route", "upstream", "outcome")
        self.retries = counter(
            "sidecar_retries_total", "Further attempts on the same target.", "route", "upstream", "reason"
        )
        self.budget = counter(
            "sidecar_retry_budget_exhausted_total", "Retries that the budget did not pay.", "upstream"
        )
        self.replay_skipped = counter(
            "sidecar_replay_skipped_total", "Calls that could not be sent again.", "route", "reason"
        )
        self.fallbacks = counter(
            "sidecar_fallbacks_total", "Calls that went on to the next target.", "route", "from", "to", "reason"
        )
        self.transitions = counter(
            "circuit_breaker_transitions_total", "Moves of a breaker.", "service", "to", upstreams=("service",)
        )
        self.limited = counter("rate_limit_exceeded_total", "Calls refused by a rate limit.", "endpoint", "identifier")
        self.tokens = counter("sidecar_tokens_total", "Tokens of LLM answers.", "upstream", "model", "kind")
        self.stream_events = counter("sidecar_stream_events_total", "Events of LLM streams.", "upstream", "kind")
        self.reloads = counter("sidecar_config_reloads_total", "Reloads of the policy file.", "result")
        self.store_decisions = counter(
            "sidecar_store_decisions_total",
            "Decisions and corrections of shared limits, by where they were made.",
            "store",
            "result",
        )
        self.spans = counter("sidecar_spans_total", "Spans of traced calls, by what became of them.", "result")
        self.store_news = counter(
            "sidecar_store_news_total", "News of breakers, told to other sidecars or heard from them.", "store", "kind"
        )
        self.inflight = Family(Number, limit, "sidecar_inflight", "Calls under way.", ("route",), kind="gauge")
        self.durations = duration("http_request_duration_seconds", "Time of a call.", "method", "endpoint")
        self.grpc_durations = duration("grpc_request_duration_seconds", "Time of a gRPC call.", "route", "grpc_method")
        self.attempt_durations = duration("sidecar_attempt_duration_seconds", "Time of an attempt.", "upstream")
        self.ttfb = duration(
            "sidecar_time_to_first_byte_seconds", "Time of an attempt to its first byte.", "route", "upstream"
        )
        self.overhead = duration(
            "sidecar_overhead_seconds", "A call's time less its waits and its upstreams' time.", "endpoint"
        )
        self.store_seconds = duration("sidecar_store_seconds", "Time of a decision in a store.", "store")
        self.generation = 0
        self.reload_failed = False
        self._families: tuple[Family[Number] | Family[Histogram], ...] = (
            self.requests, self.errors, self.grpc_requests, self.attempts, self.retries, self.budget,
            self.replay_skipped, self.fallbacks, self.transitions, self.limited, self.tokens, self.stream_events,
            self.reloads, self.inflight, self.durations, self.grpc_durations, self.attempt_durations, self.ttfb,
            self.overhead, self.store_news, self.store_decisions, self.store_seconds, self.spans,
        )  # fmt: skip
        self._dropped = dropped
        self._version = version
        self._watched: dict[str, Callable[[], Reading]] = {}
        self._routes: dict[str, RouteSeries] = {}
        self._targets: dict[tuple[str, str], TargetSeries] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def route(self, name: str) -> RouteSeries:
        """The series of a route, the same over reloads."""
        if (series := self._routes.get(name)) is None:
            series = self._routes[name] = RouteSeries(self, name)
        return series

    def target(self, route: str, upstream: str) -> TargetSeries:
        """The series of an upstream as a route uses it, the same over reloads."""
        if (series := self._targets.get((route, upstream))) is None:
            series = self._targets[route, upstream] = TargetSeries(self, route, upstream)
        return series

    def refused(self) -> dict[tuple[str, ...], Number]:
        """By route, how many calls were refused by us before any attempt; also of calls that met no route."""
        return {(name,): route.refused for name, route in self._routes.items()}

    def watch(self, name: str, read: Callable[[], Reading]) -> None:
        """Ask `read` for (label values, value) of a gauge in `WATCHED` at each scrape."""
        if name not in WATCHED:
            raise ValueError(f"{name} is not a watched gauge")
        self._watched[name] = read

    def reloaded(self, result: str, generation: int) -> None:
        """A reload ended: `result` is `success` or `failure`; `generation` is the one that is live now."""
        self.reloads.child(result).value += 1
        self.reload_failed = result != "success"
        self.generation = generation

    def retire(self, routes: Collection[str], upstreams: Collection[str]) -> None:
        """Forget what a reload dropped."""
        for name in routes:
            if (route := self._routes.pop(name, None)) is not None:
                route.retire()
        for key in [key for key in self._targets if key[0] in routes or key[1] in upstreams]:
            self._targets.pop(key).retire()
        for family in self._families:
            family.drop(routes, upstreams)

    def limit_series(self, most: int) -> None:
        """So many sets of labels from now on; those that are there stay."""
        self._limit.limit = most

    def collect(self) -> Iterator[Metric]:
        """What is read only at a scrape (prometheus-client's `Collector` protocol)."""
        for name, read in self._watched.items():
            text, labels = WATCHED[name]
            metric = GaugeMetricFamily(name, text, labels=labels)
            for values, value in read():
                metric.add_metric(values, value)
            yield metric
        yield GaugeMetricFamily(
            "sidecar_config_generation", "Which configuration is live, counted from 1.", self.generation
        )
        yield GaugeMetricFamily(
            "sidecar_config_reload_failed", "1 when the last reload was refused.", float(self.reload_failed)
        )
        yield CounterMetricFamily("sidecar_log_dropped", "Log lines that were lost.", self._dropped())
        build = GaugeMetricFamily("sidecar_build_info", "Always 1.", labels=("version",))
        build.add_metric((self._version,), 1)
        yield build

    def exposition(self, accept: str) -> tuple[str, bytes]:
        """Content type and text: Prometheus' own, or OpenMetrics where `accept` asks for it."""
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # a version that is none; the plain text is always welcome
            encode, content_type = choose_encoder("")
        openmetrics = content_type.startswith("application/openmetrics-text")
        ours = "".join(line for family in self._families for line in family.lines(openmetrics=openmetrics))
        return content_type, ours.encode() + encode(self._registry)  # the client's text ends with OpenMetrics' "# EOF"
