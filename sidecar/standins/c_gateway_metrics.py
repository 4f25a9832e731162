"""What c-gateway counts, and the two pages that tell it: Prometheus text, and JSON with a brace too many."""

from __future__ import annotations

from dataclasses import dataclass, field

from sidecar.standins.c_gateway_limits import Group

BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
COUNTERS = (
    ("http_requests_total", "Total number of HTTP requests processed"),
    ("http_requests_by_status", "Total number of HTTP requests by status code"),
    ("rate_limit_hits_total", "Total number of rate limit hits"),
    ("rate_limit_allowed_total", "Total number of requests allowed by rate limiter"),
    ("idempotency_hits_total", "Total number of idempotency cache hits"),
    ("idempotency_misses_total", "Total number of idempotency cache misses"),
    ("nats_messages_sent_total", "Total number of NATS messages sent"),
    ("nats_messages_received_total", "Total number of NATS messages received"),
    ("nats_publish_failures_total", "Total number of NATS publish failures"),
    ("json_parse_success_total", "Total number of successful JSON parse operations"),
    ("json_parse_failure_total", "Total number of failed JSON parse operations"),
    ("abuse_events_total", "Total number of abuse events detected (legacy)"),
    ("abuse_empty_payload_total", "Total number of empty payload abuse events detected"),
    ("abuse_targeted_tenant_total", "Total number of targeted tenant abuse events detected"),
    ("abuse_rate_limit_evasion_total", "Total number of rate limit evasion abuse events detected"),
    ("abuse_heavy_payload_total", "Total number of heavy payload abuse events detected"),
    ("abuse_multi_tenant_flood_total", "Total number of multi-tenant flood abuse events detected"),
)
GAUGES = (
    ("nats_connection_status", "NATS connection status (1=connected, 0=disconnected)"),
    ("abuse_blocked_tenants", "Number of currently blocked tenants"),
)
HISTOGRAMS = (
    ("http_request_duration_seconds", "HTTP request duration in seconds"),
    ("json_parse_duration_seconds", "JSON parse operation duration in seconds"),
)


@dataclass(slots=True)
class Counters:
    """Since the process began. Most of what the pages name is never counted and stays 0."""

    requests: int = 0
    """Reads that brought something."""
    errors: int = 0
    """The gateway's own refusals; the Router's are not among them."""
    checks: int = 0
    """Questions to the rate limits."""
    allowed: int = 0
    decides: int = 0
    """Decides as far as the body's own checks: each of them counts as abuse."""
    exceeded: dict[Group, int] = field(default_factory=lambda: dict.fromkeys(Group, 0))
    durations: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0

    def served(self, seconds: float) -> None:
        """One of the requests that the histogram knows; refusals that come early are not in it."""
        place = next((at for at, most in enumerate(BUCKETS) if seconds <= most), len(BUCKETS))
        self.durations[place] += 1
        self.seconds += seconds

    def prometheus(self) -> bytes:
        """`/metrics`. Status is not told apart, and the sums are microseconds in spite of the name."""
        served = sum(self.durations)
        known = {
            "http_requests_total": served,
            "http_requests_by_status": served,
            "rate_limit_hits_total": 2 * sum(self.exceeded.values()),  # the real one counts each twice
            "rate_limit_allowed_total": self.allowed,
            "abuse_events_total": self.decides,
            "abuse_empty_payload_total": self.decides,
        }
        lines: list[str] = []
        for kind, table in (("counter", COUNTERS), ("gauge", GAUGES)):
            for name, told in table:
                lines += head(name, told, kind)
                lines.append(f"gateway_{name} {known.get(name, 0)}")
        for (name, told), counts, seconds in zip(
            HISTOGRAMS, (self.durations, [0] * (len(BUCKETS) + 1)), (self.seconds, 0.0), strict=True
        ):
            lines += head(name, told, "histogram")
            marks = [*(f"{most:.3f}" for most in BUCKETS), "+Inf"]
            for place, mark in enumerate(marks):
                lines.append(f'gateway_{name}_bucket{{le="{mark}"}} {sum(counts[: place + 1])}')
            lines.append(f"gateway_{name}_sum {int(seconds * 1e6)}")
            lines.append(f"gateway_{name}_count {sum(counts)}")
        return ("\n".join(lines) + "\n").encode()

    def json(self, nats: str, up: float, now: int) -> bytes:
        """`/_metrics`, which no JSON parser takes. `up` is seconds since the start."""
        exceeded = ",".join(f'"{group}":{count}' for group, count in self.exceeded.items())
        latency = -1 if self.requests < 2 else 0  # CPU time in ms: waiting for the Router is none
        rate = self.errors / self.requests if self.requests else 0.0
        return (
            f'{{"rps":{self.requests / max(up, 1.0):.3f},"latency":{{"p50":{latency},"p95":{latency}}},'
            f'"error_rate":{rate:.5f},"rate_limit":{{"total_hits":{self.checks},'
            f'"total_exceeded":{sum(self.exceeded.values())},"exceeded_by_endpoint":{{{exceeded}}}}}}},'
            f'"nats":"{nats}","ts":{now}}}'
        ).encode()


def head(name: str, told: str, kind: str) -> list[str]:
    """The two lines before a metric's own."""
    return [f"# HELP gateway_{name} {told}", f"# TYPE gateway_{name} {kind}"]
