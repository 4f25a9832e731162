"""What stands behind the stand-in c-gateway: nothing but a fixed answer, or something that answers as the Router does.

The gateway passes an answer on as it is, spaces and all, so there are two shapes: the
flat one of a gateway that was built without NATS, and the Router's nested one. Neither
is what the documents promise.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from sidecar.standins.c_gateway_json import spaced

if TYPE_CHECKING:
    from collections.abc import Mapping


class Mode(enum.StrEnum):
    """Which of the two."""

    STUB = "stub"
    ROUTER = "router"


PROVIDERS: Mapping[str, str] = {
    "demo-policy": "openai:gpt-4o",
    "cheap": "openai:gpt-4o-mini",
    "careful": "anthropic:claude-sonnet",
    "local": "ollama:llama3",
}
"""By policy; any other policy gets the first. In a Router's mode, `err:CODE` is a policy that is refused so."""
REFUSES = "err:"
KEPT = 1000
"""Decisions that can be asked for again."""
FLAT = (
    b'{"message_id":"dummy","provider_id":"provider-1","reason":"%b","priority":1,"expected_latency_ms":42,'
    b'"expected_cost":0.001,"currency":"USD","trace_id":"trace-stub"}'
)
HEALTH = (
    b'{"health":{"extension_1":{"extension_id":"extension_1","status":"healthy",'
    b'"success_rate":0.95,"avg_latency_ms":25.5}}}'
)
BREAKERS = b'{"states":[{"extension_id":"extension_1","state":"closed","opened_at_ms":0}]}'
DRY_RUN = (
    b'{"ok":true,"result":{"decision":{"provider_id":"openai","reason":"weighted","priority":1},'
    b'"executed_extensions":[],"final_payload":{}}}'
)
COMPLEXITY = (
    b'{"complexity_score":45,"total_extensions":3,"pre_count":1,"validators_count":1,"post_count":1,'
    b'"estimated_latency_ms":90,"recommended_max_total":4,"recommended_max_pre":2,'
    b'"recommended_max_validators":2,"recommended_max_post":2,"warnings":[],"recommendations":[]}'
)


class Stub:
    """Says the same to everybody."""

    status = "stub"

    def decide(self, route: Mapping[str, object]) -> bytes:  # noqa: ARG002  (a Router reads it)
        """To a decide."""
        return FLAT % b"stub"

    def decision(self, message_id: str) -> bytes:  # noqa: ARG002  (a Router reads it)
        """To a question for an earlier one."""
        return FLAT % b"stub-get-by-id"

    def extensions(self) -> bytes:
        """Their health."""
        return HEALTH

    def breakers(self) -> bytes:
        """Their circuit breakers."""
        return BREAKERS

    def dry_run(self) -> bytes:
        """A policy, tried out."""
        return DRY_RUN

    def complexity(self) -> bytes:
        """How much a policy asks of the Router."""
        return COMPLEXITY


class Router(Stub):
    """Decides by policy, and remembers what it was asked."""

    status = "connected"

    def __init__(self) -> None:
        self.decided: dict[str, tuple[object, str]] = {}

    def decide(self, route: Mapping[str, object]) -> bytes:
        """From what the gateway lets through of the caller's body: `task` is not in it."""
        policy = route.get("policy_id", "default")
        if isinstance(policy, str) and policy.startswith(REFUSES):
            return refusal(policy.removeprefix(REFUSES), route)
        provider = PROVIDERS.get(str(policy), next(iter(PROVIDERS.values())))
        message = route["message"]
        if isinstance(message, dict) and isinstance(message.get("message_id"), str):
            self.decided[message["message_id"]] = route["request_id"], provider
            if len(self.decided) > KEPT:
                del self.decided[next(iter(self.decided))]
        decision = {
            "provider_id": provider,
            "priority": 50,
            "expected_latency_ms": 0,
            "expected_cost": 0.0,
            "reason": "weighted",
            "metadata": {"tenant_id": route["tenant_id"]},
        }
        return spaced({"ok": True, "decision": decision, "context": ids(route)})

    def decision(self, message_id: str) -> bytes:
        """One that was made, or the first provider for one that was not."""
        request_id, provider = self.decided.get(message_id, (message_id, next(iter(PROVIDERS.values()))))
        decision = {"provider_id": provider, "reason": "weighted"}
        return spaced({"ok": True, "decision": decision, "context": {"request_id": request_id}})

    def extensions(self) -> bytes:
        """None are set up."""
        return b'{"health": {}}'


def refusal(code: str, route: Mapping[str, object]) -> bytes:
    """The Router's own error. Only what its intake refuses has a second code."""
    error = {"code": code, "message": f"simulated {code}"}
    if code == "invalid_request":
        error["intake_error_code"] = "CORRELATION_FIELDS_INVALID"
    return spaced({"ok": False, "error": error, "context": ids(route)})


def ids(route: Mapping[str, object]) -> dict[str, object]:
    """What the Router tells back of the ids; the tenant is not among them."""
    return {name: route[name] for name in ("request_id", "trace_id") if name in route}
