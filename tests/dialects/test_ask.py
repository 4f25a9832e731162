"""What a call asks for, read off its path, its fields and its body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given

from sidecar.dialects.ask import MOST_OUTPUT, UNTOLD_OUTPUT, read_ask, wants_body
from sidecar.errors import InvalidRequest
from sidecar.llm import Dialect, Kind, LlmOptions
from tests.kit.messages import anything
from tests.kit.stage import a_call

if TYPE_CHECKING:
    from sidecar.call import Call
    from sidecar.llm import Ask

OPENAI, ANTHROPIC = Dialect.OPENAI, Dialect.ANTHROPIC
OPTIONS = LlmOptions(stream="complete")
VERSION = {b"anthropic-version": b"2023-06-01"}


def call_of(document: Any = None, path: bytes = b"/v1/chat/completions", method: bytes = b"POST", **told: Any) -> Call:
    body = document if isinstance(document, bytes) else orjson.dumps({} if document is None else document)
    return a_call(method, path, body=body, **told)


def read(document: Any = None, path: bytes = b"/v1/chat/completions", method: bytes = b"POST", **told: Any) -> Ask:
    return read_ask(call_of(document, path, method, **told), OPTIONS)


@pytest.mark.parametrize(
    ("path", "kind", "dialect"),
    [
        (b"/v1/chat/completions", Kind.CHAT, OPENAI),
        (b"/chat/completions", Kind.CHAT, OPENAI),
        (b"/v1/completions", Kind.COMPLETIONS, OPENAI),
        (b"/v1/embeddings", Kind.EMBEDDINGS, OPENAI),
        (b"/v1/moderations", Kind.MODERATIONS, OPENAI),
        (b"/v1/responses", Kind.RESPONSES, OPENAI),
        (b"/v1/messages", Kind.MESSAGES, ANTHROPIC),
        (b"/v1/messages/count_tokens", Kind.COUNT_TOKENS, ANTHROPIC),
        (b"/v1/files", Kind.OTHER, OPENAI),
        (b"/v1/models", Kind.OTHER, OPENAI),
        (b"/v1/chat/completions/x", Kind.OTHER, OPENAI),
        (b"/v10/chat/completions", Kind.OTHER, OPENAI),
        (b"/v1", Kind.OTHER, OPENAI),
    ],
)
def test_a_post_is_what_its_path_says(path: bytes, kind: Kind, dialect: Dialect) -> None:
    ask = read(path=path + b"?a=b/v1")
    assert (ask.kind, ask.dialect, ask.query) == (kind, dialect, b"?a=b/v1")
    assert (ask.document is None, wants_body(call_of(path=path))) == (kind is Kind.OTHER, kind is not Kind.OTHER)
    assert ask.path == (path.removeprefix(b"/v1") if path.startswith(b"/v1/") else path.removesuffix(b"v1"))


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("path", [b"/v1/models", b"/v1/models/gpt-4o", b"/models"])
def test_models_are_read(method: bytes, path: bytes) -> None:
    ask = read(path=path, method=method)
    assert (ask.kind, ask.tied, ask.path) == (Kind.MODELS, False, path.removeprefix(b"/v1"))
    assert not wants_body(call_of(path=path, method=method))


@pytest.mark.parametrize(
    ("method", "path"), [(b"GET", b"/v1/modelsx"), (b"GET", b"/v1/messages"), (b"DELETE", b"/v1/models/x")]
)
def test_whatever_else_is_not_posted_is_passed_on_to_one_upstream(method: bytes, path: bytes) -> None:
    ask = read(path=path, method=method)
    assert (ask.kind is Kind.OTHER, ask.tied) == (True, True)
    assert not wants_body(call_of(path=path, method=method))


@pytest.mark.parametrize("fields", [VERSION, {b"x-api-key": b"k"}])
def test_where_the_path_says_nothing_the_clients_fields_do(fields: dict[bytes, bytes]) -> None:
    assert read(path=b"/v1/files", fields=fields).dialect is ANTHROPIC
    assert read(path=b"/v1/models", method=b"GET", fields=fields).dialect is ANTHROPIC
    assert read(path=b"/v1/chat/completions", fields=fields).dialect is OPENAI


def test_a_route_that_takes_a_prefix_off_is_heard() -> None:
    call = call_of(path=b"/openai/v1/chat/completions", outgoing=b"/v1/chat/completions?x=1")
    ask = read_ask(call, OPTIONS)
    assert (ask.kind, ask.path, ask.query) == (Kind.CHAT, b"/chat/completions", b"?x=1")


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"messages": []}, Kind.CHAT),
        ({"prompt": "?"}, Kind.COMPLETIONS),
        ({"input": "?"}, Kind.EMBEDDINGS),
        ({"input": "?", "messages": []}, Kind.CHAT),
    ],
)
def test_infer_is_what_its_body_says(document: dict[str, Any], kind: Kind) -> None:
    assert wants_body(call_of(path=b"/v1/infer"))
    call = call_of(document, path=b"/v1/infer")
    ask = read_ask(call, OPTIONS)
    assert (ask.kind, ask.path, call.idempotent) == (kind, b"/" + kind.value.encode(), True)


def test_infer_without_a_question_is_none() -> None:
    with pytest.raises(InvalidRequest, match="messages, prompt or input"):
        read({"model": "m"}, path=b"/v1/infer")
    with pytest.raises(InvalidRequest, match="plain"):
        read(b"\x1f\x8b", path=b"/v1/infer", fields={b"content-encoding": b"gzip"})
    assert read(path=b"/v1/infer", method=b"GET").kind is Kind.OTHER


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff", b'{"a":' + b"[" * 2000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="JSON"):
        read(body)


def test_an_encoded_body_is_nobodys_to_read() -> None:
    call = call_of(b"\x1f\x8b" * 200, fields={b"content-encoding": b"gzip"})
    ask = read_ask(call, OPTIONS)
    assert (ask.document, ask.tied, ask.estimate, call.idempotent) == (None, True, 100 + UNTOLD_OUTPUT, True)
    assert read({"model": "m"}, fields={b"content-encoding": b"Identity"}).model == "m"
    response = call_of(b"\x1f\x8b", path=b"/v1/responses", fields={b"content-encoding": b"gzip"})
    read_ask(response, OPTIONS)
    assert not response.idempotent, "it may run in the background"


@pytest.mark.parametrize(
    ("document", "path", "idempotent"),
    [
        ({}, b"/v1/chat/completions", True),
        ({}, b"/v1/messages/count_tokens", True),
        ({}, b"/v1/responses", True),
        ({"background": False, "conversation": None}, b"/v1/responses", True),
        ({"background": True}, b"/v1/responses", False),
        ({"conversation": "conv_1"}, b"/v1/responses", False),
        ({}, b"/v1/files", False),
    ],
)
def test_what_may_be_sent_twice(document: dict[str, Any], path: bytes, idempotent: bool) -> None:
    call = call_of(document, path)
    read_ask(call, OPTIONS)
    assert call.idempotent is idempotent


def test_what_the_body_says() -> None:
    document = {"model": "gpt", "stream": True, "stream_options": {"include_usage": True}, "max_completion_tokens": 70}
    ask = read(document)
    assert (ask.model, ask.stream, ask.usage_asked, ask.reasoning, ask.tied) == ("gpt", True, True, False, False)
    assert (ask.estimate, ask.options, ask.document) == (len(orjson.dumps(document)) // 4 + 70, OPTIONS, document)


def test_what_no_model_writes_is_not_believed() -> None:
    document = {"max_tokens": 2**62}
    assert read(document).estimate == len(orjson.dumps(document)) // 4 + MOST_OUTPUT


@pytest.mark.parametrize("most", [None, 0, -1, "9", 1.5])
def test_a_request_that_names_no_most_is_estimated_by_a_page(most: object) -> None:
    document = {"max_tokens": most}
    assert read(document).estimate == len(orjson.dumps(document)) // 4 + UNTOLD_OUTPUT


@pytest.mark.parametrize(
    ("document", "reasoning"),
    [
        ({"reasoning_effort": "low"}, True),
        ({"reasoning_effort": "none"}, False),
        ({"reasoning_effort": "minimal"}, False),
        ({"reasoning_effort": 1}, False),
        ({"reasoning": {"effort": "high"}}, True),
        ({"reasoning": {"effort": "none"}}, False),
        ({"reasoning": {"summary": "auto"}}, False),
        ({"reasoning": "high"}, False),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, True),
        ({"thinking": {"type": "adaptive"}}, True),
        ({"thinking": {"type": "disabled"}}, False),
        ({"thinking": True}, False),
    ],
)
def test_whether_it_asks_for_reasoning(document: dict[str, Any], reasoning: bool) -> None:
    assert read(document).reasoning is reasoning


def test_credentials_are_told_apart_and_not_kept() -> None:
    none, one, other, both = (
        read(fields=fields).credential
        for fields in (
            {},
            {b"authorization": b"Bearer secret"},
            {b"x-api-key": b"Bearer secret2"},
            {b"authorization": b"Bearer secret", b"api-key": b"k"},
        )
    )
    assert none == ""
    assert len({one, other, both}) == 3
    assert "secret" not in one + other + both


def test_a_request_that_names_a_providers_state_is_tied_to_it() -> None:
    assert read({"previous_response_id": "resp_1"}, path=b"/v1/responses").tied
    assert not read({"messages": [{"role": "user", "content": '"file_id"'}]}).tied


@given(anything)
def test_any_json_is_read_or_refused(value: object) -> None:
    for path in (b"/v1/chat/completions", b"/v1/messages", b"/v1/responses", b"/v1/infer"):
        if isinstance(value, dict) and (path != b"/v1/infer" or {"messages", "prompt", "input"} & set(value)):
            said = orjson.dumps(value)
            assert read(said, path=path).document == orjson.loads(said)
        else:
            with pytest.raises(InvalidRequest):
                read(orjson.dumps(value), path=path)
