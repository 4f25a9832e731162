"""The last link of a chain that needs nobody: an answer written in the policy file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.call import Facts, Reply, What, Wire
from sidecar.dialects.beamline import DECIDE
from sidecar.dialects.metadata import is_name, is_text

if TYPE_CHECKING:
    from sidecar.call import Attempt, Call, Header, Headers

_OF_HTTP = frozenset({b"content-type", b"content-length", b"content-encoding", b"te", b"user-agent"})
"""Fields that say something of an HTTP body, or that gRPC has for itself."""


class StaticUpstream:
    """Answers every call with the same: a status, fields and a body over HTTP; over gRPC a status with its text, and
    the fields as trailing metadata.

    `decision`: a RouteDecision that answers decides over gRPC instead.
    """

    def __init__(
        self,
        status: int,
        headers: tuple[Header, ...],
        body: bytes,
        code: str = "UNAVAILABLE",
        message: str = "",
        *,
        decision: bytes | None = None,
    ) -> None:
        self._status = status
        self._headers = headers
        self._fields = {name.lower(): value for name, value in headers}
        self._body = body
        self._code = code
        self._message = message
        self._decision = decision
        self._metadata: Headers = [(name, value) for name, value in self._fields.items() if _is_metadata(name, value)]

    async def send(self, call: Call, attempt: Attempt) -> Reply:  # noqa: ARG002 - the interface of `Upstream`
        if call.wire is Wire.GRPC:
            if self._decision is not None and call.path == DECIDE:
                reply = Reply(200, b"", [], Facts(What.REPLY, status=200, grpc_code="OK"), {}, whole=self._decision)
                reply.code, reply.trailers = "OK", self._metadata
                return reply
            reply = Reply(200, b"", [], Facts(What.REPLY, status=200, grpc_code=self._code), {})
            reply.code, reply.message, reply.trailers = self._code, self._message, self._metadata
            return reply
        facts = Facts(What.REPLY, status=self._status)
        return Reply(self._status, b"", list(self._headers), facts, self._fields, whole=self._body)

    async def aclose(self) -> None:
        """Nothing is held."""


def _is_metadata(name: bytes, value: bytes) -> bool:
    """Whether a field may stand in gRPC metadata, too: not what HTTP or gRPC has for itself, and printable ASCII."""
    ours = name not in _OF_HTTP and not name.startswith(b"grpc-")
    return ours and is_name(name) is not None and is_text(value.decode("latin-1"))
