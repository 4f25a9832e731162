"""A decide's request: read from any of its three shapes, written as c-gateway's JSON or as a `RouteRequest`.

Every reader is total: what is not a decide, or one with a value of a type that
nobody takes, is None, and its bytes go to c-gateway as they came, whose own 400
says best what is wrong with them.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from sidecar.dialects.decide import (
    DEFAULT_POLICY,
    Decide,
    Json,
    Shape,
    Untranslatable,
    dumps,
    is_trace,
    loads,
    texts,
)
from sidecar.pb.beamline.flow.v1.flow_pb2 import Message, RouteRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "1"

LONGEST_TENANT = 63
"""Bytes of `X-Tenant-ID` that c-gateway keeps; it cuts the rest without a word, and two tenants may become one."""

_ABSENT = (None, "")

_DEFAULT_POLICY_FIELD = b"\x12\x07default"
"""`policy_id = "default"` on the wire. Behind a message that has none it is part of it (protobuf, last one wins)."""

_FIELD_VALUE = re.compile(rb"[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?")
"""RFC 9110, section 5.5; what is around it in blanks would not arrive."""


class _Unreadable(ValueError):  # noqa: N818 - it leaves this file as None
    """A value has a type that nobody takes."""


def read_json(body: bytes, fields: Mapping[bytes, bytes], request_id: str, tenant: str = "") -> Decide | None:
    """A decide in one of the JSON shapes: real when it has a `task`, else documented when it has a `message`.

    `fields` are the request's by lower-case name, `request_id` is ours, `tenant` whom
    the upstream's settings name where the caller names none.
    """
    document = loads(body)
    if not isinstance(document, dict) or document.get("version", VERSION) != VERSION:
        return None
    if "task" in document:
        shape, inner = Shape.REAL, document["task"]
    else:
        shape, inner = Shape.DOCUMENTED, document.get("message")
    if not isinstance(inner, dict):
        return None
    header = fields.get(b"x-trace-id", b"").decode("latin-1")
    try:
        decide = (_real if shape is Shape.REAL else _documented)(document, inner, request_id)
    except _Unreadable:
        return None
    decide.tenant = header_text(fields.get(b"x-tenant-id", b"")) or decide.tenant or tenant
    if is_trace(header):
        decide.trace = header
    return decide


def _documented(document: Json, message: Json, request_id: str) -> Decide:
    payload = message.get("payload")
    if not isinstance(payload, dict | str):
        raise _Unreadable
    return Decide(
        Shape.DOCUMENTED,
        tenant="",
        request_id=request_id,
        trace="",
        type=_text(message, "type", needed=True),
        payload=payload,
        policy=_text(document, "policy_id") or DEFAULT_POLICY,
        message_id=_text(message, "message_id"),
        metadata=_table(message, "metadata"),
        context=_context(document),
    )


def _real(document: Json, task: Json, request_id: str) -> Decide:
    payload = task.get("payload")
    if not isinstance(payload, dict):
        raise _Unreadable
    return Decide(
        Shape.REAL,
        tenant=_text(document, "tenant_id"),
        request_id=_text(document, "request_id") or request_id,
        trace=_text(document, "trace_id"),
        type=_text(task, "type", needed=True),
        payload=payload,
        policy=_text(document, "policy_id") or DEFAULT_POLICY,
        message_id=_text(document, "message_id"),
        metadata=_table(document, "metadata"),
        context=_context(document),
        sent=document,
    )


def read_route_request(message: bytes, request_id: str, tenant: str = "") -> Decide | None:
    """A decide of a gRPC caller, None when the bytes are no `RouteRequest`. The arguments are as in `read_json`."""
    try:
        asked = RouteRequest.FromString(message)
    except DecodeError:
        return None
    inner = asked.message
    return Decide(
        Shape.GRPC,
        tenant=inner.tenant_id or tenant,
        request_id=inner.message_id or request_id,
        trace=inner.trace_id,
        type=inner.message_type,
        payload=inner.payload,
        policy=asked.policy_id or DEFAULT_POLICY,
        message_id=inner.message_id,
        metadata=dict(inner.metadata),
        context=dict(asked.context),
    )


def write_real(decide: Decide) -> bytes:
    """The body for c-gateway of a decide that came in another shape. Raises `Untranslatable`."""
    due = _due(decide)
    due["task"] = {"type": decide.type, "payload": due["payload"]}
    due["policy_id"] = decide.policy
    for name, value in (("message_id", decide.message_id), ("metadata", decide.metadata), ("context", decide.context)):
        if value:
            due[name] = value
    return dumps(due)


def complete_real(decide: Decide, sent: Json) -> bytes | None:
    """A real decide's body with what it lacks, None when it lacks nothing. Raises `Untranslatable`."""
    missing = {name: value for name, value in _due(decide).items() if value != "" and sent.get(name) in _ABSENT}
    if sent.get("policy_id") == "":  # which the Router would look up as such; one that is not there is its default
        missing["policy_id"] = decide.policy
    return dumps({**sent, **missing}) if missing else None


