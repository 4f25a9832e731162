"""What a later version brings is refused, never silently ignored; what promises nothing passes."""

from __future__ import annotations

import tomllib

import pytest

from sidecar.config.availability import NOT_YET, unavailable
from sidecar.config.places import dotted
from tests.kit.policy_file import ROUTED, load, mistakes


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('listen.grpc = "127.0.0.1:7071"', "listen.grpc"),
        ('listen.grpc_tls = { cert = "c", key = "k" }', "listen.grpc_tls"),
        ('upstreams.a.protocol = "c-gateway"', "upstreams.a.protocol"),
        ('upstreams.a.protocol = "grpc"', "upstreams.a.protocol"),
        ('upstreams.a.protocol = "router"', "upstreams.a.protocol"),
        ('upstreams.a.protocol = "openai"', "upstreams.a.protocol"),
        ('upstreams.a.protocol = "anthropic"', "upstreams.a.protocol"),
        ("upstreams.a.finish = true", "upstreams.a.finish"),
        ('upstreams.a.unary = ["p.S/*"]', "upstreams.a.unary"),
        ('upstreams.a.keepalive = { time = "10s" }', "upstreams.a.keepalive"),
        ('upstreams.a.query = { v = "1" }', "upstreams.a.query"),
        ('upstreams.a.auth = "bearer"', "upstreams.a.auth"),
        ('upstreams.a.api_key = ""', "upstreams.a.api_key"),
        ('upstreams.a.timeout.first_token = "1s"', "upstreams.a.timeout.first_token"),
        ('policies.default.timeout.first_token = "1s"', "policies.default.timeout.first_token"),
        ('routes.r.match = { grpc = "p.S/*" }', "routes.r.match.grpc"),
        ('routes.r.retry.grpc_codes = ["UNAVAILABLE"]', "routes.r.retry.grpc_codes"),
        ('routes.r.stream = "live"', "routes.r.stream"),
        ('routes.r.on_break = "error"', "routes.r.on_break"),
        ('routes.r.translation = "strict"', "routes.r.translation"),
        ("routes.r.fallback_on_refusal = false", "routes.r.fallback_on_refusal"),
        ('routes.r.hedge = { after = "p95" }', "routes.r.hedge"),
        ("routes.r.cache = {}", "routes.r.cache"),
        ("policies.p.cache = {}", "policies.p.cache"),
        ("routes.r.rate_limit.tokens_per_minute = 1", "routes.r.rate_limit.tokens_per_minute"),
        ('routes.r.rate_limit.store = "redis"', "routes.r.rate_limit.store"),
        ("upstreams.a.concurrency.adaptive = true", "upstreams.a.concurrency.adaptive"),
        ("models.smart = {}", "models.smart"),
        ('static.s.grpc_code = "UNAVAILABLE"', "static.s.grpc_code"),
        ('static.s.grpc_message = ""', "static.s.grpc_message"),
        ("faults.f.percent = 10", "faults.f"),
        ("[redis]", "redis"),
        ('telemetry.otlp = "http://127.0.0.1:4318"', "telemetry.otlp"),
    ],
)
def test_a_key_of_a_later_version_is_told(text: str, place: str) -> None:
    (problem,) = unavailable(tomllib.loads(text))
    assert (dotted(problem.place), problem.problem) == (place, NOT_YET)


@pytest.mark.parametrize(
    "text",
    [
        'listen.grpc = ""',
        'upstreams.a.protocol = "http"',
        "upstreams.a.finish = false",
        'policies.p.retry.grpc_codes = ["ABORTED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"]',
        "routes.r.hedge = false",
        "routes.r.rate_limit = { store = 'local', tokens_per_minute = 0 }",
        "upstreams.a.concurrency.adaptive = false",
        'telemetry.otlp = ""',
        "telemetry.server_timing = true",
        'limits.max_held_bytes = "64MiB"',
        "models = {}",
        'static.s = { status = 503, headers = { a = "b" }, body = "" }',
    ],
)
def test_what_promises_nothing_passes(text: str) -> None:
    assert list(unavailable(tomllib.loads(text))) == []


@pytest.mark.parametrize("text", ["listen = 3", "upstreams = [1]", "routes.r = 1", "policies.p.retry = 'x'"])
def test_a_file_of_another_shape_does_not_break_it(text: str) -> None:
    assert list(unavailable(tomllib.loads(text))) == []


def test_it_is_a_mistake_of_the_file_with_its_line() -> None:
    (found,) = mistakes(f'{ROUTED}\n[redis]\nurl = "x"\n')
    assert (found.line, found.key, found.problem) == (8, "redis", NOT_YET)


def test_a_variable_decides_like_a_value() -> None:
    text = f'{ROUTED}\n[listen]\ngrpc = "${{GRPC:-}}"\n'
    assert load(text).settings.listen.grpc == ""
    (found,) = mistakes(text, {"GRPC": "127.0.0.1:1"})
    assert (found.key, found.problem) == ("listen.grpc", NOT_YET)
