"""What both directions of a transcoded decide need: bodies held whole, and the call said otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sidecar.call import Call, Facts, Reply, Sign, What
from sidecar.errors import UpstreamError
from sidecar.replies import let_go, read_up_to

if TYPE_CHECKING:
    from sidecar.call import Attempt, Headers

LONGEST_ANSWER = 64 * 1024
"""Bytes. c-gateway answers 503 itself where its Router's answer is longer."""


def derived(call: Call, **changes: Any) -> Call:
    """The same call, with its ids, times and wishes, said otherwise."""
    made = Call.__new__(Call)
    made.__dict__.update(call.__dict__, **changes)
    return made


def index(headers: Headers) -> dict[bytes, bytes]:
    """Lower-case name to value, repeated fields joined with a comma."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        lower = name.lower()
        fields[lower] = b"%b, %b" % (fields[lower], value) if lower in fields else value
    return fields


async def hold(call: Call, attempt: Attempt, most: int) -> bytes:
    """The request's body, whole. Raises `UpstreamError` with CANNOT_CARRY when it is longer than `most` bytes."""
    coming = not call.body.complete
    whole = await call.body.collect(most)
    if whole is None:
        detail = f"the body is longer than {most:,} bytes"
        raise UpstreamError(Facts(What.CANNOT_CARRY, sign=Sign.TOO_LARGE, detail=detail))
    if coming:
        attempt.sent()
    return whole


async def read(reply: Reply) -> bytes:
    """The answer's body, kept in the reply as `whole`. What the reply holds is given back, also when it fails.

    Raises `UpstreamError`: an answer that is cut has given no evidence, one longer than 64 KiB is no decision.
    """
    try:
        whole = await read_up_to(reply, LONGEST_ANSWER)
    except UpstreamError as error:
        if error.facts.what is not What.BROKE:
            raise
        raise UpstreamError(replace(error.facts, what=What.RESET)) from error
    let_go(reply)
    if whole is None:
        raise UpstreamError(Facts(What.UNPARSEABLE, detail=f"an answer longer than {LONGEST_ANSWER:,} bytes"))
    reply.whole, reply.chunks = whole, None
    return whole


def cannot_carry(detail: str) -> UpstreamError:
    """The call is not for this target; nothing was sent."""
    return UpstreamError(Facts(What.CANNOT_CARRY, detail=detail))


def no_decision(status: int, detail: str = "without a decision") -> UpstreamError:
    """The target answered, and nobody can make a decision of it."""
    return UpstreamError(Facts(What.UNPARSEABLE, status=status, detail=f"{status} {detail}"))
