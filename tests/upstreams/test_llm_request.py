"""What is sent to a provider: whose credential, which fields, which model, and in which dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from sidecar.call import What
from sidecar.dialects.ask import read_ask
from sidecar.errors import UpstreamError
from sidecar.llm import Dialect, LlmOptions
from sidecar.upstreams.llm_request import MAX_TOKENS, Model, Provider, as_sent, why_not
from tests.kit.providers import asks

if TYPE_CHECKING:
    from sidecar.call import Call

OPENAI = Provider(Dialect.OPENAI, (b"Authorization", b"Bearer ours"), own=True)
COMPATIBLE = Provider(Dialect.OPENAI, (b"api-key", b"ours"), own=True, compatible=True)
ANTHROPIC = Provider(Dialect.ANTHROPIC, (b"x-api-key", b"ours"), own=True)
KEYLESS, KEYLESS_ANTHROPIC = Provider(Dialect.OPENAI), Provider(Dialect.ANTHROPIC)
SECRETS = {b"authorization": b"Bearer theirs", b"x-api-key": b"theirs", b"api-key": b"theirs", b"cookie": b"theirs"}
MESSAGE: dict[str, Any] = {"path": b"/v1/messages", "max_tokens": 9}


def asking(*, options: LlmOptions | None = None, so_far: str | None = None, **told: Any) -> Call:
    """A call as the engine has it: what it asks is read."""
    call = asks(**told)
    call.llm = read_ask(call, options or LlmOptions())
    if so_far is not None:
        call.llm.resuming, call.llm.so_far = True, so_far
    return call


def sent(call: Call, provider: Provider, model: Model | None = None) -> Call:
    assert call.llm is not None
    return as_sent(call, call.llm, provider, model or Model())


def body(call: Call) -> Any:
    return orjson.loads(call.body.whole or b"")


def why(call: Call, provider: Provider) -> str:
    assert call.llm is not None
    return why_not(call.llm, provider)


def test_the_body_goes_as_it_came_but_for_the_models_name() -> None:
    raw = b'{ "model" : "smart","messages":[{"role":"user","content":"\\u0041"}], "new": 1.50 }'
    call = asking(document=raw)
    assert sent(call, OPENAI).body.whole is call.body.whole
    assert sent(call, OPENAI, Model("smart")).body.whole is call.body.whole
    assert sent(call, OPENAI, Model("gpt-4o")).body.whole == raw.replace(b'"smart"', b'"gpt-4o"')
    assert call.body.whole == raw, "the next target gets what came"


def test_a_credential_of_ours_replaces_the_callers() -> None:
    call = asking(fields=dict(SECRETS))
    made = sent(call, OPENAI)
    assert made.headers[0] == (b"Authorization", b"Bearer ours")
    assert b"theirs" not in b"".join(value for _, value in made.headers)
    assert made.fields[b"authorization"] == b"Bearer ours"


def test_a_secret_of_ours_in_another_field_does_so_too() -> None:
    made = sent(asking(fields=dict(SECRETS)), Provider(Dialect.OPENAI, own=True))
    assert b"theirs" not in b"".join(value for _, value in made.headers)


def test_without_one_the_callers_goes_to_its_own_dialect() -> None:
    assert sent(asking(fields=dict(SECRETS)), KEYLESS).fields[b"authorization"] == b"Bearer theirs"


@pytest.mark.parametrize(("told", "provider"), [({}, KEYLESS_ANTHROPIC), (MESSAGE, KEYLESS)])
def test_and_never_to_another(told: dict[str, Any], provider: Provider) -> None:
    assert why(asking(fields=dict(SECRETS), **told), provider).startswith("no_credential: ")


@pytest.mark.parametrize(("told", "provider"), [({}, ANTHROPIC), (MESSAGE, OPENAI), (MESSAGE, COMPATIBLE)])
def test_a_translated_request_has_no_field_that_speaks_to_one_provider(
    told: dict[str, Any], provider: Provider
) -> None:
    fields = {
        b"anthropic-beta": b"x", b"anthropic-version": b"2099-01-01", b"openai-organization": b"o",
        b"x-stainless-lang": b"python", b"content-type": b"application/json; charset=utf-8", b"x-mine": b"1",
    }  # fmt: skip
    made = sent(asking(fields=fields | SECRETS, **told), provider).fields
    ours = {b"anthropic-version": b"2023-06-01"} if provider is ANTHROPIC else {}
    assert provider.credential is not None
    name, key = provider.credential
    assert made == {
        b"x-mine": b"1", name.lower(): key, **ours, b"content-type": b"application/json",
        b"idempotency-key": b"sidecar-1",
    }  # fmt: skip


def test_anthropics_version_is_said_where_the_caller_has_not() -> None:
    assert sent(asking(**MESSAGE), ANTHROPIC).fields[b"anthropic-version"] == b"2023-06-01"
    newer = {b"anthropic-version": b"2099-01-01"}
    assert sent(asking(fields=newer, **MESSAGE), ANTHROPIC).headers.count((b"anthropic-version", b"2099-01-01")) == 1


def test_one_idempotency_key_over_all_attempts() -> None:
    call = asking()
    assert sent(call, OPENAI).fields[b"idempotency-key"] == sent(call, ANTHROPIC).fields[b"idempotency-key"]
    own = asking(fields={b"idempotency-key": b"theirs"})
    assert sent(own, OPENAI).headers.count((b"idempotency-key", b"theirs")) == 1
    for broken in (call, own):
        assert broken.llm is not None
        broken.llm.resuming, broken.llm.so_far = True, "Hello"
        again = sent(broken, OPENAI).fields[b"idempotency-key"]
        assert again.endswith(b"-5"), "with the beginning of its answer it is another request"
    reading = asking(path=b"/v1/files")
    reading.method = b"GET"
    assert b"idempotency-key" not in sent(reading, OPENAI).fields


def test_a_translated_request_goes_to_the_path_of_its_target() -> None:
    made = sent(asking(seed=1), ANTHROPIC, Model("claude"))
    assert (made.outgoing, body(made)["model"], body(made)["max_tokens"]) == (b"/messages", "claude", MAX_TOKENS)
    assert body(sent(asking(), ANTHROPIC, Model("claude", 77)))["max_tokens"] == 77
    assert body(sent(asking(max_tokens=5), ANTHROPIC, Model("claude", 77)))["max_tokens"] == 5
    made = sent(asking(**MESSAGE), OPENAI)
    assert (made.outgoing, body(made)["model"], body(made)["max_completion_tokens"]) == (
        b"/chat/completions", "gpt-x", 9,
    )  # fmt: skip
    assert body(sent(asking(**MESSAGE), COMPATIBLE))["max_tokens"] == 9
    response = asking(document={"model": "m", "input": "?"}, path=b"/v1/responses")
    assert sent(response, ANTHROPIC).outgoing == b"/messages"


def test_the_query_and_the_path_below_the_version_go_to_the_callers_own_dialect() -> None:
    assert (
        sent(asking(path=b"/v1/chat/completions?api-version=1"), OPENAI).outgoing == b"/chat/completions?api-version=1"
    )


@pytest.mark.parametrize("path", [b"/v1/completions", b"/v1/embeddings", b"/v1/moderations"])
def test_what_has_no_counterpart_is_not_translated(path: bytes) -> None:
    call = asking(document={"model": "m", "prompt": "?", "input": "?"}, path=path)
    assert why(call, ANTHROPIC) == f"not_translatable: {path[4:].decode()} is not translated"
    assert why(call, OPENAI) == ""


def test_nor_is_a_count_or_a_response_where_nobody_has_it() -> None:
    assert why(asking(path=b"/v1/messages/count_tokens"), OPENAI).startswith("not_translatable: ")


def test_what_a_target_cannot_express_makes_it_unsuitable() -> None:
    assert why(asking(n=2), ANTHROPIC).startswith("not_translatable: ")
    assert why(asking(n=2), OPENAI) == ""


def test_strictly_so_does_what_it_would_lose() -> None:
    assert why(asking(seed=1), ANTHROPIC) == ""
    strict = why(asking(seed=1, options=LlmOptions(strict=True)), ANTHROPIC)
    assert strict == "not_translatable: it would lose seed"
    assert why(asking(options=LlmOptions(strict=True)), ANTHROPIC) == ""


def test_a_request_is_translated_once_for_all_targets_of_a_dialect() -> None:
    call = asking(**MESSAGE)
    why(call, OPENAI)
    assert call.llm is not None
    said = call.llm.said["openai"]
    assert why(call, OPENAI) == ""
    assert call.llm.said["openai"] is said
    assert why(call, COMPATIBLE) == ""
    assert set(call.llm.said) == {"openai", "openai+"}


def test_an_encoded_body_goes_as_it_is_to_its_own_dialect_only() -> None:
    call = asking(document=b"\x1f\x8b", fields={b"content-encoding": b"gzip", b"content-type": b"application/json"})
    assert sent(call, OPENAI, Model("other")).body.whole == b"\x1f\x8b"
    assert why(call, ANTHROPIC) == "not_translatable: chat/completions is not translated"


def test_other_paths_keep_the_type_of_what_they_carry() -> None:
    form = {b"content-type": b"multipart/form-data; boundary=x"}
    for provider in (OPENAI, ANTHROPIC):
        call = asking(document=b"--x", path=b"/v1/files", fields=form)
        assert why(call, provider) == ""
        assert sent(call, provider).fields[b"content-type"] == form[b"content-type"]


def test_what_an_upgrade_and_trailers_need_is_still_known_to_who_writes_the_head() -> None:
    hop = {b"upgrade": b"websocket", b"te": b"trailers", b"trailer": b"X-Sum"}
    call = asking(document=b"--x", path=b"/v1/realtime", fields=hop)
    call.headers = []  # where none of them stand
    assert hop.items() <= sent(call, OPENAI).fields.items()


def test_what_is_too_deep_to_be_said_again_cannot_be_carried() -> None:
    schema = b'{"type":"object","a":' + b"[" * 300 + b"]" * 300 + b"}"
    tool = b'{"type":"function","function":{"name":"f","parameters":' + schema + b"}}"
    call = asking(document=b'{"messages":[{"role":"user","content":"?"}],"tools":[' + tool + b"]}")
    assert why(call, ANTHROPIC) == ""
    with pytest.raises(UpstreamError) as caught:
        sent(call, ANTHROPIC)
    assert caught.value.facts.what is What.CANNOT_CARRY


def test_who_goes_on_gets_the_beginning_of_the_answer() -> None:
    call = asking(so_far="Hel")
    made = body(sent(call, COMPATIBLE, Model("small")))
    assert made == {
        "model": "small",
        "messages": [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Hel"}],
        "continue_final_message": True,
        "add_generation_prompt": False,
    }
    assert body(sent(call, ANTHROPIC))["messages"][-1] == {"role": "assistant", "content": "Hel"}
    assert call.llm is not None
    assert len((call.llm.document or {})["messages"]) == 1


@pytest.mark.parametrize(
    ("last", "becomes"),
    [
        ({"role": "assistant", "content": "So: "}, [{"role": "assistant", "content": "So: Hel"}]),
        (
            {"role": "assistant", "content": [{"type": "text", "text": "So: "}]},
            [{"role": "assistant", "content": [{"type": "text", "text": "So: "}, {"type": "text", "text": "Hel"}]}],
        ),
        (
            {"role": "assistant", "content": None, "tool_calls": []},
            [{"role": "assistant", "content": None, "tool_calls": []}, {"role": "assistant", "content": "Hel"}],
        ),
        (7, [7, {"role": "assistant", "content": "Hel"}]),
    ],
)
def test_behind_a_beginning_of_the_callers_own(last: Any, becomes: Any) -> None:
    call = asking(document={"model": "m", "messages": [last]}, so_far="Hel")
    assert body(sent(call, COMPATIBLE))["messages"] == becomes


def test_without_messages_there_is_nothing_to_go_on_behind() -> None:
    call = asking(document={"model": "m", "messages": "none"}, so_far="Hel")
    with pytest.raises(UpstreamError) as caught:
        sent(call, COMPATIBLE)
    assert caught.value.facts.what is What.CANNOT_CARRY
    empty = asking(document={"model": "m", "messages": []}, so_far="Hel")
    assert body(sent(empty, COMPATIBLE))["messages"] == [{"role": "assistant", "content": "Hel"}]


def test_an_answer_that_had_said_nothing_is_asked_for_anew() -> None:
    call = asking(so_far="")
    assert sent(call, OPENAI).body.whole is call.body.whole
