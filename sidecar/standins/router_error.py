"""What the stand-in Router answers instead of a reply: a word, and the gRPC status that goes with it."""

from __future__ import annotations

from grpc import StatusCode

CODES = {
    "invalid_request": StatusCode.INVALID_ARGUMENT,
    "missing_message": StatusCode.INVALID_ARGUMENT,
    "missing_tenant_id": StatusCode.INVALID_ARGUMENT,
    "invalid_policy": StatusCode.INVALID_ARGUMENT,
    "policy_not_found": StatusCode.NOT_FOUND,
    "rate_limit_exceeded": StatusCode.RESOURCE_EXHAUSTED,
    "unauthenticated": StatusCode.UNAUTHENTICATED,
    "permission_denied": StatusCode.PERMISSION_DENIED,
    "no_provider_available": StatusCode.INTERNAL,
    "internal": StatusCode.INTERNAL,
}
"""The Router's words for what is wrong. Several share INTERNAL: there the message alone tells them apart."""


class RouterError(Exception):
    """`word` is a key of `CODES`; the status message begins with it."""

    def __init__(self, word: str, text: str) -> None:
        super().__init__(f"{word}: {text}")
        self.word = word
        self.code = CODES[word]
