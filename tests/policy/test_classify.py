"""The decision table, row by row. The numbers are those of docs/decisions.md; each case reads as its row does.

A case is what happened, and after the arrow what follows: `ok`, `failure` or `nothing` for the breaker, then
what the same target and the next target may be asked.
"""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.call import Facts, Outcome, Same, Sign, Verdict, What
from sidecar.policy.classify import Rules, classify
from tests.kit.stage import a_call, rules

PATIENCE, LONGEST = 5.0, 60.0
"""Seconds: the defaults of `patience` and `max_retry_after`."""

HTTP = rules()
LLM = rules(protocol="openai")
ROUTER = rules(protocol="router")
GRPC = rules(protocol="grpc")


def judge(facts: Facts, *, safe: bool = True, left: bool = True, by: Rules = HTTP) -> Outcome:
    return classify(facts, a_call(b"GET" if safe else b"POST"), by, other_left=left)


def said(outcome: Outcome) -> str:
    """The three answers in words."""
    verdict = "ok" if outcome.verdict is Verdict.SUCCESS else outcome.verdict.value
    words = [verdict, f"same={outcome.same.value}", f"next={'yes' if outcome.next else 'no'}"]
    if outcome.rest:
        words.append(f"rest={outcome.rest:g}")
    return " ".join(words)


def status(code: int, wait: float | None = None, **more: object) -> Facts:
    return dataclasses.replace(Facts(What.REPLY, status=code, wait=wait), **more)  # type: ignore[arg-type]  # by name


def grpc(code: str, wait: float | None = None) -> Facts:
    return Facts(What.REPLY, grpc_code=code, wait=wait)


def sign(of: Sign) -> Facts:
    return Facts(What.REPLY, status=200, sign=of)


Row = tuple[str, Facts, Rules, str, str]


def row(number: str, facts: Facts, by: Rules, safe: str, unsafe: str = "") -> Row:
    """What follows if the call is idempotent, and if it is not; one text where that makes no difference."""
    return number, facts, by, safe, unsafe or safe


