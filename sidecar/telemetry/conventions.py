"""What spans are called and what they say, by OpenTelemetry's semantic conventions.

HTTP's are stable, RPC's (1.41) a release candidate, those for generative AI (their own repository since 2026) in
development: their names are kept in this one file. What no convention has is called `sidecar.*`.

No query, no header but `User-Agent`, no body, no key. `url.full` is left out though a client's span should have it: the
path of an upstream's URL may be a secret of the policy file (a webhook's is). Callers' words are cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.call import Wire
from sidecar.config.carriage import GRPC
from sidecar.dialects.beamline import DECIDE
from sidecar.llm import Kind
from sidecar.settings.protocols import PROVIDERS
from sidecar.telemetry.access_log import CANCELLED, LONGEST_MODEL, LONGEST_PATH, SERVER_FAULTS
from sidecar.telemetry.call_span import NOWHERE
from sidecar.telemetry.metrics import CALLER_LEFT, METHODS, OTHER_METHOD
from sidecar.telemetry.series import OTHER

if TYPE_CHECKING:
    from sidecar.call import Call, Step, Summary
    from sidecar.telemetry.call_span import Fallback, Sending

Attributes = dict[str, str | int | float | bool]

LONGEST_WORD = 256
"""Characters of a caller's word: its user agent, its host."""

MOST_MODELS = 64
"""Models of callers' words that names of spans tell apart."""

OPERATIONS = {
    Kind.CHAT: "chat",
    Kind.MESSAGES: "chat",
    Kind.RESPONSES: "chat",
    Kind.COMPLETIONS: "text_completion",
    Kind.EMBEDDINGS: "embeddings",
}
"""What the conventions call an operation of an LLM; the others (a list of models) are plain HTTP."""

_PLAIN = frozenset({"ok", "client_error", "server_error"})
"""Outcomes that say less than the status does."""

_OUR_FAULTS = frozenset({"broke", "internal_error"})
"""How a call may end badly though its status had been sent, or none was."""

_NO_ERRORS = frozenset({"ok", "client_error", "refusal", "caller_left", "abandoned"})
"""How an attempt may end without an error of its own: it was answered, or its caller did not wait for it."""

_RPC_OTHER = "_OTHER"
_DECIDE = DECIDE[1:].decode()
"""The one method that an HTTP call may become."""


def method_of(call: Call) -> str:
    """By the conventions' rule: one that is none of HTTP's own is `_OTHER`."""
    return METHODS.get(call.method, OTHER_METHOD)


def server_name(call: Call, pattern: str, rpc: str) -> str:
    """Of the span of a call; `pattern` is the path that its route matches, `rpc` its gRPC method as metrics name it."""
    if call.wire is Wire.GRPC:
        return _rpc_name(rpc)
    return _http_name(call, pattern or call.route)


def _http_name(call: Call, what: str) -> str:
    method = METHODS.get(call.method, "HTTP")
    return f"{method} {what}" if what else method


def _rpc_name(rpc: str) -> str:
    return "grpc" if rpc == OTHER else rpc


def server(call: Call, summary: Summary, pattern: str, rpc: str) -> Attributes:
    """Of the span of a call; `pattern` is the path that its route matches."""
    said: Attributes = {}
    host, port = _host(call.host)
    if host:
        said["server.address"] = host
    if port:
        said["server.port"] = port
    if call.peer:
        said["client.address"] = call.peer
    if (agent := call.fields.get(b"user-agent")) is not None:
        said["user_agent.original"] = agent[:LONGEST_WORD].decode("latin-1")
    if call.wire is Wire.GRPC:
        _rpc(said, call, rpc, call.code or CANCELLED)
    else:
        said["http.request.method"] = method_of(call)
        if call.method not in METHODS:
            said["http.request.method_original"] = call.method[:LONGEST_WORD].decode("latin-1")
        said["url.scheme"] = "https" if call.secure else "http"
        said["url.path"] = call.path[:LONGEST_PATH].decode("utf-8", "backslashreplace")
        if pattern:
            said["http.route"] = pattern
        if call.status and call.status != CALLER_LEFT:  # which nobody was sent
            said["http.response.status_code"] = call.status
    if call.route:
        said["sidecar.route"] = call.route
    if call.upstream:  # a model's service is called by both names
        said["sidecar.upstream"] = call.upstream if call.llm is None else call.upstream.partition("/")[0]
    said["sidecar.attempts"] = call.attempts
    said["sidecar.outcome"] = summary.outcome
    said["sidecar.config"] = call.generation
    said["sidecar.request_id"] = call.id
    if error := server_error(call, summary):
        said["error.type"] = error
    return said


def server_error(call: Call, summary: Summary) -> str:
    """Why the span of a call is one of an error; empty where it is none. A caller's fault is none of the server's."""
    if call.wire is Wire.GRPC:
        faulty, status = call.code in SERVER_FAULTS, call.code
    else:
        faulty, status = call.status >= 500, str(call.status)
    if not faulty:
        return summary.outcome if summary.outcome in _OUR_FAULTS else ""
    return status if summary.outcome in _PLAIN or call.wire is Wire.GRPC else summary.outcome


