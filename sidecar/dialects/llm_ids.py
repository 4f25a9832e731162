"""Ids of answers and of tool calls, from one dialect into the other.

An answer keeps its own part: `msg_01X` is `chatcmpl-01X`. So a person finds the provider's id
in the caller's log.
"""

from __future__ import annotations

_COMPLETION = "chatcmpl-"
_MESSAGE = "msg_"


def to_completion_id(message_id: object) -> str:
    """`msg_X` as `chatcmpl-X`. An id without that prefix is kept whole behind ours; what is no id gives the prefix."""
    return _COMPLETION + _own_part(message_id)


def to_message_id(completion_id: object) -> str:
    """`chatcmpl-X` as `msg_X`. An id without that prefix is kept whole behind ours; what is no id gives the prefix."""
    return _MESSAGE + _own_part(completion_id)


def tool_id_of(completion_id: object, number: int) -> str:
    """The id of a tool call that came without one: the same for the same answer and the same place in it."""
    return f"call_{_own_part(completion_id)}_{number}"


def _own_part(answer_id: object) -> str:
    if not isinstance(answer_id, str):
        return ""
    return answer_id.removeprefix(_COMPLETION).removeprefix(_MESSAGE)
