"""The Router's words and their statuses."""

from __future__ import annotations

import pytest
from grpc import StatusCode

from sidecar.standins.router_error import CODES, RouterError


def test_the_message_begins_with_the_word() -> None:
    error = RouterError("policy_not_found", "demo has no policy 'p'")
    assert (error.code, str(error)) == (StatusCode.NOT_FOUND, "policy_not_found: demo has no policy 'p'")


@pytest.mark.parametrize("word", ["invalid_request", "missing_message", "missing_tenant_id", "invalid_policy"])
def test_what_the_caller_did_wrong_is_invalid_argument(word: str) -> None:
    assert CODES[word] is StatusCode.INVALID_ARGUMENT
