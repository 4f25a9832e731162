"""A dict becomes one line."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from sidecar.telemetry.lines import Timestamp, as_json, as_text

HEAD = {"timestamp": "2026-09-21T14:13:20.250Z", "level": "info"}


def test_the_timestamp_has_milliseconds_and_follows_the_clock() -> None:
    timestamp = Timestamp()
    assert [timestamp.of(now) for now in (0.0, 0.9999, 1.0, 59.0015, 0.25)] == [
        "1970-01-01T00:00:00.000Z",
        "1970-01-01T00:00:00.999Z",
        "1970-01-01T00:00:01.000Z",
        "1970-01-01T00:00:59.001Z",
        "1970-01-01T00:00:00.250Z",
    ]
    assert json.loads(as_json({"timestamp": timestamp.of(1.5)})) == {"timestamp": "1970-01-01T00:00:01.500Z"}


def test_json_that_orjson_cannot_say_is_said_all_the_same() -> None:
    line = as_json({**HEAD, "message": "half a pair \ud83d", "size": 1 << 80, "what": {1}})
    assert json.loads(line)["size"] == 1 << 80
    assert line.count(b"\n") == 1


def test_for_people_empty_fields_are_left_out() -> None:
    line = as_text({**HEAD, "message": "listening", "listener": "http", "route": ""})
    assert line == b"14:13:20.250 INFO    listening listener=http\n"


@given(st.text(), st.text())
def test_any_text_stays_in_its_line(message: str, value: str) -> None:
    fields = {**HEAD, "message": message, "value": value}
    for render in (as_json, as_text):
        line = render(dict(fields))
        assert line.endswith(b"\n")
        assert not set(line[:-1]) & set(range(32))
