"""Every metric as a real sidecar tells it after HTTP, gRPC and LLM traffic: its labels, and their words."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from typing import TYPE_CHECKING

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidecar import errors
from sidecar.errors import Refused
from tests.kit.commands import SIDECAR, process
from tests.kit.monitoring import OUTCOMES

if TYPE_CHECKING:
    from asyncio.subprocess import Process

ANYWHERE = {f"SIDECAR_LISTEN_{name}": "127.0.0.1:0" for name in ("HTTP", "GRPC", "ADMIN")}
PROMISED = {
    "http_requests_total": ("method", "endpoint", "status"),
    "http_request_duration_seconds": ("method", "endpoint"),
    "http_request_errors_total": ("method", "endpoint", "error"),
    "grpc_requests_total": ("route", "grpc_method", "code"),
    "grpc_request_duration_seconds": ("route", "grpc_method"),
    "sidecar_attempts_total": ("route", "upstream", "outcome"),
    "sidecar_attempt_duration_seconds": ("upstream",),
    "sidecar_retries_total": ("route", "upstream", "reason"),
    "sidecar_retry_budget_exhausted_total": ("upstream",),
    "sidecar_replay_skipped_total": ("route", "reason"),
    "sidecar_fallbacks_total": ("route", "from", "to", "reason"),
    "circuit_breaker_state": ("service",),
    "circuit_breaker_transitions_total": ("service", "to"),
    "rate_limit_exceeded_total": ("endpoint", "identifier"),
    "sidecar_inflight": ("route",),
    "sidecar_connections": ("listener",),
    "sidecar_upstream_connections": ("upstream", "state"),
    "sidecar_target_ready": ("route", "upstream"),
    "sidecar_time_to_first_byte_seconds": ("route", "upstream"),
    "sidecar_overhead_seconds": ("endpoint",),
    "sidecar_tokens_total": ("upstream", "model", "kind"),
    "sidecar_stream_events_total": ("upstream", "kind"),
    "sidecar_config_generation": (),
    "sidecar_config_reloads_total": ("result",),
    "sidecar_config_reload_failed": (),
    "sidecar_log_dropped_total": (),
    "sidecar_build_info": ("version",),
}
UNSEEN = {"sidecar_replay_skipped_total"}
"""The demo's services answer 500 before they have read a long body: it can be sent again, as it has not come yet."""
ROUTES = {"steady", "flaky", "slow", "gone", "chain", "limited", "moody", "decide", "rpc", "openai", "anthropic"}
UPSTREAMS = {"steady", "flaky", "slow", "gone", "moody", "c-gateway", "router", "openai", "anthropic", "small"}
MODELS = {"gpt-4o", "claude-haiku-4-5", "tiny"}
CODES = {each.label for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Refused)}
WORDS = {
    "method": {"GET", "POST", "_OTHER"},
    "endpoint": {*ROUTES, "_none"},
    "route": {*ROUTES, "_none"},
    "grpc_method": {"beamline.flow.v1.Router/Decide", "other"},
    "error": {"rate_limit", "server", "invalid_request", "auth", "unknown"},
    "outcome": OUTCOMES,
    "reason": {*OUTCOMES, *CODES, "body_too_long"},
    "to": {"closed", "half_open", "open"},
    "state": {"idle", "active", "connecting"},
    "identifier": {"ip"},
    "listener": {"http"},
    "kind": {"input", "output", "cached", "wasted", "content", "quiet", "error", "end", "unparseable", "unknown"},
    "result": {"success", "failure"},
    "upstream": {*UPSTREAMS, "static/sorry", "models"},
    "model": {*MODELS, "other"},
}


async def after(demo: Process, pattern: str) -> re.Match[str]:
    """The first line of its story that matches."""
    assert demo.stdout is not None
    async with asyncio.timeout(60):
        while line := await demo.stdout.readline():
            if match := re.search(pattern, line.decode()):
                return match
    raise AssertionError(f"the demo ended without saying {pattern}")


async def told(session: aiohttp.ClientSession, admin: str) -> dict[str, dict[str, set[str]]]:
    """Each metric's labels, and the values that each of them had."""
    async with session.get(f"{admin}/metrics") as reply:
        text = await reply.text()
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = found.setdefault(name, defaultdict(set))
        for sample in family.samples:
            for label, value in sample.labels.items():
                labels[label].add(value)
    return found


async def strange_calls(session: aiohttp.ClientSession, http: str, admin: str) -> None:
    """What the story leaves out: words of callers', a budget used up, a reload."""
    await (await session.request("BREW", f"{http}/steady/pot")).read()
    await (await session.get(f"{http}/nobody/knows?secret=1", headers={"X-Tenant-ID": "acme"})).read()
    async with asyncio.TaskGroup() as group:
        for number in range(300):
            group.create_task(session.get(f"{http}/flaky/{number}"))
    await (await session.post(f"{http}/v1/chat/completions", json={"model": "made-up", "messages": []})).read()
    await (await session.post(f"{admin}/reload")).read()


@pytest.mark.timeout(120)
async def test_every_metric_has_the_labels_that_are_promised_and_no_word_of_a_callers() -> None:
    async with process(SIDECAR, "demo", env=ANYWHERE) as demo, aiohttp.ClientSession() as session:
        http, admin = (await after(demo, r"sidecar is at (\S+); watch it in a browser at (\S+)\.$")).groups()
        await after(demo, "Now you")
        await strange_calls(session, http, admin)
        metrics = await told(session, admin)
    ours = {name: labels for name, labels in metrics.items() if not name.startswith("process_")}
    assert {name for name in PROMISED if name not in ours} == set()
    silent = {name for name, labels in PROMISED.items() if labels and not ours[name]}
    assert silent == UNSEEN
    labels = {name: set(labels) - {"le"} for name, labels in ours.items() if labels}
    assert labels == {name: set(labels) for name, labels in PROMISED.items() if labels and name not in silent}
    for name, told_of in ours.items():
        for label, values in told_of.items():
            assert not values & {"acme", "made-up", "BREW", "/nobody/knows"}
            if label in WORDS and not (name == "sidecar_fallbacks_total" and label == "to"):
                assert values <= WORDS[label], f"{name}: {label}"