ROWS = [
    row("1a", Facts(What.BROKE), HTTP, "failure same=no next=no"),
    row("2", Facts(What.NO_CONNECTION), HTTP, "failure same=backoff next=yes"),
    row("2", Facts(What.NO_CONNECTION), GRPC, "failure same=backoff next=yes"),
    row("3", Facts(What.DEAD_UNWRITTEN), HTTP, "nothing same=fresh next=no"),
    row("4", Facts(What.DEAD_WRITTEN), HTTP, "nothing same=at_once next=yes", "nothing same=no next=no"),
    row("5", Facts(What.RESET), HTTP, "failure same=backoff next=yes", "failure same=no next=no"),
    row("5", Facts(What.UNPARSEABLE), HTTP, "failure same=no next=yes", "failure same=no next=no"),
    row("5", grpc("UNAVAILABLE"), ROUTER, "failure same=backoff next=yes", "failure same=no next=no"),
    row("5", grpc("INTERNAL"), ROUTER, "failure same=no next=yes", "failure same=no next=no"),
    row("5", grpc("UNKNOWN"), ROUTER, "failure same=no next=yes", "failure same=no next=no"),
    row("5", grpc("DATA_LOSS"), ROUTER, "failure same=no next=yes", "failure same=no next=no"),
    row("5", grpc("CANCELLED"), ROUTER, "failure same=no next=yes", "failure same=no next=no"),
    row("5", grpc("UNAVAILABLE", 3), GRPC, "failure same=after next=yes", "failure same=no next=no"),
    row("5", grpc("UNAVAILABLE", -1), GRPC, "failure same=no next=yes", "failure same=no next=no"),
    row("5", grpc("INTERNAL", 3), GRPC, "failure same=no next=yes", "failure same=no next=no"),
    row("6", Facts(What.TIMED_OUT), HTTP, "failure same=no next=yes", "failure same=no next=no"),
    row("6", grpc("DEADLINE_EXCEEDED"), ROUTER, "failure same=no next=yes", "failure same=no next=no"),
    row("6", grpc("DEADLINE_EXCEEDED", 3), GRPC, "failure same=no next=yes", "failure same=no next=no"),
    row("7", sign(Sign.OUT_OF_MONEY), LLM, "nothing same=no next=yes rest=900"),
    row("8", status(429, 3), HTTP, "nothing same=after next=yes rest=3"),
    row("8", status(429, 0), HTTP, "nothing same=after next=yes"),
    row("8", grpc("RESOURCE_EXHAUSTED", 3), ROUTER, "nothing same=after next=yes rest=3"),
    row("8", grpc("RESOURCE_EXHAUSTED", -1), GRPC, "nothing same=no next=yes"),
    row("9", status(429), HTTP, "nothing same=backoff next=yes"),
    row("9", grpc("RESOURCE_EXHAUSTED"), ROUTER, "nothing same=backoff next=yes"),
    row("10", status(503, 3), HTTP, "failure same=after next=yes rest=3", "failure same=no next=no rest=3"),
    row("11", status(529), HTTP, "failure same=backoff next=yes"),
    row("11", status(529, 3), HTTP, "failure same=backoff next=yes"),
    row("12", status(500), HTTP, "failure same=backoff next=yes", "failure same=no next=no"),
    row("12", status(502), HTTP, "failure same=backoff next=yes", "failure same=no next=no"),
    row("12", status(503), HTTP, "failure same=backoff next=yes", "failure same=no next=no"),
    row("12", status(504), HTTP, "failure same=backoff next=yes", "failure same=no next=no"),
    row("12", status(408), HTTP, "nothing same=backoff next=yes", "nothing same=no next=no"),
    row("12", status(500, 3), HTTP, "failure same=backoff next=yes", "failure same=no next=no"),
    row("12", status(501), HTTP, "nothing same=no next=yes", "nothing same=no next=no"),
    row("12", status(599), HTTP, "nothing same=no next=yes", "nothing same=no next=no"),
    row("12", status(409), LLM, "nothing same=backoff next=yes", "nothing same=no next=no"),
    row("13", sign(Sign.OWN_CREDENTIAL_REFUSED), LLM, "nothing same=no next=yes rest=60"),
    row("14", sign(Sign.UNKNOWN_MODEL), LLM, "nothing same=no next=yes"),
    row("14", grpc("UNIMPLEMENTED"), ROUTER, "nothing same=no next=yes"),
    row("15", sign(Sign.CONTEXT_LENGTH), LLM, "ok same=no next=yes"),
    row("16", sign(Sign.REFUSAL), LLM, "ok same=no next=no"),
    row("17", grpc("ABORTED"), ROUTER, "ok same=backoff next=yes"),
    row("17", grpc("ABORTED"), GRPC, "ok same=no next=no"),
    row("17", grpc("ABORTED", 3), ROUTER, "ok same=after next=yes"),
    row("17", grpc("ABORTED", -1), ROUTER, "ok same=no next=yes"),
    row("17", grpc("ABORTED", 3), GRPC, "ok same=no next=no"),
    row("18", sign(Sign.FALSE_EMPTY_BODY), HTTP, "nothing same=at_once next=yes"),
    row("19", sign(Sign.EXTENSION_TIMEOUT), HTTP, "failure same=no next=yes"),
    row("19", sign(Sign.UNAVAILABLE), HTTP, "failure same=backoff next=yes"),
    row("19", sign(Sign.LIMIT_EXCEEDED), HTTP, "nothing same=backoff next=yes"),
    row("19", sign(Sign.NOT_OK), HTTP, "ok same=no next=no"),
    row("20", Facts(What.CANNOT_CARRY), HTTP, "nothing same=no next=yes"),
    row("20", Facts(What.OVERLOADED), HTTP, "nothing same=no next=yes"),
    row("21", status(200), HTTP, "ok same=no next=no"),
    row("21", status(101), HTTP, "ok same=no next=no"),
    row("21", status(304), HTTP, "ok same=no next=no"),
    row("21", status(400), HTTP, "ok same=no next=no"),
    row("21", status(404, 3), HTTP, "ok same=no next=no"),
    row("21", status(409), HTTP, "ok same=no next=no"),
    row("21", grpc("OK"), ROUTER, "ok same=no next=no"),
    row("21", grpc("NOT_FOUND"), ROUTER, "ok same=no next=no"),
    row("21", grpc("INVALID_ARGUMENT"), ROUTER, "ok same=no next=no"),
    row("21", Facts(What.REPLY, grpc_code="RESOURCE_EXHAUSTED", sign=Sign.MESSAGE_SIZE), GRPC, "ok same=no next=no"),
]


@pytest.mark.parametrize(("number", "facts", "by", "safe", "unsafe"), ROWS)
def test_a_row(number: str, facts: Facts, by: Rules, safe: str, unsafe: str) -> None:
    assert said(judge(facts, by=by)) == safe, f"row {number}, idempotent"
    assert said(judge(facts, by=by, safe=False)) == unsafe, f"row {number}, not idempotent"


