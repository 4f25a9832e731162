"""What a refusal of ours looks like on the wire."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.kit.caller import Answer


def refusal(answer: Answer) -> tuple[int, str]:
    """Status and code of a refusal in our own shape; the rest of it must be right, whichever it is."""
    error = told(answer)
    proxy_status = answer.fields["proxy-status"]
    assert re.fullmatch(rf'sidecar; error=[a-z_]+; details="{error["code"]}"', proxy_status)
    assert answer.fields["content-type"] == "application/json"
    if "retry_after" in error:
        assert answer.fields["retry-after"] == str(error["retry_after"])
    return answer.status, error["code"]


def told(answer: Answer) -> dict[str, Any]:
    """The error object; it has no keys but those of the contract."""
    error: dict[str, Any] = json.loads(answer.body)["error"]
    assert set(error) - {"retry_after"} == {"type", "message", "code", "correlation_id"}
    return error
