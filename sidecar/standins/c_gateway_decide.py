"""A decide in c-gateway: what its body must hold, what of it goes on to the Router, and what becomes of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.standins import c_gateway_wire as wire
from sidecar.standins.c_gateway_json import compact, loads

if TYPE_CHECKING:
    from collections.abc import Mapping

STATUS: Mapping[str, int] = {
    "invalid_request": 400,
    "unauthorized": 401,
    "validator_blocked": 403,
    "policy_not_found": 404,
    "extension_not_found": 404,
    "decision_failed": 500,
    "internal": 500,
    "post_processor_failed": 500,
    "extension_error": 500,
    "extension_unavailable": 503,
    "extension_timeout": 504,
}
"""Of the Router's codes. One that is not here is no error to the gateway."""
SENT = frozenset({400, 401, 404, 500, 503})
"""Of those, the ones that it can send; an error with another leaves as 200."""
SENT_BY_LOOKUPS = SENT - {503}
TEXTS = ("version", "tenant_id", "request_id", "trace_id", "run_id")


def read(body: bytes) -> dict[str, object] | None:
    """The request, or None if it is not one. Only what the gateway looks at is checked."""
    asked = loads(body)
    if not isinstance(asked, dict):
        return None
    task = asked.get("task")
    well = (
        asked.get("version") == "1"
        and isinstance(asked.get("tenant_id"), str)
        and isinstance(asked.get("request_id"), str)
        and isinstance(task, dict)
        and isinstance(task.get("type"), str)
        and isinstance(task.get("payload"), dict)
    )
    return asked if well else None


def route_request(asked: Mapping[str, object], context: wire.Context) -> dict[str, object]:
    """What goes on to the Router. The headers' ids win; `task` and all that is not named here is dropped."""
    route: dict[str, object] = {name: asked[name] for name in TEXTS if isinstance(asked.get(name), str)}
    if context.tenant_id:
        route["tenant_id"] = context.tenant_id.decode("utf-8", "replace")
    if context.trace_id:
        route["trace_id"] = context.trace_id.decode("utf-8", "replace")
    kinds = {"message_id": str, "message_type": str, "payload": dict, "metadata": dict}
    route["message"] = {name: asked[name] for name, kind in kinds.items() if isinstance(asked.get(name), kind)}
    if isinstance(asked.get("policy_id"), str):
        route["policy_id"] = asked["policy_id"]
    if isinstance(asked.get("context"), dict):
        route["context"] = asked["context"]
    return route


def passed_on(reply: bytes) -> wire.Answer:
    """The Router's answer to a decide. An error that the gateway knows gets a second code, null, if it has none."""
    told = loads(reply)
    status = status_of(told)
    if status >= 400 and isinstance(told, dict) and "intake_error_code" not in told["error"]:
        told["error"]["intake_error_code"] = None
        reply = compact(told)
    return wire.answer(status if status in SENT else 200, reply)


def looked_up(reply: bytes) -> wire.Answer:
    """The Router's answer to any other question: as it is, and never with 503."""
    status = status_of(loads(reply))
    return wire.answer(status if status in SENT_BY_LOOKUPS else 200, reply)


def status_of(told: object) -> int:
    """By the error's code; 0 for whatever is not known to be an error."""
    if not isinstance(told, dict) or told.get("ok") is not False or not isinstance(told.get("error"), dict):
        return 0
    code = told["error"].get("code")
    return STATUS.get(code, 0) if isinstance(code, str) else 0
