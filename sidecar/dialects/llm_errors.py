"""The errors of LLM providers: read from any of them, judged, and written in the caller's dialect.

    read_error(status, body) -> LlmError      error_of(event) -> LlmError
    sign_of(error) -> Sign | None
    write_error(dialect, error, request_id) -> (status, body)      error_event(kind, error) -> bytes

An error whose caller speaks its own dialect is not written again: its bytes pass as they came.
"""

from __future__ import annotations

from sidecar.dialects.llm_error_reading import LlmError, error_of, read_error
from sidecar.dialects.llm_error_signs import sign_of
from sidecar.dialects.llm_error_writing import error_event, write_error

__all__ = ["LlmError", "error_event", "error_of", "read_error", "sign_of", "write_error"]
