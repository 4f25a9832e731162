"""`[faults]` of the policy file on LLM routes: all that is above meets them as if a provider had failed.

A fault that asks for `anthropic-version` meets the attempts at Anthropic alone, whoever calls: each
of them has that field.
"""

from __future__ import annotations

import pytest

from tests.kit.llm_raw import breakers, chats, code_of, messages, metrics, route_of, streamed, text_of
from tests.kit.llm_stage import CLAUDE_FIRST, CLAUDE_ONLY, GPT_ONLY, SAID, stage

TIMES = 'timeout = { attempt = "60ms", first_token = "60ms", idle = "60ms" }'
CLAUDE = '{ path = "/v1/*", headers = { anthropic-version = "*" } }'
ALL = '{ path = "/v1/*" }'


def fault(what: str, match: str = CLAUDE) -> str:
    return f"[faults.ours]\nmatch = {match}\n{what}\n"


WHOLE = ['delay = "10m"', "status = 500", "status = 529", "reset = true", "cut_after_tokens = 2", 'stall = "10m"',
         "malformed = true"]  # fmt: skip
STREAMED = [*WHOLE[:4], "cut_after_tokens = 0", 'stall = "10m"', "malformed = true", 'first_token = "10m"']


@pytest.mark.parametrize("what", WHOLE)
async def test_a_whole_answer_comes_from_who_does_not_fail(what: str) -> None:
    async with stage(retry="tries = 1", anthropic_keys=TIMES, more=fault(what)) as s:
        answer = await chats(s.sidecar, CLAUDE_FIRST)
        assert (text_of(answer), route_of(answer)) == (SAID, ("openai", "2"))
        assert s.openai.count == 1


@pytest.mark.parametrize("what", STREAMED)
async def test_a_stream_comes_from_who_does_not_fail(what: str) -> None:
    async with stage(retry="tries = 1", anthropic_keys=TIMES, more=fault(what)) as s:
        answer = await chats(s.sidecar, CLAUDE_FIRST, stream=True)
        assert answer.body.endswith(b"data: [DONE]\n\n")
        assert route_of(answer) == ("openai", "2")


async def test_a_refusal_is_tried_again_as_often_as_the_file_says() -> None:
    async with stage(more=fault("status = 503", ALL)) as s:
        answer = await chats(s.sidecar, CLAUDE_FIRST)
        assert (answer.status, route_of(answer), s.counts) == (503, ("anthropic", "6"), (0, 0))
        assert b"fault ours" in answer.body
        retries = await metrics(s.sidecar, "sidecar_retries_total")
        assert sum(retries.values()) == 4


async def test_money_that_ran_out_by_our_own_word_rests_nobody_for_ever() -> None:
    async with stage(retry='max_rest = "10ms"', more=fault("status = 402")) as s:
        answer = await chats(s.sidecar, CLAUDE_ONLY)
        assert (answer.status, answer.fields["x-should-retry"], s.counts) == (429, "false", (0, 0))


async def test_a_breaker_hears_of_them() -> None:
    circuit = "circuit_breaker = { failure_threshold = 2 }"
    async with stage(retry="tries = 1", anthropic_keys=circuit, more=fault("reset = true")) as s:
        for _ in range(2):
            await messages(s.sidecar, CLAUDE_ONLY)
        assert (await breakers(s.sidecar))["anthropic/claude-sonnet-4-6"] == "open"


@pytest.mark.parametrize("model", [GPT_ONLY, CLAUDE_ONLY])
async def test_a_cut_behind_the_first_token_is_an_error(model: str) -> None:
    async with stage(more=fault("cut_after_tokens = 5", ALL)) as s:
        told = await streamed(s.sidecar, model)
        assert b'"upstream_reset"' in told
        assert b"[DONE]" not in told
        assert not told.endswith(b"0\r\n\r\n")


async def test_a_spoiled_event_passes_in_its_own_dialect_and_is_counted() -> None:
    async with stage(more=fault("malformed = true", ALL)) as s:
        told = await streamed(s.sidecar, GPT_ONLY)
        assert b'data: {"torn\n\n' in told
        assert b"data: [DONE]" in told
        events = await metrics(s.sidecar, "sidecar_stream_events_total")
        assert events['upstream="openai",kind="unparseable"'] == 1


async def test_an_error_of_the_files_has_the_shape_of_the_callers() -> None:
    async with stage(retry="tries = 1", more=fault("status = 422", ALL)) as s:
        assert code_of(await chats(s.sidecar, GPT_ONLY))[0] == 422
        told = await messages(s.sidecar, CLAUDE_ONLY)
        assert (told.status, b'"type":"invalid_request_error"' in told.body) == (422, True)
