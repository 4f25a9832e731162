"""The tokens that an answer tells, read from and written in the three shapes they come in.

Anthropic's `input_tokens` leaves out what was read from a cache or written to it; OpenAI's `prompt_tokens` and the
`input_tokens` of a response count all of the prompt. Counts that are absent, null or no counts are not told; they
never make an error.
"""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.llm import Document, Usage

_NO_COUNT = 2**53
"""No answer has this many tokens; sums of smaller counts still fit into JSON as orjson writes it."""


@dataclass(slots=True)
class Counts:
    """What an answer cost, in the finest division that the dialects share. `reasoning` is a part of `output`."""

    fresh: int = 0
    """Tokens of the prompt that no cache had to do with."""
    cache_read: int = 0
    cache_written: int = 0
    output: int = 0
    reasoning: int | None = None

    @property
    def input(self) -> int:
        """All of the prompt."""
        return self.fresh + self.cache_read + self.cache_written

    @property
    def usage(self) -> Usage:
        return Usage(self.input, self.output, self.cache_read)


def usage_of_message(document: Document) -> Usage | None:
    """The `usage` of a message or of a `message_delta`, None when it tells none."""
    counts = counts_of_message(document)
    return None if counts is None else counts.usage


def usage_of_completion(document: Document) -> Usage | None:
    """The `usage` of a completion (chat or legacy), of a chunk or of embeddings, None when it tells none."""
    return _usage_of_openai(document.get("usage"), "prompt_tokens", "completion_tokens")


def usage_of_response(document: Document) -> Usage | None:
    """The `usage` of a response, None when it tells none."""
    return _usage_of_openai(document.get("usage"), "input_tokens", "output_tokens")


def counts_of_message(document: Document, before: Counts | None = None) -> Counts | None:
    """Of a message or a `message_delta`; `before` is what the stream's earlier events told.

    Anthropic's counts are cumulative and an event may tell only some of them: each is the greatest that was told.
    """
    told = document.get("usage")
    if not isinstance(told, dict):
        return before
    input_, read = _count(told.get("input_tokens")), _count(told.get("cache_read_input_tokens"))
    written, output = _count(told.get("cache_creation_input_tokens")), _count(told.get("output_tokens"))
    if input_ is None and read is None and written is None and output is None:
        return before
    reasoning = _detail(told, "output_tokens_details", "thinking_tokens")
    old = before or Counts()
    return Counts(
        fresh=max(old.fresh, input_ or 0),
        cache_read=max(old.cache_read, read or 0),
        cache_written=max(old.cache_written, written or 0),
        output=max(old.output, output or 0),
        reasoning=old.reasoning if reasoning is None else max(old.reasoning or 0, reasoning),
    )


def counts_of_completion(document: Document) -> Counts | None:
    return _of_openai(document.get("usage"), "prompt_tokens", "completion_tokens")


def counts_of_response(document: Document) -> Counts | None:
    return _of_openai(document.get("usage"), "input_tokens", "output_tokens")


def message_usage(counts: Counts) -> Document:
    usage: Document = {
        "input_tokens": counts.fresh,
        "cache_creation_input_tokens": counts.cache_written,
        "cache_read_input_tokens": counts.cache_read,
        "output_tokens": counts.output,
    }
    if counts.reasoning is not None:
        usage["output_tokens_details"] = {"thinking_tokens": counts.reasoning}
    return usage


def completion_usage(counts: Counts) -> Document:
    usage: Document = {
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.input + counts.output,
        "prompt_tokens_details": {"cached_tokens": counts.cache_read, "cache_write_tokens": counts.cache_written},
    }
    if counts.reasoning is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": counts.reasoning}
    return usage


def response_usage(counts: Counts) -> Document:
    return {
        "input_tokens": counts.input,
        "input_tokens_details": {"cached_tokens": counts.cache_read, "cache_write_tokens": counts.cache_written},
        "output_tokens": counts.output,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning or 0},
        "total_tokens": counts.input + counts.output,
    }


def _of_openai(told: object, input_name: str, output_name: str) -> Counts | None:
    usage = _usage_of_openai(told, input_name, output_name)
    if usage is None or not isinstance(told, dict):
        return None
    unread = usage.input - usage.cached
    written = min(_detail(told, f"{input_name}_details", "cache_write_tokens") or 0, unread)
    return Counts(
        fresh=unread - written,
        cache_read=usage.cached,
        cache_written=written,
        output=usage.output,
        reasoning=_detail(told, f"{output_name}_details", "reasoning_tokens"),
    )


def _usage_of_openai(told: object, input_name: str, output_name: str) -> Usage | None:
    """What was cached is a part of the prompt; a server that says more than the prompt had is not believed."""
    if not isinstance(told, dict):
        return None
    prompt, output = _count(told.get(input_name)), _count(told.get(output_name))
    if prompt is None and output is None:
        return None
    prompt = prompt or 0
    cached = _detail(told, f"{input_name}_details", "cached_tokens")
    return Usage(prompt, output or 0, min(cached, prompt) if cached else 0)


def _detail(told: Document, group: str, name: str) -> int | None:
    details = told.get(group)
    return _count(details.get(name)) if isinstance(details, dict) else None


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < _NO_COUNT else None
