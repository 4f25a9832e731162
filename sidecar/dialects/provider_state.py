"""Whether a request names what only one provider has: files, containers, stored responses, sealed reasoning.

Such a request must not go to another provider, which would not know the name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sidecar.llm import Document

_NAMES = frozenset(
    {
        "previous_response_id", "conversation", "container", "container_id", "file_id", "file_ids", "vector_store_id",
        "vector_store_ids", "encrypted_content",
    }
)  # fmt: skip
_HINT = re.compile(rb'"(?:%b|item_reference)"' % "|".join(sorted(_NAMES)).encode())
"""Most requests have none of these words. In a text their quotes are escaped, so a text that tells of them is none."""

_SCHEMAS = frozenset({"parameters", "input_schema", "schema"})
"""Here such a word is the name of a caller's own argument."""


def names_state(body: bytes, document: Document) -> bool:
    """`document` is `body` parsed."""
    return _HINT.search(body) is not None and _inside(document)


def _inside(value: Any) -> bool:
    left = [value]
    while left:  # no recursion: how deep it goes is the caller's choice
        value = left.pop()
        if isinstance(value, list):
            left += value
        elif isinstance(value, dict):
            if value.get("type") == "item_reference":
                return True
            called = value.get("type") in ("tool_use", "server_tool_use")
            for name, inner in value.items():
                if name in _SCHEMAS or (called and name == "input"):  # a caller's own words
                    continue
                if name in _NAMES and inner:
                    return True
                left.append(inner)
    return False
