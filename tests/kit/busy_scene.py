"""The scene of the documents' pictures: five minutes of a gateway whose first LLM provider began to fail in them.

Figures are drawn from a chance with a seed, in the shapes and sizes of `sidecar demo`.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from random import Random
from typing import Any

from tests.kit.scene import START, Scene, call, numbers, pulse, route, state

Json = dict[str, Any]

SECONDS = 300
FAILED = 165
"""The second in which `openai` began to answer 500."""

GPT, CLAUDE = "openai/gpt-4o", "anthropic/claude-sonnet-4"

STATE = state(
    generation=4,
    now=START + SECONDS,
    hash="9f2c41d07be8a6533c1e0f94ab27d85e61f0c3b29a7d4e58f61b0c2d3e4f5a6b",
    listeners={"http": "127.0.0.1:7070", "grpc": "127.0.0.1:7071", "admin": "127.0.0.1:7072"},
    routes=[
        route("chat", GPT, CLAUDE, match={"path": "/v1/*"}, limit="route chat"),
        route("shop", "shop", "static/away", limit="route shop"),
        route("search", "search-a", "search-b", weights=[80, 20]),
        route("decide", "c-gateway", "router", match={"path": "/api/v1/routes/decide", "methods": ["POST"]}),
        route("flow", "router", "c-gateway", match={"grpc": "beamline.flow.v1.*"}),
        route("billing", "billing", match={"path": "/billing/*", "host": "billing.internal"}),
    ],
    models=[{"name": "smart", "chain": [CLAUDE, GPT]}, {"name": "gpt-4o", "chain": [GPT, CLAUDE]}],
    upstreams=[
        {"name": "openai", "protocol": "openai", "urls": ["https://api.openai.com/v1"]},
        {"name": "anthropic", "protocol": "anthropic", "urls": ["https://api.anthropic.com/v1"]},
        {"name": "shop", "protocol": "http", "urls": ["http://10.1.4.20:8080", "http://10.1.4.21:8080"]},
        {"name": "search-a", "protocol": "http", "urls": ["http://10.1.6.2:9200"]},
        {"name": "search-b", "protocol": "http", "urls": ["http://10.1.6.3:9200"]},
        {"name": "c-gateway", "protocol": "c-gateway", "urls": ["http://127.0.0.1:8080"]},
        {"name": "router", "protocol": "router", "urls": ["grpc://127.0.0.1:50051"]},
        {"name": "billing", "protocol": "http", "urls": ["http://10.1.9.5:7000"]},
    ],
    reload={
        "at": START + SECONDS - 95,
        "result": "success",
        "difference": {
            "generation": 4,
            "made": ["upstream search-b", "breaker search-b"],
            "reset": ["limit route shop"],
            "kept": ["breaker openai/gpt-4o", "breaker anthropic/claude-sonnet-4", "breaker shop", "pool shop"],
            "dropped": [],
            "next_start": ["listen.grpc_tls"],
        },
    },
)

TIMELINE = {
    "request_id": "call-7", "correlation_id": "order-8812", "started": "2026-09-21T13:38:19.512Z",
    "protocol": "http", "method": "POST", "path": "/v1/chat/completions", "route": "chat", "upstream": CLAUDE,
    "attempts": 3, "status_code": 200, "outcome": "ok", "generation": 4, "seconds": 2.31, "ttfb": 0.98,
    "waited": 0.12, "upstream_seconds": 2.18, "bytes_in": 1840, "bytes_out": 6120,
    "steps": [
        {"kind": "attempt", "target": GPT, "outcome": "server_error", "at": 0.001, "seconds": 0.18, "status_code": 500},
        {"kind": "wait", "target": GPT, "outcome": "backoff", "at": 0.181, "seconds": 0.12, "why": "server_error"},
        {"kind": "attempt", "target": GPT, "outcome": "server_error", "at": 0.301, "seconds": 0.21, "status_code": 500},
        {"kind": "attempt", "target": CLAUDE, "outcome": "ok", "at": 0.512, "seconds": 1.79, "status_code": 200,
         "why": "server_error"},
    ],
}  # fmt: skip


def busy() -> Scene:
    """Five minutes, told at once."""
    chance = Random(7)
    scene = Scene(said=[("state", STATE)], timelines={"call-7": TIMELINE})
    for second in range(SECONDS):
        told = _second(second, chance)
        if second in {0, SECONDS - 1}:
            told |= _things()
        scene.said.append(("pulse", told))
    scene.said += _events()
    return scene


def _second(second: int, chance: Random) -> Json:
    failing = second >= FAILED
    wave = 1 + 0.25 * math.sin(second / 40)
    calls = {
        "chat": chance.gauss(14, 2) * wave,
        "shop": chance.gauss(38, 4) * wave,
        "search": chance.gauss(22, 3),
        "decide": chance.gauss(9, 2),
        "flow": chance.gauss(17, 3) * (2 - wave),
        "billing": chance.random() * 1.6,
    }
    routes = {name: _route(name, max(0, round(many)), chance, failing=failing) for name, many in calls.items()}
    # Until the breaker opened, calls met the failing provider.
    if failing and second < FAILED + 14:
        routes["chat"] |= {"errors": round(routes["chat"]["calls"] * chance.uniform(0.1, 0.3)), "p99": 3.9}
    total = {name: sum(one[name] for one in routes.values()) for name in COUNTED}
    total |= {"p50": 0.034, "p95": routes["chat"]["p50"] * 0.9, "p99": routes["chat"]["p95"]}
    total |= {"ttfb_p50": 0.019 * chance.uniform(0.9, 1.1), "ttfb_p95": routes["chat"]["ttfb_p95"] * 0.8}
    checks = {f"circuit_breaker {GPT}": "open", "target search-b": "rests for 21 s: throttled"} if failing else {}
    health = {"status": "degraded" if failing else "healthy", "checks": checks}
    at = START + second + 1
    return pulse(at, routes=routes, total=total, health=health, calls=_calls(second, at) if second > 292 else [])


COUNTED = ("calls", "errors", "refused", "retries", "fallbacks", "inflight")
TIMES = {"chat": 1.1, "shop": 0.021, "search": 0.043, "decide": 0.0061, "flow": 0.0032, "billing": 0.12}


def _route(name: str, calls: int, chance: Random, *, failing: bool) -> Json:
    p50 = TIMES[name] * chance.uniform(0.95, 1.06)
    p95 = p50 * chance.uniform(2.1, 2.3)
    told: Json = {
        "inflight": round(calls * p50 * 1.4), "p50": p50, "p95": p95, "p99": p95 * chance.uniform(1.4, 1.55),
        "ttfb_p50": p50 * 0.35, "ttfb_p95": p95 * 0.4, "serving": {name: calls},
    }  # fmt: skip
    if name == "chat":
        told |= {"serving": {CLAUDE if failing else GPT: calls}}
        told |= {"fallbacks": calls if failing else 0, "refused": chance.randint(0, 1)}
    if name == "search":
        told |= {"serving": {"search-a": round(calls * 0.8), "search-b": 0 if failing else round(calls * 0.2)}}
        told |= {"retries": chance.randint(0, 2)}
    if name in {"decide", "flow"}:
        told |= {"serving": {"c-gateway" if name == "decide" else "router": calls}}
    if name == "shop":
        told |= {"errors": chance.choice((0, 0, 0, 0, 1)), "retries": chance.randint(0, 1)}
    return numbers(calls, **told)


def _things() -> Json:
    """Breakers, targets, limits and pools as they are at the end."""
    well = {"state": "closed", "failure_count": 0, "recent_failures": 0}
    per_minute = {"unit": "requests", "seconds": 60.0}
    here = {"keys": 1, "max_keys": 100_000, "store": "local"}
    ready = {"ready": True, "serving": 1, "rests": 0, "why": None}
    names = ("shop", "static/away", "search-a", "c-gateway", "router", "billing", CLAUDE)
    return {
        "breakers": {
            GPT: {
                "state": "open", "failure_count": 61, "recent_failures": 52, "total_calls": 2384,
                "opened_at": "2026-09-21T13:36:34.210Z", "retry_after": 38.4,
            },
            CLAUDE: {**well, "failure_count": 3, "total_calls": 1911},
            "shop": {**well, "failure_count": 41, "recent_failures": 2, "total_calls": 11420},
            "search-a": {**well, "total_calls": 5281},
            "search-b": {
                "state": "half_open", "failure_count": 7, "recent_failures": 5, "total_calls": 640,
                "opened_at": "2026-09-21T13:37:58.000Z",
            },
            "c-gateway": {**well, "total_calls": 2702},
            "router": {**well, "total_calls": 5113},
            "billing": {**well, "total_calls": 239},
        },
        "targets": {
            **dict.fromkeys(names, ready),
            GPT: {"ready": False, "serving": 0, "rests": 0, "why": "circuit_open"},
            "search-b": {"ready": False, "serving": 0, "rests": 21.0, "why": "throttled"},
        },
        "limits": {
            "route shop": {
                "key": "global", "windows": [{**per_minute, "limit": 3000, "burst": 3000}], "remaining": [612], **here,
            },
            "route chat": {
                "key": "header:X-Tenant-ID", **here, "keys": 48, "store": "redis",
                "windows": [{**per_minute, "limit": 600, "burst": 60},
                            {"unit": "tokens", "seconds": 60.0, "limit": 200_000, "burst": 200_000}],
            },
            "upstream anthropic": {
                "key": "global", **here,
                "windows": [{**per_minute, "limit": 1000, "burst": 1000},
                            {"unit": "tokens", "seconds": 60.0, "limit": 400_000, "burst": 400_000}],
                "remaining": [164, 51_200],
            },
        },
        "upstreams": {
            "openai": _pool(idle=9), "anthropic": _pool(active=16, idle=4), "shop": _pool(active=2, idle=14, most=200),
            "search-a": _pool(active=1, idle=6, most=100), "search-b": _pool(connecting=1, most=100),
            "c-gateway": _pool(active=1, idle=3, most=100), "router": {"channels": ["READY"]},
            "billing": _pool(idle=1, most=100),
        },
    }  # fmt: skip


def _pool(active: int = 0, idle: int = 0, connecting: int = 0, most: int = 0) -> Json:
    return {"active": active, "idle": idle, "connecting": connecting, "waiting": 0, "max": most}


CALLS: tuple[Json, ...] = (
    {"route": "chat", "method": "POST", "path": "/v1/chat/completions", "upstream": CLAUDE, "attempts": 1,
     "seconds": 1.412, "ttfb": 0.388},
    {"upstream": "shop", "path": "/shop/cart/8812"},
    {"protocol": "grpc", "method": "POST", "route": "flow", "path": "/beamline.flow.v1.Flow/Route",
     "upstream": "router", "code": "OK", "seconds": 0.0034, "ttfb": 0.0031},
    {"upstream": "search-a", "route": "search", "path": "/search/products", "seconds": 0.118, "ttfb": 0.101,
     "attempts": 2},
    {"route": "chat", "method": "POST", "path": "/v1/messages", "upstream": "", "attempts": 0, "status": 429,
     "outcome": "rate_limited", "seconds": 0.0002, "ttfb": None},
    {"route": "decide", "method": "POST", "path": "/api/v1/routes/decide", "upstream": "c-gateway", "seconds": 0.0064,
     "ttfb": 0.0062},
    {"route": "chat", "method": "POST", "path": "/v1/chat/completions", "upstream": CLAUDE, "attempts": 3,
     "seconds": 2.31, "ttfb": 0.98},
    {"upstream": "shop", "path": "/shop/checkout", "method": "POST", "status": 502, "outcome": "server_error",
     "seconds": 0.052, "ttfb": 0.051},
)  # fmt: skip


def _calls(second: int, at: float) -> list[Json]:
    made = []
    for place, told in enumerate(CALLS):
        # A gRPC call has a code where others have a status.
        one = call(second * 10 + place, at - 0.9 + place * 0.1, **told)
        if one["protocol"] == "grpc":
            del one["status"]
        made.append(one)
    if second == SECONDS - 1:
        made[6]["id"] = "call-7"
    return made


def _events() -> list[tuple[str, Json]]:
    """What happened since the provider failed."""
    chat = {"route": "chat"}
    told: list[tuple[str, float, Json]] = [
        ("retry", 134, {**chat, "upstream": "openai", "reason": "server_error"}),
        ("fallback", 133, {**chat, "source": GPT, "target": CLAUDE, "reason": "server_error"}),
        ("breaker", 125, {"service": GPT, "old": "closed", "new": "open"}),
        ("reload", 95, {"result": "success", "generation": 4}),
        ("refusal", 71, {**chat, "outcome": "rate_limited", "status_code": 429}),
        ("breaker", 60, {"service": GPT, "old": "open", "new": "half_open"}),
        ("breaker", 60, {"service": GPT, "old": "half_open", "new": "open"}),
        ("breaker", 32, {"service": "search-b", "old": "closed", "new": "open"}),
        ("rest", 30, {"upstream": "search-b", "seconds": 51.0, "reason": "throttled"}),
        ("retry", 12, {"route": "search", "upstream": "search-a", "reason": "reset"}),
        ("fallback", 4, {**chat, "source": GPT, "target": CLAUDE, "reason": "circuit_open"}),
        ("breaker", 2, {"service": "search-b", "old": "open", "new": "half_open"}),
        ("refusal", 1, {**chat, "outcome": "rate_limited", "status_code": 429}),
    ]
    return [(kind, {"event": kind, "timestamp": _written(START + SECONDS - ago), **what}) for kind, ago, what in told]


def _written(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
