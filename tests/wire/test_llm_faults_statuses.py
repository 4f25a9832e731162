"""Every status a provider refuses with: what each client sees of it, and what it gets when the other is behind it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from sidecar.standins.llm_faults import Fault, Kind
from tests.kit.llm_stage import ALONE, ANTHROPIC, FIRST, MODEL, OPENAI, OTHER, SAID, stage

TRIES = 3


@dataclass(frozen=True)
class Row:
    """A refusal; how often its target is asked; what the users of OpenAI's and of Anthropic's client get when nobody is
    left, and in which category. `across` says the same where the refusal of one becomes another one's.
    """

    name: str
    fault: Fault
    asked: int
    of_openai: str
    of_anthropic: str
    category: str = "server"
    falls_back: bool = True
    across: tuple[str, str, str] | None = None

    def seen(self, client: str, broken: str) -> tuple[str, str]:
        if self.across is not None and client != broken and self.across[0] == client:
            return self.across[1:]
        return (self.of_openai if client == OPENAI else self.of_anthropic), self.category


def told(status: int, code: str = "", *, after: str = "", after_ms: str = "") -> Fault:
    return Fault(Kind.STATUS, status=status, code=code, retry_after=after, retry_after_ms=after_ms)


BAD, LIMITED, SERVER, ANY = "BadRequestError", "RateLimitError", "InternalServerError", "APIStatusError"
OVERLOADED, AWAY, UNPROCESSABLE = "OverloadedError", "ServiceUnavailableError", "UnprocessableEntityError"
UNPAID, LATE, LONG = "PaymentRequiredError", "GatewayTimeoutError", "ContentTooLargeError"
INVALID, LIMIT = "invalid_request", "rate_limit"
POLICY = "content_policy_violation"
# OpenAI has no 402 and no 529, Anthropic's clients know no 503 of an overload.
BUSY = (ANTHROPIC, OVERLOADED, "server")
ROWS = [
    Row("context length", told(400, "context_length_exceeded"), 1, BAD, BAD, INVALID),
    Row("bad request", told(400), 1, BAD, BAD, INVALID, falls_back=False),
    Row("content policy", told(400, POLICY), 1, BAD, BAD, INVALID, falls_back=False),
    Row("own key", told(401), 1, SERVER, SERVER),
    Row("own key may not", told(403), 1, SERVER, SERVER),
    Row("money", told(402), 1, ANY, UNPAID, "unknown", across=(OPENAI, LIMITED, LIMIT)),
    Row("model", told(404), 1, "NotFoundError", "NotFoundError", INVALID),
    Row("timeout", told(408), TRIES, ANY, "RequestTimeoutError"),
    Row("conflict", told(409), TRIES, "ConflictError", "ConflictError", INVALID),
    Row("size", told(413), 1, ANY, LONG, INVALID, falls_back=False),
    Row("unprocessable", told(422), 1, UNPROCESSABLE, UNPROCESSABLE, INVALID, falls_back=False),
    Row("limit", told(429), TRIES, LIMITED, LIMITED, LIMIT),
    Row("limit, short wait", told(429, after_ms="2"), TRIES, LIMITED, LIMITED, LIMIT),
    Row("limit, long wait", told(429, after="90"), 1, LIMITED, LIMITED, LIMIT),
    Row("limit, two waits", told(429, after="90", after_ms="2"), TRIES, LIMITED, LIMITED, LIMIT),
    Row("quota", told(429, "insufficient_quota"), 1, LIMITED, LIMITED, LIMIT, across=(ANTHROPIC, UNPAID, "unknown")),
    Row("error", told(500), TRIES, SERVER, SERVER),
    Row("gateway", told(502), TRIES, SERVER, SERVER),
    Row("unavailable", told(503), TRIES, SERVER, AWAY, across=BUSY),
    Row("unavailable, short wait", told(503, after_ms="2"), TRIES, SERVER, AWAY, across=BUSY),
    Row("unavailable, long wait", told(503, after="90"), 1, SERVER, AWAY, across=BUSY),
    Row("slow gateway", told(504), TRIES, SERVER, LATE),
    Row("overloaded", told(529), TRIES, SERVER, OVERLOADED),
]

EACH_ROW = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
STREAMED = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
CLIENTS = pytest.mark.parametrize("client", [OPENAI, ANTHROPIC])


@EACH_ROW
@CLIENTS
@pytest.mark.parametrize("broken", [OPENAI, ANTHROPIC])
@STREAMED
async def test_alone(row: Row, client: str, broken: str, streamed: bool) -> None:
    async with stage() as s:
        await s.provider(broken).switch(row.fault)
        got = await s.ask(ALONE[broken], client=client, stream=streamed)
        assert s.asked(broken) == (row.asked, 0)
    assert (got.kind, got.told("error-category"), got.text) == (*row.seen(client, broken), "")
    assert (got.upstream, got.attempts) == (broken, row.asked)
    if "own key" in row.name:
        assert (got.status, "refuses our credential" in str(got.error)) == (502, True)
    refused_for_good = row.asked > 1 or row.name in {"money", "quota"}
    assert got.headers.get("x-should-retry") == ("false" if refused_for_good else None)


@EACH_ROW
@CLIENTS
@pytest.mark.parametrize("broken", [OPENAI, ANTHROPIC])
async def test_with_the_other_behind_it(row: Row, client: str, broken: str) -> None:
    async with stage() as s:
        await s.provider(broken).switch(row.fault)
        got = await s.ask(FIRST[broken], client=client, stream=client == broken)
        assert s.asked(broken) == (row.asked, 1 if row.falls_back else 0)
    if not row.falls_back:
        assert (got.kind, got.upstream) == (row.seen(client, broken)[0], broken)
        return
    other = OTHER[broken]
    model = MODEL[other]
    assert (got.text, got.model, got.error, got.usage) == (SAID, model, None, (5, 4))
    assert (got.upstream, got.told("model"), got.attempts) == (other, model, row.asked + 1)
    assert got.stop == ("stop" if client == OPENAI else "end_turn")
