"""Decides in their three shapes, to be asked whole or with something taken away."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sidecar.dialects.decide_request import read_json, read_route_request, write_real, write_route_request
from sidecar.pb.beamline.flow.v1.flow_pb2 import Message, RouteRequest

if TYPE_CHECKING:
    from sidecar.dialects.decide import Decide

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
UUID = "7f1d2c3b-9a8e-4f60-8123-0123456789ab"

DOCUMENTED: dict[str, Any] = {
    "version": "1",
    "message": {
        "type": "text.generate",
        "payload": "Hello, world!",
        "message_id": "msg-1",
        "metadata": {"model": "gpt-4", "turns": 3},
    },
    "policy_id": "demo-policy",
    "context": {"session_id": "s1"},
}
REAL: dict[str, Any] = {
    "version": "1",
    "tenant_id": "demo-tenant",
    "request_id": "req-1",
    "task": {"type": "text.generate", "payload": {"text": "Hello, world!"}},
    "message_id": "msg-1",
    "message_type": "text.generate",
    "payload": {"text": "Hello, world!"},
    "metadata": {"model": "gpt-4"},
    "policy_id": "demo-policy",
    "context": {"session_id": "s1"},
}
ROUTE_REQUEST = RouteRequest(
    message=Message(
        message_id="msg-1",
        tenant_id="acme",
        trace_id=TRACE,
        message_type="text.generate",
        payload=b'{"text":"Hello"}',
        metadata={"model": "gpt-4"},
        timestamp_ms=7,
    ),
    policy_id="demo-policy",
    context={"session_id": "s1"},
)
HEADERS = {b"x-tenant-id": b"acme", b"x-trace-id": TRACE.encode()}


def asked(document: dict[str, Any], fields: dict[bytes, bytes] | None = None, tenant: str = "") -> Decide:
    decide = read_json(json.dumps(document).encode(), HEADERS if fields is None else fields, "ours-1", tenant)
    assert decide is not None
    return decide


def asked_by_grpc(request: RouteRequest, tenant: str = "") -> Decide:
    decide = read_route_request(request.SerializeToString(), "ours-1", tenant)
    assert decide is not None
    return decide


def real(decide: Decide) -> Any:
    return json.loads(write_real(decide))


def routed(decide: Decide) -> RouteRequest:
    return RouteRequest.FromString(write_route_request(decide, 1234))


def without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}
