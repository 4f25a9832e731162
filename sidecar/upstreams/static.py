"""The last link of a chain that needs nobody: an answer written in the policy file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.call import Facts, Reply, What

if TYPE_CHECKING:
    from sidecar.call import Attempt, Call, Header


class StaticUpstream:
    """Answers every call with the same status, fields and body."""

    def __init__(self, status: int, headers: tuple[Header, ...], body: bytes) -> None:
        self._status = status
        self._headers = headers
        self._fields = {name.lower(): value for name, value in headers}
        self._body = body

    async def send(self, call: Call, attempt: Attempt) -> Reply:  # noqa: ARG002 - the interface of `Upstream`
        facts = Facts(What.REPLY, status=self._status)
        return Reply(self._status, b"", list(self._headers), facts, self._fields, whole=self._body)

    async def aclose(self) -> None:
        """Nothing is held."""