def test_a_route_may_declare_idempotence() -> None:
    declared = rules(idempotent=True)
    for what in (What.RESET, What.DEAD_WRITTEN, What.TIMED_OUT, What.UNPARSEABLE):
        assert judge(Facts(what), safe=False, by=declared) == judge(Facts(what))
    for facts in (status(500), status(503, 3), grpc("UNAVAILABLE")):
        assert judge(facts, safe=False, by=declared) == judge(facts)


@pytest.mark.parametrize("what", [What.CALLER_LEFT, What.CALLER_DEADLINE])
@pytest.mark.parametrize(
    ("seconds", "answered", "verdict", "label"),
    [
        (0.999, False, "nothing", "caller_left"),
        (1.0, False, "failure", "caller_gave_up"),
        (99.0, True, "nothing", "caller_left"),
    ],
)
def test_row_1_who_waited_a_second_in_vain_says_something_of_the_target(
    what: What, seconds: float, answered: bool, verdict: str, label: str
) -> None:
    outcome = judge(Facts(what, seconds=seconds, answered=answered))
    assert (said(outcome), outcome.label) == (f"{verdict} same=no next=no", label)


def test_row_1_an_llm_is_given_its_first_token_time() -> None:
    patient = rules(protocol="openai", give_up_after=60.0)
    assert judge(Facts(What.CALLER_LEFT, seconds=59), by=patient).label == "caller_left"
    assert judge(Facts(What.CALLER_LEFT, seconds=60), by=patient).label == "caller_gave_up"


@pytest.mark.parametrize("facts", [Facts(What.TIMED_OUT), grpc("DEADLINE_EXCEEDED")])
def test_row_6_the_last_target_is_asked_again(facts: Facts) -> None:
    assert said(judge(facts, left=False)) == "failure same=backoff next=yes"
    assert said(judge(facts, left=False, safe=False)) == "failure same=no next=no"


WAITED_OUT = [
    (0.0, True, "after"),
    (PATIENCE, True, "after"),
    (PATIENCE + 0.1, True, "no"),
    (PATIENCE + 0.1, False, "after"),
    (LONGEST, False, "after"),
    (LONGEST + 0.1, False, "no"),
    (-1.0, False, "no"),
]


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize(("wait", "left", "same"), WAITED_OUT)
def test_rows_8_and_10_how_long_a_wait_is_waited_out(code: int, wait: float, left: bool, same: str) -> None:
    outcome = judge(status(code, wait), left=left)
    assert (outcome.same.value, outcome.wait, outcome.next) == (same, max(wait, 0.0), True)


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED"])
@pytest.mark.parametrize(("wait", "left", "same"), WAITED_OUT)
def test_a_pushback_is_waited_out_instead_of_a_backoff(code: str, wait: float, left: bool, same: str) -> None:
    outcome = judge(grpc(code, wait), left=left, by=ROUTER)
    rest = max(wait, 0.0) if code == "RESOURCE_EXHAUSTED" else 0.0
    assert (outcome.same.value, outcome.wait, outcome.next, outcome.rest) == (same, max(wait, 0.0), True, rest)


@pytest.mark.parametrize(("wait", "left", "same"), [(3.0, False, "after"), (3.0, True, "no"), (-1.0, False, "no")])
def test_row_6_a_pushback_counts_where_the_last_target_is_asked_again(wait: float, left: bool, same: str) -> None:
    assert judge(grpc("DEADLINE_EXCEEDED", wait), left=left, by=GRPC).same.value == same


def test_rows_8_and_10_patience_counts_on_the_last_target_too() -> None:
    patient = rules(patience=90.0)
    assert judge(status(429, 80), left=False, by=patient).same is Same.AFTER


def test_rows_8_and_10_a_rest_has_an_end() -> None:
    assert judge(status(429, 9000)).rest == 900.0
    assert judge(status(503, 9000), by=rules(max_rest=10.0)).rest == 10.0
    assert judge(status(429, -1)).rest == 0.0


