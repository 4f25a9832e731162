"""One line per finished call.

`access_log` decides what is written, not the log level: all calls, only those
that did not go well, or none. With a sample below 1 some good calls are left out;
errors, retries, fallbacks and slow calls never are. The path is logged without
its query, and no header is ever read but `traceparent`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sidecar.call import Wire
from sidecar.telemetry.metrics import CALLER_LEFT, METHODS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.call import Call, Summary
    from sidecar.llm import Ask
    from sidecar.telemetry.lines import Fields, Format, Timestamp
    from sidecar.telemetry.log_writer import LogWriter

SLOW = 1.0
"""A call that took so long (seconds) is never left out by the sample."""

LONGEST_MODEL = 128
"""Characters of a model's name in a line: it is the caller's word."""

LONGEST_PATH = 2048
"""Bytes of a path that are logged: the buffer's bound holds even if every caller sends a long one."""

CANCELLED = "CANCELLED"
"""The gRPC code of a call whose caller left."""

SERVER_FAULTS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""gRPC codes that are no caller's fault: as statuses from 500 on, their lines are warnings."""

Which = Literal[True, False, "errors"]


class AccessLog:
    """Writes a call's line; `random` gives numbers from 0 to 1 for the sample."""

    __slots__ = ("_all", "_off", "_random", "_render", "_sample", "_timestamp", "_writer")

    def __init__(
        self,
        writer: LogWriter,
        render: Format,
        timestamp: Timestamp,
        random: Callable[[], float],
        *,
        which: Which = True,
        sample: float = 1.0,
    ) -> None:
        self._writer = writer
        self._render = render
        self._timestamp = timestamp
        self._random = random
        self._all = which is True
        self._off = which is False
        self._sample = sample

    def write(self, call: Call, summary: Summary) -> None:
        """The call's line, if it is to have one."""
        if self._off:
            return
        answer: int | str
        if call.wire is Wire.HTTP:
            protocol, path, answered, answer = "http", call.path, "status_code", call.status or CALLER_LEFT
            good, faulty = answer < 400, answer >= 500
        else:
            protocol, path, answered, answer = "grpc", call.target, "grpc_code", call.code or CANCELLED
            good, faulty = answer == "OK", answer in SERVER_FAULTS
        good = good and summary.outcome == "ok"
        if good and not (self._all and self._sample >= 1.0) and not self._kept(call, summary):
            return
        # One literal, and no enum's `value` (250 ns), `round` (280 ns) or decode of a known method.
        fields: Fields = {
            "timestamp": self._timestamp(),
            "level": "warning" if faulty or summary.outcome == "broke" else "info",
            "message": "call finished",
            "correlation_id": call.correlation_id,
            "request_id": call.id,
            "protocol": protocol,
            "method": METHODS.get(call.method) or call.method.decode("latin-1"),
            "path": path[:LONGEST_PATH].decode("utf-8", "backslashreplace"),
            "route": call.route,
            "upstream": call.upstream,
            "attempts": call.attempts,
            answered: answer,
            "outcome": summary.outcome,
            "duration_ms": int(summary.seconds * 1e6) / 1e3,
            "ttfb_ms": int(summary.ttfb * 1e6) / 1e3,
            "bytes_in": call.body.received,
            "bytes_out": call.bytes_out,
        }
        if call.llm is not None:
            _tell_llm(fields, call.llm)
        if call.traceparent:  # 00-<32 hex>-<16 hex>-<2 hex> (W3C Trace Context, section 3.2)
            fields["trace_id"] = call.traceparent[3:35].decode()
        self._writer.write(self._render(fields))

    def _kept(self, call: Call, summary: Summary) -> bool:
        """A good call that the sample or `errors` might leave out."""
        if not self._all:
            return False
        if call.attempts > 1 or summary.seconds >= SLOW:
            return True
        return self._random() < self._sample


def _tell_llm(fields: Fields, ask: Ask) -> None:
    """Which model answered, or was asked for, and what it cost."""
    fields["upstream"] = fields["upstream"].partition("/")[0]  # its model stands beside it
    if model := ask.answered_by or ask.model:
        fields["model"] = model[:LONGEST_MODEL]
    if ask.usage is not None:
        usage = ask.usage
        fields["tokens"] = {"input": usage.input, "output": usage.output, "cached": usage.cached}
