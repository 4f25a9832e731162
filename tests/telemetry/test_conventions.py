"""Names and attributes, by the semantic conventions of HTTP, RPC and generative AI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sidecar.call import Step, Wire
from sidecar.llm import Ask, Dialect, Kind, Usage
from sidecar.telemetry import conventions
from sidecar.telemetry.call_span import Peer, Sending
from tests.kit.finished_calls import finished_call, summary

if TYPE_CHECKING:
    from sidecar.call import Call

RPC = "shop.v1.Cart/Add"


def http(**more: Any) -> Call:
    return finished_call(**more)


def rpc(code: str) -> Call:
    return finished_call(path=b"/shop.v1.Cart/Add", code=code)


def sending(protocol: str, *, target: str = "store", model: str = "") -> Sending:
    sent = Sending(1, target, 0)
    sent.peer = Peer(protocol, (("up.example", 443),), model, target)
    return sent


def named(call: Call, sent: Sending, rpc: str = "") -> str:
    return conventions.client_name(call, sent, rpc, conventions.Models())


def answered(outcome: str = "ok", *, status: int = 0, code: str = "") -> Step:
    return Step("attempt", "store", outcome, 0.0, 0.1, status=status, code=code)


def llm(kind: Kind, *, model: str = "gpt-4o", stream: bool = False) -> Call:
    call = finished_call()
    call.llm = Ask(Dialect.OPENAI, kind, b"/chat/completions", model=model, stream=stream)
    return call


@pytest.mark.parametrize(
    ("method", "name", "said"),
    [(b"GET", "GET /v1/*", "GET"), (b"QUERY", "QUERY /v1/*", "QUERY"), (b"MAKE\xff", "HTTP /v1/*", "_OTHER")],
)
def test_a_server_s_span_is_called_by_method_and_the_route_s_path(method: bytes, name: str, said: str) -> None:
    call = http(method=method)
    assert conventions.server_name(call, "/v1/*", "") == name
    assert conventions.server(call, summary(), "/v1/*", "")["http.request.method"] == said


def test_a_route_without_a_path_lends_its_name() -> None:
    assert conventions.server_name(http(), "", "") == "POST things"


def test_without_a_route_there_is_the_method_alone() -> None:
    call = http()
    call.route = ""
    assert conventions.server_name(call, "", "") == "POST"
    assert conventions.server(call, summary(), "", "").keys().isdisjoint({"http.route", "sidecar.route"})


@pytest.mark.parametrize(
    ("host", "found"),
    [
        (b"app", ("app", None)),
        (b"app:8080", ("app", 8080)),
        (b"[::1]:8080", ("::1", 8080)),
        (b"[::1]", ("::1", None)),
        (b"app:notaport", ("app", None)),
        (b"app:999999", ("app", None)),
        (b"", (None, None)),
    ],
)
def test_the_host_that_was_asked_for(host: bytes, found: tuple[str | None, int | None]) -> None:
    call = http()
    call.host = host
    said = conventions.server(call, summary(), "", "")
    assert (said.get("server.address"), said.get("server.port")) == found


@pytest.mark.parametrize(
    ("status", "outcome", "error"),
    [
        (200, "ok", ""), (404, "client_error", ""), (429, "rate_limited", ""), (500, "server_error", "500"),
        (503, "circuit_open", "circuit_open"), (504, "deadline_exceeded", "deadline_exceeded"), (200, "broke", "broke"),
        (499, "caller_left", ""), (500, "internal_error", "internal_error"),
    ],
)  # fmt: skip
def test_a_server_s_errors_are_its_own(status: int, outcome: str, error: str) -> None:
    assert conventions.server_error(http(status=status), summary(outcome=outcome)) == error


@pytest.mark.parametrize(
    ("code", "error"),
    [("OK", ""), ("NOT_FOUND", ""), ("CANCELLED", ""), ("UNAVAILABLE", "UNAVAILABLE"), ("INTERNAL", "INTERNAL")],
)
def test_a_grpc_server_s_errors_are_six_codes(code: str, error: str) -> None:
    assert conventions.server_error(rpc(code), summary(outcome="client_error")) == error


def test_a_grpc_call() -> None:
    call = rpc("NOT_FOUND")
    said = conventions.server(call, summary(), "/*", RPC)
    assert conventions.server_name(call, "", RPC) == RPC
    assert (said["rpc.system.name"], said["rpc.method"], said["rpc.response.status_code"]) == ("grpc", RPC, "NOT_FOUND")
    assert not [name for name in said if name.startswith(("http.", "url."))]


def test_a_grpc_method_that_nobody_knows_is_other() -> None:
    call = rpc("OK")
    said = conventions.server(call, summary(), "", "other")
    assert conventions.server_name(call, "", "other") == "grpc"
    assert (said["rpc.method"], said["rpc.method_original"]) == ("_OTHER", RPC)


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (answered(status=200), ""), (answered("client_error", status=404), "404"), (answered("timeout"), "timeout"),
        (answered("refusal", status=200), ""), (answered("broke", status=200), "broke"), (answered("caller_left"), ""),
        (answered("caller_gave_up"), "caller_gave_up"), (answered("stale_connection"), "stale_connection"),
        (answered("throttled", status=429), "429"), (answered("client_error", code="NOT_FOUND"), "NOT_FOUND"),
        (answered("client_error", code="OK"), ""), (answered("extension_timeout", status=200), "extension_timeout"),
    ],
)  # fmt: skip
def test_an_attempt_s_errors_are_all_that_was_no_answer_as_asked(step: Step, error: str) -> None:
    assert conventions.client_error(step) == error


def test_an_attempt_over_grpc() -> None:
    call, sent = rpc("OK"), sending("grpc")
    said = conventions.client(call, answered(), sent, RPC, 1, 0)
    assert named(call, sent, RPC) == RPC
    assert said == {
        "server.address": "up.example", "server.port": 443, "rpc.system.name": "grpc", "rpc.method": RPC,
        "rpc.response.status_code": "OK", "sidecar.upstream": "store", "sidecar.attempt": 1, "sidecar.outcome": "ok",
    }  # fmt: skip


def test_an_http_call_that_becomes_one_of_grpc_does_not_lend_it_its_path() -> None:
    call, sent = http(), sending("router")
    said = conventions.client(call, answered("unavailable", code="UNAVAILABLE"), sent, "", 1, 0)
    assert named(call, sent) == said["rpc.method"] == "beamline.flow.v1.Router/Decide"
    assert (call.wire, said["rpc.response.status_code"]) == (Wire.HTTP, "UNAVAILABLE")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Kind.CHAT, "chat gpt-4o"), (Kind.MESSAGES, "chat gpt-4o"), (Kind.RESPONSES, "chat gpt-4o"),
        (Kind.COMPLETIONS, "text_completion gpt-4o"), (Kind.EMBEDDINGS, "embeddings gpt-4o"),
        (Kind.MODELS, "POST openai"),
    ],
)  # fmt: skip
def test_an_attempt_at_a_model_is_called_by_operation_and_model(kind: Kind, name: str) -> None:
    sent = sending("openai", target="openai/gpt-4o")
    sent.model = "gpt-4o-2024-08-06"
    assert named(llm(kind), sent) == name


def test_the_model_is_that_of_the_target_else_the_caller_s_word_cut() -> None:
    assert named(llm(Kind.CHAT), sending("anthropic", model="claude")) == "chat claude"
    sent = sending("openai")
    sent.model = "long"
    assert len(named(llm(Kind.CHAT, model="x" * 999), sent)) == len("chat ") + 128


def test_a_caller_s_word_that_no_provider_answered_to_names_no_span() -> None:
    models = conventions.Models()
    asked, sent = llm(Kind.CHAT, model="gpt-4o"), sending("openai")
    assert conventions.client_name(asked, sent, "", models) == "chat"
    sent.model = "gpt-4o-2024-08-06"
    assert conventions.client_name(asked, sent, "", models) == "chat gpt-4o"
    assert conventions.client_name(asked, sending("openai"), "", models) == "chat gpt-4o"  # known from now on


def test_names_are_few_whatever_callers_ask_for() -> None:
    """Of a provider that answers to every name."""
    models, sent = conventions.Models(), sending("openai")
    sent.model = "the only one"
    names = {conventions.client_name(llm(Kind.CHAT, model=f"m-{n}"), sent, "", models) for n in range(999)}
    assert len(names) == 64 + 1
    assert conventions.client_name(llm(Kind.CHAT, model="m-0"), sent, "", models) == "chat m-0"


def test_what_an_answer_cost_and_when_it_began() -> None:
    call, sent = llm(Kind.CHAT, stream=True), sending("openai")
    sent.usage, sent.ttfb, sent.model = Usage(5, 4, 3), 0.25, "gpt-4o-2024-08-06"
    said = conventions.client(call, answered(status=200), sent, "", 1, 0)
    told = {name: value for name, value in said.items() if name.startswith("gen_ai.")}
    assert told == {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.stream": True, "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 4, "gen_ai.usage.cache_read.input_tokens": 3,
    }  # fmt: skip


def test_callers_words_are_cut_and_the_query_is_left_out() -> None:
    call = http(path=b"/" + b"p" * 9000)
    call.fields[b"user-agent"] = b"u" * 9000
    call.host = b"h" * 9000
    call.target += b"?key=hunter2"
    said = conventions.server(call, summary(), "", "")
    assert max(len(str(value)) for value in said.values()) == 2048
    assert "hunter2" not in str(said)
