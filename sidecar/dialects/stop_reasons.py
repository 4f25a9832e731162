"""Why an answer ended, in the other dialect's words: Anthropic's `stop_reason`, OpenAI's `finish_reason`."""

from __future__ import annotations

_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


def to_finish_reason(stop_reason: object, *, tools: bool) -> str:
    """`tools`: the answer calls any. A reason that nobody knows is an ordinary end."""
    reason = _FINISH_REASONS.get(stop_reason, "stop") if isinstance(stop_reason, str) else "stop"
    return "tool_calls" if tools and reason == "stop" else reason


def to_stop_reason(finish_reason: object, *, tools: bool) -> str:
    """`tools`: the answer calls any; vLLM and Ollama say `stop` even so. A reason nobody knows is an ordinary end."""
    reason = _STOP_REASONS.get(finish_reason, "end_turn") if isinstance(finish_reason, str) else "end_turn"
    return "tool_use" if tools and reason == "end_turn" else reason


def explanation_of(stop_reason: object, stop_details: object) -> str | None:
    """What a message's `stop_details` say of its refusal, None when it is none or says nothing."""
    if stop_reason != "refusal" or not isinstance(stop_details, dict):
        return None
    explanation = stop_details.get("explanation")
    return explanation if isinstance(explanation, str) and explanation else None
