"""Tokens in the three shapes: what each counts, and that nothing a server says makes a wrong or negative number."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.types import Usage as AnthropicUsage
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CompletionUsage
from openai.types.responses import ResponseUsage

from sidecar.dialects.llm_usage import (
    Counts,
    completion_usage,
    counts_of_completion,
    counts_of_message,
    counts_of_response,
    message_usage,
    response_usage,
    usage_of_completion,
    usage_of_message,
    usage_of_response,
)
from sidecar.llm import Usage

TOKENS = st.integers(0, 10**9)
COUNTS = st.builds(Counts, TOKENS, TOKENS, TOKENS, TOKENS, st.none() | TOKENS)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from([
    "input_tokens", "output_tokens", "prompt_tokens", "completion_tokens", "cache_read_input_tokens",
    "cache_creation_input_tokens", "prompt_tokens_details", "input_tokens_details", "output_tokens_details",
    "completion_tokens_details", "cached_tokens", "cache_write_tokens",
])  # fmt: skip


def message(**usage: Any) -> dict[str, Any]:
    return {"usage": usage}


completion = response = message


def test_anthropics_input_leaves_out_the_cache_and_ours_counts_it() -> None:
    told = message(input_tokens=10, cache_read_input_tokens=200, cache_creation_input_tokens=30, output_tokens=7)
    assert usage_of_message(told) == Usage(input=240, output=7, cached=200)


def test_openais_prompt_counts_the_cache() -> None:
    told = completion(
        prompt_tokens=240,
        completion_tokens=7,
        total_tokens=247,
        prompt_tokens_details={"cached_tokens": 200, "cache_write_tokens": 30},
        completion_tokens_details={"reasoning_tokens": 5},
    )
    assert usage_of_completion(told) == Usage(input=240, output=7, cached=200)
    counts = counts_of_completion(told)
    assert counts == Counts(fresh=10, cache_read=200, cache_written=30, output=7, reasoning=5)
    assert counts is not None
    assert message_usage(counts) == {
        "input_tokens": 10,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 200,
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 5},
    }


def test_a_responses_input_counts_the_cache() -> None:
    told = response(input_tokens=240, output_tokens=7, input_tokens_details={"cached_tokens": 200})
    assert usage_of_response(told) == Usage(input=240, output=7, cached=200)


def test_fresh_tokens_are_never_negative() -> None:
    told = completion(
        prompt_tokens=5, completion_tokens=1, prompt_tokens_details={"cached_tokens": 9, "cache_write_tokens": 9}
    )
    assert counts_of_completion(told) == Counts(fresh=0, cache_read=5, cache_written=0, output=1)


def test_a_streams_counts_are_cumulative_and_later_events_tell_only_some() -> None:
    begun = counts_of_message(message(input_tokens=25, cache_read_input_tokens=100, output_tokens=1))
    ended = counts_of_message(message(output_tokens=15), begun)
    assert ended == Counts(fresh=25, cache_read=100, output=15)


def test_a_count_that_was_unknown_at_the_start_is_corrected_at_the_end() -> None:
    begun = counts_of_message(message(input_tokens=0, output_tokens=0))
    assert counts_of_message(message(input_tokens=25, output_tokens=15), begun) == Counts(fresh=25, output=15)


def test_a_zero_at_the_end_takes_nothing_back() -> None:
    begun = counts_of_message(message(input_tokens=25, output_tokens=1))
    assert counts_of_message(message(input_tokens=0, output_tokens=15), begun) == Counts(fresh=25, output=15)


@pytest.mark.parametrize("usage", [None, {}, [], "7", 7, {"prompt_tokens": None}, {"input_tokens": True}])
def test_what_tells_no_count_is_no_usage(usage: object) -> None:
    told = {"usage": usage}
    assert usage_of_message(told) is None
    assert usage_of_completion(told) is None
    assert usage_of_response(told) is None
    assert usage_of_message({}) is None


def test_embeddings_have_no_output() -> None:
    assert usage_of_completion(completion(prompt_tokens=8, total_tokens=8)) == Usage(input=8)


def test_a_server_may_leave_out_the_details_or_send_null() -> None:
    told = completion(prompt_tokens=8, completion_tokens=2, prompt_tokens_details=None)
    assert usage_of_completion(told) == Usage(input=8, output=2)


@given(COUNTS)
def test_what_is_written_is_read_again(counts: Counts) -> None:
    assert counts_of_message({"usage": message_usage(counts)}) == counts
    assert counts_of_completion({"usage": completion_usage(counts)}) == counts
    again = counts_of_response({"usage": response_usage(counts)})
    assert again is not None
    assert again.usage == counts.usage


@given(COUNTS)
def test_the_sdks_accept_what_is_written(counts: Counts) -> None:
    AnthropicUsage.model_validate(message_usage(counts), strict=True)
    ResponseUsage.model_validate(response_usage(counts), strict=True)
    read = CompletionUsage.model_validate(completion_usage(counts), strict=True)
    assert read.total_tokens == read.prompt_tokens + read.completion_tokens


@given(st.dictionaries(NAMES, JSON | st.dictionaries(NAMES, JSON)))
def test_no_usage_of_any_shape_makes_an_error_or_a_negative_count(usage: dict[str, Any]) -> None:
    for read in (counts_of_message, counts_of_completion, counts_of_response):
        counts = read({"usage": usage})
        if counts is not None:
            assert min(counts.fresh, counts.cache_read, counts.cache_written, counts.output) >= 0
