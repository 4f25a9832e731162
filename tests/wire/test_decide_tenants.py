"""Whom a decide is for where its caller does not say, whichever target answers it."""

from __future__ import annotations

import orjson

from sidecar.standins.router import StandIn
from tests.kit.addresses import free_port
from tests.kit.running import QUICK, request, running

POLICY = """
[upstreams.gateway]
protocol = "c-gateway"
url = "http://127.0.0.1:{gateway}"
default_headers = {{ X-Tenant-ID = "demo" }}
[upstreams.router]
protocol = "router"
url = "grpc://{router}"
{own}
[routes.decide]
match = {{ path = "/api/v1/routes/decide" }}
chain = ["gateway", "router"]
"""
BODY = orjson.dumps({"version": "1", "message": {"type": "text.generate", "payload": "Hello"}})


async def decided(own: str, *fields: str) -> str:
    """The tenant that the Router decided for."""
    async with StandIn() as router:
        policy = POLICY.format(gateway=free_port(), router=router.target, own=own)
        async with running(QUICK + policy) as sidecar:
            caller = await sidecar.caller()
            caller.send(request("/api/v1/routes/decide", *fields, method="POST", body=BODY))
            answer = await caller.answer(to="POST")
    tenant: str = orjson.loads(answer.body)["metadata"]["tenant_id"]
    return tenant


async def test_the_gateway_s_default_holds_for_the_router_in_its_stead() -> None:
    assert await decided("") == "demo"


async def test_the_router_s_own_default_is_nearer() -> None:
    assert await decided('default_headers = { X-Tenant-ID = "other" }') == "other"


async def test_a_caller_that_says_it_is_heard() -> None:
    assert await decided("", "X-Tenant-ID: mine") == "mine"
