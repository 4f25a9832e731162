"""What an attempt's end means: the decision table, as one total pure function.

Facts in, an `Outcome` out, first matching row wins, everything ends in a row.
Three questions are kept apart: is the target well (the breaker hears it), may
the same target be tried again, may another one. A call that may have been
carried out and is not idempotent goes nowhere else: falling back would do it
twice as surely as retrying (RFC 9110, section 9.2.2).

Whether another attempt is *possible* (a body that can be replayed, tries,
budget, time) is the engine's question, not the table's. The rows are numbered
as in docs/decisions.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.call import Call, Facts, Outcome, Same, Sign, Verdict, What

GIVE_UP_AFTER = 1.0
"""A caller that leaves sooner (seconds) says nothing about the target: row 1."""

AUTH_REST = 60.0
"""How long (seconds) a target rests whose refused credential is our own: row 13."""

RETRYABLE_CODES = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"})


@dataclass(frozen=True, slots=True)
class Rules:
    """What the table needs to know of a target, compiled when the route is built.

    `statuses` and `grpc_codes` narrow rows 8 to 12: what is not listed is not tried
    again on the same target. Times are seconds.
    """

    protocol: str
    idempotent: bool
    statuses: frozenset[int]
    failure_statuses: frozenset[int]
    patience: float
    max_retry_after: float
    max_rest: float
    give_up_after: float = GIVE_UP_AFTER
    give_up_on_reasoning: float = GIVE_UP_AFTER
    """The same where the call asks an LLM for reasoning."""
    refusal_next: bool = False
    """A content refusal is routed around: row 16."""
    grpc_codes: frozenset[str] = RETRYABLE_CODES

    @property
    def llm(self) -> bool:
        return self.protocol in ("openai", "anthropic")


OK = Outcome("ok", Verdict.SUCCESS)
CLIENT_ERROR = Outcome("client_error", Verdict.SUCCESS)
CALLER_LEFT = Outcome("caller_left", Verdict.NOTHING)
CALLER_GAVE_UP = Outcome("caller_gave_up", Verdict.FAILURE)
BROKE = Outcome("broke", Verdict.FAILURE)
NO_CONNECTION = Outcome("connect_failed", Verdict.FAILURE, Same.BACKOFF, next=True)
DEAD_UNWRITTEN = Outcome("stale_connection", Verdict.NOTHING, Same.FRESH)
DEAD_WRITTEN = Outcome("stale_connection", Verdict.NOTHING)
DEAD_WRITTEN_SAFE = Outcome("stale_connection", Verdict.NOTHING, Same.AT_ONCE, next=True)
RESET = Outcome("reset", Verdict.FAILURE)
RESET_SAFE = Outcome("reset", Verdict.FAILURE, Same.BACKOFF, next=True)
UNPARSEABLE = Outcome("protocol_error", Verdict.FAILURE)
UNPARSEABLE_SAFE = Outcome("protocol_error", Verdict.FAILURE, next=True)
TIMEOUT = Outcome("timeout", Verdict.FAILURE)
TIMEOUT_SAFE = Outcome("timeout", Verdict.FAILURE, next=True)
TIMEOUT_LAST = Outcome("timeout", Verdict.FAILURE, Same.BACKOFF, next=True)
OVERLOADED = Outcome("pool_full", Verdict.NOTHING, next=True)
CANNOT_CARRY = Outcome("cannot_carry", Verdict.NOTHING, next=True)
UNKNOWN_MODEL = Outcome("unknown_model", Verdict.NOTHING, next=True)
CONTEXT_LENGTH = Outcome("context_length", Verdict.SUCCESS, next=True)
REFUSAL = Outcome("refusal", Verdict.SUCCESS)
REFUSAL_NEXT = Outcome("refusal", Verdict.SUCCESS, next=True)
FALSE_EMPTY_BODY = Outcome("false_empty_body", Verdict.NOTHING, Same.AT_ONCE, next=True)
AUTH_FAILED = Outcome("auth_failed", Verdict.NOTHING, next=True, rest=AUTH_REST)
UNIMPLEMENTED = Outcome("unimplemented", Verdict.NOTHING, next=True)

_NO_REPLY = {
    What.BROKE: BROKE,
    What.NO_CONNECTION: NO_CONNECTION,
    What.DEAD_UNWRITTEN: DEAD_UNWRITTEN,
    What.OVERLOADED: OVERLOADED,
    What.CANNOT_CARRY: CANNOT_CARRY,
}
_NO_REPLY_UNSAFE = {
    What.DEAD_WRITTEN: DEAD_WRITTEN,
    What.RESET: RESET,
    What.UNPARSEABLE: UNPARSEABLE,
    What.TIMED_OUT: TIMEOUT,
}
_NO_REPLY_SAFE = {
    What.DEAD_WRITTEN: DEAD_WRITTEN_SAFE,
    What.RESET: RESET_SAFE,
    What.UNPARSEABLE: UNPARSEABLE_SAFE,
    What.TIMED_OUT: TIMEOUT_SAFE,
}
_ROUTER_OK_FALSE = {
    Sign.EXTENSION_TIMEOUT: Outcome("extension_timeout", Verdict.FAILURE, next=True),
    Sign.UNAVAILABLE: Outcome("unavailable", Verdict.FAILURE, Same.BACKOFF, next=True),
    Sign.LIMIT_EXCEEDED: Outcome("throttled", Verdict.NOTHING, Same.BACKOFF, next=True),
}
_LOST_CODES = frozenset({"UNAVAILABLE", "INTERNAL", "UNKNOWN", "DATA_LOSS", "CANCELLED"})


def classify(facts: Facts, call: Call, rules: Rules, *, other_left: bool) -> Outcome:
    """Judge one attempt. `other_left`: another target of the chain neither rests nor is open."""
    if facts.what is not What.REPLY:
        return _no_reply(facts, call, rules, other_left=other_left)
    if facts.sign is not None:
        return _by_sign(facts.sign, rules)
    if facts.grpc_code:
        return _by_code(facts, call, rules, other_left=other_left)
    status = facts.status
    if status < 400:  # row 21, most of all traffic
        return OK
    if status == 429:  # rows 8 and 9: it was not carried out, whatever the method
        return _throttled(facts.wait, rules, other_left=other_left, again=429 in rules.statuses)
    if status >= 500 or status == 408 or (status == 409 and rules.llm):  # rows 10 to 12
        return _server_error(facts, call, rules, other_left=other_left)
    return CLIENT_ERROR  # row 21


def _no_reply(facts: Facts, call: Call, rules: Rules, *, other_left: bool) -> Outcome:
    what = facts.what
    if what in (What.CALLER_LEFT, What.CALLER_DEADLINE):  # row 1
        reasoning = call.llm is not None and call.llm.reasoning
        patience = rules.give_up_on_reasoning if reasoning else rules.give_up_after
        waited_in_vain = not facts.answered and facts.seconds >= patience
        return CALLER_GAVE_UP if waited_in_vain else CALLER_LEFT
    if what in _NO_REPLY:  # rows 1a, 2, 3, 20
        return _NO_REPLY[what]
    if not (call.idempotent or rules.idempotent):  # rows 4 to 6
        return _NO_REPLY_UNSAFE[what]
    if what is What.TIMED_OUT and not other_left:
        return TIMEOUT_LAST
    return _NO_REPLY_SAFE[what]


def _throttled(wait: float | None, rules: Rules, *, other_left: bool, again: bool) -> Outcome:
    if wait is None:  # row 9
        return Outcome("throttled", Verdict.NOTHING, Same.BACKOFF if again else Same.NO, next=True)
    return _after(Outcome("throttled", Verdict.NOTHING, next=True), wait, rules, other_left=other_left, again=again)


def _after(told: Outcome, wait: float, rules: Rules, *, other_left: bool, again: bool) -> Outcome:
    """Rows 8 and 10: a wait was told, and the target rests until then."""
    same = _waited(wait, rules, other_left=other_left) if again else Same.NO
    rest = min(max(wait, 0.0), rules.max_rest)
    return Outcome(told.label, told.verdict, same, next=told.next, wait=max(wait, 0.0), rest=rest)


def _pushed_back(outcome: Outcome, wait: float | None, rules: Rules, *, other_left: bool) -> Outcome:
    """A try that would come here after a backoff comes after the wait that was told, or not at all (gRFC A6)."""
    if wait is None or outcome.same is not Same.BACKOFF:
        return outcome
    same = _waited(wait, rules, other_left=other_left)
    return Outcome(outcome.label, outcome.verdict, same, next=outcome.next, wait=max(wait, 0.0))


def _waited(wait: float, rules: Rules, *, other_left: bool) -> Same:
    """Whether a wait that was told is waited out. A negative one forbids another try here (gRFC A6)."""
    longest = rules.patience if other_left else max(rules.patience, rules.max_retry_after)
    return Same.AFTER if 0 <= wait <= longest else Same.NO


def _server_error(facts: Facts, call: Call, rules: Rules, *, other_left: bool) -> Outcome:
    status = facts.status
    verdict = Verdict.FAILURE if status in rules.failure_statuses else Verdict.NOTHING
    again = status in rules.statuses
    if status == 529:  # row 11: overloaded, so not carried out
        return Outcome("overloaded", verdict, Same.BACKOFF if again else Same.NO, next=True)
    safe = call.idempotent or rules.idempotent
    if status == 503 and facts.wait is not None:  # row 10
        told = Outcome("unavailable", verdict, next=safe)
        return _after(told, facts.wait, rules, other_left=other_left, again=again and safe)
    same = Same.BACKOFF if again and safe else Same.NO  # row 12
    return Outcome("server_error" if status >= 500 else f"http_{status}", verdict, same, next=safe)


def _by_sign(sign: Sign, rules: Rules) -> Outcome:
    if sign is Sign.OUT_OF_MONEY:  # row 7
        return Outcome("out_of_money", Verdict.NOTHING, next=True, rest=rules.max_rest)
    if sign is Sign.OWN_CREDENTIAL_REFUSED:  # row 13
        return AUTH_FAILED
    if sign is Sign.UNKNOWN_MODEL:  # row 14
        return UNKNOWN_MODEL
    if sign is Sign.CONTEXT_LENGTH:  # row 15
        return CONTEXT_LENGTH
    if sign is Sign.REFUSAL:  # row 16
        return REFUSAL_NEXT if rules.refusal_next else REFUSAL
    if sign is Sign.FALSE_EMPTY_BODY:  # row 18
        return FALSE_EMPTY_BODY
    return _ROUTER_OK_FALSE.get(sign, CLIENT_ERROR)  # row 19; a message's size is the call's own matter: row 21


def _by_code(facts: Facts, call: Call, rules: Rules, *, other_left: bool) -> Outcome:
    code = facts.grpc_code
    safe = call.idempotent or rules.idempotent
    again = code in rules.grpc_codes
    if code == "OK":
        return OK
    if code in _LOST_CODES:  # row 5
        same = Same.BACKOFF if code == "UNAVAILABLE" and safe and again else Same.NO
        lost = Outcome("grpc_lost", Verdict.FAILURE, same, next=safe)
        return _pushed_back(lost, facts.wait, rules, other_left=other_left)
    if code == "DEADLINE_EXCEEDED":  # row 6
        same = Same.BACKOFF if safe and again and not other_left else Same.NO
        late = Outcome("timeout", Verdict.FAILURE, same, next=safe)
        return _pushed_back(late, facts.wait, rules, other_left=other_left)
    if code == "RESOURCE_EXHAUSTED":  # rows 8 and 9
        return _throttled(facts.wait, rules, other_left=other_left, again=again)
    if code == "UNIMPLEMENTED":  # row 14
        return UNIMPLEMENTED
    if code == "ABORTED" and rules.protocol == "router":  # row 17
        aborted = Outcome("aborted", Verdict.SUCCESS, Same.BACKOFF if again else Same.NO, next=True)
        return _pushed_back(aborted, facts.wait, rules, other_left=other_left)
    return CLIENT_ERROR
