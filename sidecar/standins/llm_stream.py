"""A streamed answer as events, what a fault makes of them, and the bytes they become.

All of this is pure; `llm_wire.py` brings it onto the wire.
"""

from __future__ import annotations

import copy
import enum
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sidecar.standins.llm_faults import Fault, Kind

if TYPE_CHECKING:
    from sidecar.llm import Document

NOT_JSON = b'{"broken": '


class Stage(enum.Enum):
    """What an event is for."""

    QUIET = enum.auto()
    """Head of the stream, ping, start or end of a block: no content."""
    TOKEN = enum.auto()
    FINISH = enum.auto()
    """Says why it ended."""
    USAGE = enum.auto()
    """Comes for its usage alone."""
    END = enum.auto()
    """The dialect's last event."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `data` is JSON unless it is bytes already."""

    data: Document | bytes
    name: str = ""
    stage: Stage = Stage.QUIET


@dataclass(slots=True)
class Reply:
    """What goes back. With `events` it is a stream, else `body` is all of it."""

    status: int = 200
    body: Document | bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    events: list[Event] | None = None
    usage: Document | None = None
    """For a fault that puts it into every event."""

    @property
    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else compact(self.body)


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace")


def token_place(events: list[Event], tokens: int) -> int:
    """How many events there are up to and with the token of that number."""
    if not tokens:
        return next((at for at, event in enumerate(events) if event.stage is Stage.TOKEN), len(events))
    seen = 0
    for at, event in enumerate(events, 1):
        seen += event.stage is Stage.TOKEN
        if seen == tokens:
            return at
    return len(events)


def spoilt(events: list[Event], fault: Fault, error: Event, usage: Document | None) -> list[Event]:
    """The events of a stream that meets the fault; `error` is the provider's own event for it."""
    place = token_place(events, fault.tokens)
    match fault.kind:
        case Kind.NO_DONE | Kind.NO_DONE_OPEN:
            return [event for event in events if event.stage is not Stage.END]
        case Kind.NO_FINISH:
            return [event for event in events if event.stage is not Stage.FINISH]
        case Kind.MALFORMED:
            named = events[place - 1].name if place else ""
            return [*events[:place], Event(NOT_JSON, named), *events[place:]]
        case Kind.ERROR_FIRST:
            return [error]
        case Kind.ERROR_INSIDE:
            return [*events[:place], numbered(error, place)]
        case Kind.EMPTY:
            return []
        case Kind.NAMELESS:
            return [replace(event, name="") for event in events]
        case Kind.USAGE_NEVER:
            return [changed(event, None) for event in events if event.stage is not Stage.USAGE]
        case Kind.USAGE_NULL:
            return [changed(event, {"usage": None}) for event in events if event.stage is not Stage.USAGE]
        case Kind.USAGE_EACH:
            return counted(events, usage or {})
        case _:
            return events


def numbered(error: Event, place: int) -> Event:
    """With the number that follows, where events have one."""
    if isinstance(error.data, bytes) or "sequence_number" not in error.data:
        return error
    return replace(error, data={**error.data, "sequence_number": place})


def counted(events: list[Event], usage: Document) -> list[Event]:
    """Each with what it had cost up to then; the last ones with all of it."""
    out, seen = [], 0
    for event in events:
        seen += event.stage is Stage.TOKEN
        so_far = dict(usage)
        if event.stage in {Stage.QUIET, Stage.TOKEN}:
            for name in {"completion_tokens", "output_tokens"} & usage.keys():
                so_far[name] = min(seen, usage[name])
            if "prompt_tokens" in usage:
                so_far["total_tokens"] = usage["prompt_tokens"] + so_far["completion_tokens"]
        out.append(changed(event, {"usage": so_far}))
    return out


def changed(event: Event, usage: Document | None) -> Event:
    """The event with this usage (`{"usage": …}`), or with none."""
    if isinstance(event.data, bytes):
        return event
    data = copy.deepcopy(event.data)
    for inner in (data, data.get("message"), data.get("response")):
        if isinstance(inner, dict) and ("usage" in inner or (inner is data and usage is not None)):
            inner.pop("usage", None)
            inner.update(usage or {})
    return replace(event, data=data)


def written(event: Event, fault: Fault) -> bytes:
    """As server-sent event (WHATWG HTML, 9.2), in the way of the fault."""
    data = event.data if isinstance(event.data, bytes) else compact(event.data)
    lines = [b"data: " + data]
    if fault.kind is Kind.LINES and not isinstance(event.data, bytes):
        pretty = json.dumps(event.data, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace")
        lines = [b"data:" + line for line in pretty.split(b"\n")]
    if event.name:
        lines.insert(0, b"event: " + event.name.encode())
    if fault.kind is Kind.COMMENTS:
        lines[:0] = [b": keep-alive", b"", b":", b""]
    end = b"\r\n" if fault.kind is Kind.CRLF else b"\n"
    return end.join(lines) + end + end
