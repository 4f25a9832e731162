"""Read, written and read again: what an error means does not change on the way through two dialects."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from sidecar.call import Sign
from sidecar.dialects.llm_errors import LlmError, error_event, error_of, read_error, sign_of, write_error
from sidecar.llm import Dialect, Kind

WORDS = st.sampled_from([
    "", "insufficient_quota", "billing_error", "context_length_exceeded", "content_filter", "model_not_found",
    "rate_limit_exceeded", "overloaded_error", "server_error", "NotFoundError",
]) | st.text(max_size=8)  # fmt: skip
TEXTS = st.sampled_from([
    "Your credit balance is too low", "prompt is too long: 9 > 8", "model: m",
    "Output blocked by content filtering policy",
]) | st.text(max_size=20)  # fmt: skip
ERRORS = st.builds(LlmError, st.integers(100, 700), WORDS, WORDS, TEXTS, st.none() | st.text(max_size=5))
KINDS = st.sampled_from([Kind.CHAT, Kind.COMPLETIONS, Kind.MESSAGES, Kind.RESPONSES])


@given(ERRORS, st.sampled_from(Dialect))
def test_an_errors_sign_outlives_its_dialect(error: LlmError, dialect: Dialect) -> None:
    status, body = write_error(dialect, error, "req-1")
    assert 400 <= status <= 599
    sign = sign_of(read_error(status, body))
    assert sign is sign_of(error)


@given(ERRORS, KINDS)
def test_what_has_a_word_of_its_own_outlives_its_stream(error: LlmError, kind: Kind) -> None:
    event = error_event(kind, error)
    assert event.endswith(b"\n\n")
    sign = sign_of(error)
    if sign not in (None, Sign.OWN_CREDENTIAL_REFUSED):
        assert sign_of(error_of(orjson.loads(event.split(b"data: ", 1)[1]))) is sign
