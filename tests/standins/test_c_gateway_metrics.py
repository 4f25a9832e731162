"""The gateway's two pages of figures. Only one of them can be parsed."""

from __future__ import annotations

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidecar.standins.c_gateway import CGateway
from sidecar.standins.c_gateway_faults import WELL, GatewayFault, GatewayKind
from sidecar.standins.c_gateway_limits import Limits
from sidecar.standins.c_gateway_metrics import Counters
from sidecar.standins.c_gateway_router import Mode
from tests.kit.c_gateway import ask, decide, request

JSON = request("GET /_metrics")


async def test_prometheus_text_does_not_say_that_it_closes() -> None:
    async with CGateway() as gateway:
        await ask(gateway, request("GET /health"))
        head, _, page = (await ask(gateway, request("GET /metrics"))).partition(b"\r\n\r\n")
    assert head == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: %d" % len(page)
    )
    lines = page.decode().splitlines()
    assert lines[:3] == [
        "# HELP gateway_http_requests_total Total number of HTTP requests processed",
        "# TYPE gateway_http_requests_total counter",
        "gateway_http_requests_total 1",
    ]
    assert lines[-1] == "gateway_json_parse_duration_seconds_count 0"
    assert len(lines) == 85


async def test_what_is_counted_and_how_strangely() -> None:
    fault = GatewayFault(GatewayKind.TIMEOUT, delay=0.002)
    async with CGateway(limits=Limits(decide=1), fault=fault) as gateway:
        await ask(gateway, decide())
        await ask(gateway, decide())
        page = (await ask(gateway, request("GET /metrics"))).partition(b"\r\n\r\n")[2].decode()
    found = {one.name: one.value for family in text_string_to_metric_families(page) for one in family.samples}
    assert found["gateway_http_requests_total"] == 1  # a 429 is none
    assert found["gateway_rate_limit_hits_total"] == 2  # one 429
    assert found["gateway_rate_limit_allowed_total"] == 1
    assert found["gateway_abuse_events_total"] == 1
    assert found["gateway_http_request_duration_seconds_sum"] == 2000  # microseconds
    assert 'gateway_http_request_duration_seconds_bucket{le="0.001"} 0\n' in page
    assert 'gateway_http_request_duration_seconds_bucket{le="0.005"} 1\n' in page


async def test_json_has_a_brace_too_many() -> None:
    async with CGateway(clock=lambda: 1_795_241_557.5) as gateway:
        for _ in range(3):
            await ask(gateway, request("GET /health"))
        page = (await ask(gateway, JSON)).partition(b"\r\n\r\n")[2]
    assert page == (
        b'{"rps":4.000,"latency":{"p50":0,"p95":0},"error_rate":0.00000,"rate_limit":{"total_hits":0,'
        b'"total_exceeded":0,"exceeded_by_endpoint":{"routes_decide":0,"messages":0,"registry_blocks":0}}},'
        b'"nats":"stub","ts":1795241557}'
    )
    with pytest.raises(json.JSONDecodeError):
        json.loads(page)


async def test_json_is_the_only_page_that_follows_the_router() -> None:
    seen = []
    async with CGateway(mode=Mode.ROUTER) as gateway:
        for fault in (WELL, GatewayFault(GatewayKind.UNAVAILABLE)):
            seen.append(b'"nats":"unknown"' in await ask(gateway, JSON))
            await gateway.switch(fault)
            await ask(gateway, decide())
        assert b'"nats":"disconnected"' in await ask(gateway, JSON)
        await gateway.switch(WELL)
        await ask(gateway, decide())
        assert b'"nats":"connected"' in await ask(gateway, JSON)
    assert seen == [True, False]


def test_what_takes_longer_than_all_buckets_is_counted_too() -> None:
    counters = Counters()
    counters.served(11)
    page = counters.prometheus().decode()
    assert 'bucket{le="10.000"} 0\n' in page
    assert 'duration_seconds_bucket{le="+Inf"} 1\n' in page
