"""Anthropic's words for a status, and for what OpenAI would call the code."""

from __future__ import annotations

from sidecar.standins.anthropic_errors import document, error


def test_it_has_its_own_shape_and_repeats_the_request_s_id() -> None:
    assert document(error(404, "", "claude-9"), "req_1") == {
        "type": "error",
        "error": {"type": "not_found_error", "message": "model: claude-9"},
        "request_id": "req_1",
    }


def test_a_code_chooses_among_the_words_of_its_status() -> None:
    assert error(400, "context_length_exceeded", "").message == "prompt is too long: 208310 tokens > 200000 maximum"
    assert error(400, "insufficient_quota", "").message == "messages: Field required"
    assert error(429, "insufficient_quota", "").message.startswith("You have reached your specified API usage limits.")
    assert (error(599, "", "").type, error(529, "", "").type) == ("api_error", "overloaded_error")