def _due(decide: Decide) -> Json:
    """What c-gateway needs beside `task`: it asks for `task`, and passes `message_type` and `payload` on instead."""
    return {
        "version": VERSION,
        "tenant_id": decide.tenant,
        "request_id": decide.request_id,
        "message_type": decide.type,
        "payload": payload_object(decide),
    }


def write_route_request(decide: Decide, timestamp_ms: int) -> bytes:
    """A JSON decide as a `RouteRequest`. `timestamp_ms` is milliseconds since 1970. Raises `Untranslatable`."""
    payload = decide.payload
    if isinstance(payload, dict):
        payload = dumps(payload)
    message = Message(
        message_id=decide.message_id or decide.request_id,
        tenant_id=decide.tenant,
        trace_id=decide.trace,
        message_type=decide.type,
        payload=payload.encode() if isinstance(payload, str) else payload,
        metadata=texts(decide.metadata),
        timestamp_ms=timestamp_ms,
    )
    asked = RouteRequest(message=message, policy_id=decide.policy, context=texts(decide.context))
    return asked.SerializeToString()


def with_policy(message: bytes) -> bytes:
    """The same `RouteRequest`, naming the default policy where it names none: the Router looks an empty name up as it
    is, and finds nothing. What is no `RouteRequest` stays as it is.
    """
    try:
        named = RouteRequest.FromString(message).policy_id
    except DecodeError:
        return message
    return message if named else message + _DEFAULT_POLICY_FIELD


def payload_object(decide: Decide) -> Json:
    """The payload as c-gateway takes it, which is an object."""
    payload = decide.payload
    if isinstance(payload, dict):
        return payload
    document = loads(payload)
    if isinstance(document, dict):
        return document
    if isinstance(payload, str):
        return {"text": payload}
    try:
        return {"text": payload.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(payload).decode()}


def tenant_field(decide: Decide) -> bytes:
    """The value of `X-Tenant-ID`, empty for no tenant.

    Raises `Untranslatable` for a name that would reach c-gateway as another one.
    """
    value = decide.tenant.encode()
    if value and _FIELD_VALUE.fullmatch(value) is None:
        raise Untranslatable("its tenant_id cannot stand in a header field")
    if len(value) > LONGEST_TENANT:
        raise Untranslatable(f"its tenant_id is longer than the {LONGEST_TENANT} bytes that c-gateway keeps")
    return value


def header_text(value: bytes) -> str:
    """A header field's value as text: UTF-8 where it is that, else ISO 8859-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _text(table: Json, name: str, *, needed: bool = False) -> str:
    """The text under a name, where null is as good as absent unless it is needed. Raises `_Unreadable`."""
    value: Any = table.get(name)
    if value is None and not needed:
        return ""
    if not isinstance(value, str):
        raise _Unreadable
    return value


def _table(table: Json, name: str) -> Json:
    value: Any = table.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _Unreadable
    return value


def _context(document: Json) -> Json:
    """The context, with a run's id in it: elsewhere no shape has a place where the Router would take one."""
    context, run_id = _table(document, "context"), _text(document, "run_id")
    return {"run_id": run_id, **context} if run_id else context