class Models:
    """Those that are in the names of spans: of the file's all, of callers' words the first `MOST_MODELS` that a
    provider answered to. Names are few, whatever callers ask for.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()

    def name(self, call: Call, sending: Sending) -> str:
        model = _model(call, sending)
        if sending.peer.model or model in self._known:
            return model
        if sending.model and len(self._known) < MOST_MODELS:
            self._known.add(model)
            return model
        return ""


def client_name(call: Call, sending: Sending, rpc: str, models: Models) -> str:
    """Of the span of an attempt."""
    protocol = sending.peer.protocol
    if operation := _operation(call, protocol):
        model = models.name(call, sending)
        return f"{operation} {model}" if model else operation
    if protocol in GRPC:
        return _rpc_name(rpc if call.wire is Wire.GRPC else _DECIDE)
    return _http_name(call, sending.target.partition("/")[0])


def client(call: Call, step: Step, sending: Sending, rpc: str, ordinal: int, resent: int) -> Attributes:
    """Of the span of an attempt: the call's `ordinal`th (from 1), after so many of the same request (`resent`)."""
    said: Attributes = {}
    peer = sending.peer
    if peer is not NOWHERE and sending.address < len(peer.places):
        host, port = peer.places[sending.address]
        said["server.address"] = host
        if port:
            said["server.port"] = port
    if peer.protocol in GRPC:
        _rpc(said, call, rpc, sending.code or step.code or ("OK" if step.outcome == "ok" else ""))
    else:
        said["http.request.method"] = method_of(call)
        said["network.protocol.version"] = "1.1"
        if step.status:
            said["http.response.status_code"] = step.status
        if resent:
            said["http.request.resend_count"] = resent
    if operation := _operation(call, peer.protocol):
        _llm(said, call, step, sending, operation)
    said["sidecar.upstream"] = sending.target.partition("/")[0]
    said["sidecar.attempt"] = ordinal
    said["sidecar.outcome"] = step.outcome
    if error := client_error(step, sending.code):
        said["error.type"] = error
    return said


def client_error(step: Step, ended: str = "") -> str:
    """Why the span of an attempt is one of an error, empty where it is none; a stream `ended` with that code."""
    code = ended or step.code
    if code not in ("", "OK"):
        return code
    if step.status >= 400:
        return str(step.status)
    return "" if step.outcome in _NO_ERRORS else step.outcome


def waited(step: Step) -> Attributes:
    """Of an event: the call waited by our own doing."""
    said: Attributes = {"sidecar.wait.reason": step.why, "sidecar.wait.seconds": round(step.seconds, 6)}
    if step.target:
        said["sidecar.target"] = step.target
    return said


def skipped(step: Step) -> Attributes:
    """Of an event: a target was not tried."""
    return {"sidecar.target": step.target, "sidecar.skip.reason": step.outcome}


def fell_back(fallback: Fallback) -> Attributes:
    """Of an event: the call went on to another target."""
    return {
        "sidecar.fallback.from": fallback.source,
        "sidecar.fallback.to": fallback.target,
        "sidecar.fallback.reason": fallback.reason,
    }


def _rpc(said: Attributes, call: Call, rpc: str, code: str) -> None:
    said["rpc.system.name"] = "grpc"
    if call.wire is Wire.HTTP:
        said["rpc.method"] = _DECIDE
    elif rpc == OTHER:
        said["rpc.method"] = _RPC_OTHER
        said["rpc.method_original"] = call.path[1 : LONGEST_WORD + 1].decode("utf-8", "backslashreplace")
    else:
        said["rpc.method"] = rpc
    if code:
        said["rpc.response.status_code"] = code


def _operation(call: Call, protocol: str) -> str:
    if call.llm is None or protocol not in PROVIDERS:
        return ""
    return OPERATIONS.get(call.llm.kind, "")


def _model(call: Call, sending: Sending) -> str:
    assert call.llm is not None
    return (sending.peer.model or call.llm.model)[:LONGEST_MODEL]


def _llm(said: Attributes, call: Call, step: Step, sending: Sending, operation: str) -> None:
    ask = call.llm
    assert ask is not None
    said["gen_ai.operation.name"] = operation
    said["gen_ai.provider.name"] = sending.peer.protocol
    if model := _model(call, sending):
        said["gen_ai.request.model"] = model
    if sending.model:
        said["gen_ai.response.model"] = sending.model[:LONGEST_MODEL]
    if ask.stream:
        said["gen_ai.request.stream"] = True
        if sending.ttfb > 0 and step.status < 400:
            said["gen_ai.response.time_to_first_chunk"] = round(sending.ttfb, 6)
    if (usage := sending.usage) is not None:
        said["gen_ai.usage.input_tokens"] = usage.input
        said["gen_ai.usage.output_tokens"] = usage.output
        if usage.cached:
            said["gen_ai.usage.cache_read.input_tokens"] = usage.cached


def _host(sent: bytes) -> tuple[str, int]:
    """Host and port of a `Host` field; port 0 where it names none."""
    text = sent[:LONGEST_WORD].decode("latin-1")
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, _port(rest.removeprefix(":"))
    host, _, port = text.partition(":")
    return host, _port(port)


def _port(digits: str) -> int:
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 6 else 0
