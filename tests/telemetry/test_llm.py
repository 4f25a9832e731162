"""What telemetry says of LLM calls: tokens and events by closed sets, model and tokens in a call's line."""

from __future__ import annotations

import json

import pytest

from sidecar.llm import Ask, Dialect, Kind, Usage
from sidecar.telemetry.access_log import LONGEST_MODEL, AccessLog
from sidecar.telemetry.lines import Timestamp, as_json
from sidecar.telemetry.log_writer import LogWriter
from sidecar.telemetry.start import telemetry_to
from tests.kit.finished_calls import finished_call, summary


def samples(telling: list[tuple[str, Usage, bool]], events: dict[str, int]) -> dict[str, float]:
    """What `/metrics` has of tokens and events, after an upstream's targets of these models have told."""
    writer = LogWriter(1)
    telemetry = telemetry_to(writer, version="1")
    try:
        for model, usage, wasted in telling:
            telemetry.target("llm", "openai", model).spent(finished_call(), usage, wasted=wasted)
        telemetry.target("llm", "openai").streamed(events)
        _, text = telemetry.metrics.exposition("")
    finally:
        writer.close()
    found = {}
    for line in text.decode().splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith(("sidecar_tokens_total{", "sidecar_stream_events_total{")):
            found[name.removeprefix("sidecar_").replace('upstream="openai",', "")] = float(value)
    return found


def test_tokens_are_counted_by_model_and_kind() -> None:
    told = [("gpt-4o", Usage(10, 5, 4), False), ("gpt-4o", Usage(1, 2), True), ("", Usage(7, 0), False)]
    assert samples(told, {}) == {
        'tokens_total{model="gpt-4o",kind="input"}': 10,
        'tokens_total{model="gpt-4o",kind="output"}': 5,
        'tokens_total{model="gpt-4o",kind="cached"}': 4,
        'tokens_total{model="gpt-4o",kind="wasted"}': 3,
        'tokens_total{model="other",kind="input"}': 7,
    }


def test_events_are_counted_by_what_they_were() -> None:
    assert samples([], {"content": 3, "end": 1}) == {
        'stream_events_total{kind="content"}': 3,
        'stream_events_total{kind="end"}': 1,
    }


@pytest.mark.parametrize(
    ("answered_by", "asked", "told"),
    [("gpt-4o", "smart", "gpt-4o"), ("", "smart", "smart"), ("", "", None), ("", "x" * 999, "x" * LONGEST_MODEL)],
)
def test_the_line_of_a_call_names_who_answered_else_who_was_asked(answered_by: str, asked: str, told: str) -> None:
    lines: list[bytes] = []

    class Lines:
        def write(self, line: bytes) -> None:
            lines.append(line)

    log = AccessLog(Lines(), as_json, Timestamp(), lambda: 0.0)  # type: ignore[arg-type]  # all of a writer that is used
    call = finished_call()
    call.llm = Ask(Dialect.OPENAI, Kind.CHAT, b"/chat/completions", model=asked, answered_by=answered_by)
    log.write(call, summary())
    call.llm.usage = Usage(10, 5, 4)
    log.write(call, summary())
    without, with_tokens = map(json.loads, lines)
    assert (without.get("model"), "tokens" in without) == (told, False)
    assert with_tokens["tokens"] == {"input": 10, "output": 5, "cached": 4}
