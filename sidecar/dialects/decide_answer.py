"""A decide's answer: read from c-gateway's JSON or a `RouteDecision`, written in the shape due.

c-gateway answers 200 to whatever came back from its message bus: a decision in one
of three JSON shapes, an error with `ok: false`, the bus's own acknowledgement, or
plain text. Only what names a provider is a decision.
"""

from __future__ import annotations

import math

from google.protobuf.message import DecodeError

from sidecar.dialects.decide import Decide, Decision, Json, Shape, Untranslatable, dumps, loads, texts
from sidecar.pb.beamline.flow.v1.flow_pb2 import RouteDecision

_INT32 = 2**31 - 1
_INT64 = 2**63 - 1


def read_json_decision(document: object) -> Decision | None:
    """The decision of a parsed JSON answer, None when it is something else."""
    if not isinstance(document, dict):
        return None
    nested = document.get("decision")
    if isinstance(nested, dict):
        return None if document.get("ok") is not True else _decision(nested, Shape.REAL)
    if document.get("ok") is False:
        return None
    return _decision(document, Shape.DOCUMENTED if isinstance(document.get("decision_id"), str) else None)


def _decision(document: Json, shape: Shape | None) -> Decision | None:
    provider, metadata = document.get("provider_id"), document.get("metadata")
    if not isinstance(provider, str):
        return None
    reason = document.get("reason")
    return Decision(
        provider_id=provider,
        reason=reason if isinstance(reason, str) else "",
        priority=_number(document.get("priority")),
        expected_latency_ms=_number(document.get("expected_latency_ms")),
        expected_cost=_number(document.get("expected_cost")),
        metadata=metadata if isinstance(metadata, dict) else {},
        shape=shape,
    )


def read_route_decision(message: bytes) -> Decision | None:
    """The decision of a `RouteDecision`, None when the bytes are none."""
    try:
        decided = RouteDecision.FromString(message)
    except DecodeError:
        return None
    cost = decided.expected_cost
    return Decision(
        provider_id=decided.provider_id,
        reason=decided.reason,
        priority=decided.priority,
        expected_latency_ms=decided.expected_latency_ms,
        expected_cost=cost if math.isfinite(cost) else 0.0,  # JSON has no such number
        metadata=dict(decided.metadata),
        shape=Shape.GRPC,
    )


def write_json_decision(decision: Decision, decide: Decide) -> bytes:
    """The body due to a decide that came as JSON: flat for the documented shape, nested for the real one.

    Raises `Untranslatable`.
    """
    document: Json = {
        "provider_id": decision.provider_id,
        "reason": decision.reason,
        "priority": decision.priority,
        "expected_latency_ms": decision.expected_latency_ms,
        "expected_cost": decision.expected_cost,
    }
    if decide.shape is Shape.DOCUMENTED:
        return dumps({"decision_id": decide.request_id, **document, "metadata": decision.metadata})
    if decision.metadata:
        document["metadata"] = decision.metadata
    context = {"request_id": decide.request_id}
    if decide.trace:
        context["trace_id"] = decide.trace
    return dumps({"ok": True, "decision": document, "context": context})


def write_route_decision(decision: Decision) -> bytes:
    """The `RouteDecision`; numbers beyond its fields' width become the greatest that fit. Raises `Untranslatable`."""
    return RouteDecision(
        provider_id=decision.provider_id,
        reason=decision.reason,
        priority=_bounded(decision.priority, _INT32),
        expected_latency_ms=_bounded(decision.expected_latency_ms, _INT64),
        expected_cost=float(decision.expected_cost),
        metadata=texts(decision.metadata),
    ).SerializeToString()


def lifted(body: bytes) -> bytes | None:
    """A JSON decision, flat or nested, as a `RouteDecision`: for an answer that stands in the policy file.

    None when it is no decision, or none that protobuf can hold.
    """
    decision = read_json_decision(loads(body))
    try:
        return None if decision is None else write_route_decision(decision)
    except Untranslatable:
        return None


def _number(value: object) -> float:
    """A number as it came; what is none is 0, as proto3 has it for what is absent."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _bounded(number: float, most: int) -> int:
    return int(max(-most - 1, min(number, most)))