@pytest.mark.parametrize("code", [408, 429, 500, 503, 529])
@pytest.mark.parametrize("wait", [None, 3.0])
def test_rows_8_to_12_a_status_that_is_not_listed_is_not_tried_again_here(code: int, wait: float | None) -> None:
    outcome = judge(status(code, wait), by=rules(statuses=frozenset()))
    assert (outcome.same, outcome.next) == (Same.NO, True)
    assert outcome.verdict is judge(status(code, wait)).verdict


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED", "DEADLINE_EXCEEDED"])
def test_a_grpc_code_that_is_not_listed_is_not_tried_again_here(code: str) -> None:
    for wait in (None, 3.0):
        outcome = judge(grpc(code, wait), left=False, by=rules(protocol="router", grpc_codes=frozenset()))
        assert (outcome.same, outcome.next) == (Same.NO, True)


@pytest.mark.parametrize("code", [429, 500, 503, 529, 408])
def test_what_is_no_failure_status_is_not_heard_by_the_breaker(code: int) -> None:
    deaf = rules(failure_statuses=frozenset())
    assert judge(status(code), by=deaf).verdict is Verdict.NOTHING
    assert judge(status(code, 3), by=deaf).verdict is Verdict.NOTHING


def test_a_408_counts_where_it_is_listed() -> None:
    assert judge(status(408), by=rules(failure_statuses=frozenset({408}))).verdict is Verdict.FAILURE


def test_labels_that_become_metric_labels() -> None:
    told = {code: judge(status(code)).label for code in (200, 404, 408, 429, 500, 503, 529)}
    assert told == {
        200: "ok",
        404: "client_error",
        408: "http_408",
        429: "throttled",
        500: "server_error",
        503: "server_error",
        529: "overloaded",
    }
    assert judge(status(503, 1)).label == "unavailable"
    assert judge(status(409), by=LLM).label == "http_409"


CODES = [
    "", "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED", "BANANA",
]  # fmt: skip
LABELS = {
    "ok", "client_error", "caller_left", "caller_gave_up", "broke", "connect_failed", "stale_connection", "reset",
    "protocol_error", "timeout", "pool_full", "cannot_carry", "unknown_model", "context_length", "refusal",
    "false_empty_body", "auth_failed", "unimplemented", "extension_timeout", "unavailable", "throttled",
    "out_of_money", "overloaded", "server_error", "http_408", "http_409", "grpc_lost", "aborted",
}  # fmt: skip
NOT_CARRIED_OUT = {
    "connect_failed", "stale_connection", "pool_full", "cannot_carry", "throttled", "overloaded", "out_of_money",
    "auth_failed", "unknown_model", "unimplemented", "context_length", "false_empty_body", "aborted",
    "extension_timeout", "unavailable",
}  # fmt: skip
"""Labels of rows that send a call on even if it is not idempotent: the target did not carry it out."""

FACTS = st.builds(
    Facts,
    what=st.sampled_from(What),
    status=st.integers(100, 599),
    grpc_code=st.sampled_from(CODES),
    wait=st.none() | st.floats(-1e6, 1e9),
    sign=st.none() | st.sampled_from(Sign),
    seconds=st.floats(0, 1e6),
    answered=st.booleans(),
)
RULES = st.builds(
    Rules,
    protocol=st.sampled_from(["http", "c-gateway", "grpc", "router", "openai", "anthropic"]),
    idempotent=st.booleans(),
    statuses=st.frozensets(st.integers(400, 599)) | st.just(HTTP.statuses),
    failure_statuses=st.frozensets(st.integers(400, 599)) | st.just(HTTP.failure_statuses),
    patience=st.floats(0, 100),
    max_retry_after=st.floats(0, 1000),
    max_rest=st.floats(0, 1000),
    grpc_codes=st.frozensets(st.sampled_from(CODES)),
)


@given(FACTS, RULES, st.booleans(), st.booleans())
@example(Facts(What.REPLY, status=999), HTTP, True, True)
@example(Facts(What.REPLY, status=0), HTTP, True, True)
def test_everything_ends_in_a_row(facts: Facts, by: Rules, safe: bool, left: bool) -> None:
    outcome = judge(facts, by=by, safe=safe, left=left)
    assert outcome.label in LABELS
    assert 0.0 <= outcome.rest <= by.max_rest or outcome.label == "auth_failed"
    assert outcome.final is (outcome.same is Same.NO and not outcome.next)
    if outcome.same is Same.AFTER:
        assert facts.wait is not None
        assert 0.0 <= outcome.wait <= max(by.patience, by.max_retry_after)
    if not (safe or by.idempotent) and not outcome.final:
        assert outcome.label in NOT_CARRIED_OUT, "it may have been carried out, and goes on"
        if outcome.label == "unavailable":
            assert facts.sign is Sign.UNAVAILABLE
