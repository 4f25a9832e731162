"""`sidecar send`: one question, through a real sidecar, to providers that misbehave."""

from __future__ import annotations

import io
import json
import sys

import pytest

from sidecar.cli.llm.asking import Wishes
from sidecar.cli.llm.send import send
from sidecar.cli.trouble import Trouble
from sidecar.standins.llm_answers import Answer, ToolCall
from sidecar.standins.llm_faults import Fault, Kind
from tests.kit.llm_commands import place

HI = "hi there"
SAID = "You said: hi there\n"
BROKEN = Fault(Kind.STATUS, status=503)


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["smart", "clever"])
async def test_the_answer_is_printed(dialect: str, stream: bool, model: str) -> None:
    async with place() as p:
        done = await p.run(send, HI, as_json=False, dialect=dialect, stream=stream, model=model)
        assert done == (0, SAID, "")


@pytest.mark.parametrize("text", ["-", None])
async def test_the_question_may_come_on_stdin(text: str | None) -> None:
    async with place() as p:
        done = await p.run(send, text, as_json=False, stdin="hi\nthere\n")
        assert done == (0, "You said: hi\nthere\n", "")


@pytest.mark.parametrize(("text", "stdin"), [("", ""), (" \n", ""), ("-", "\n"), (None, "")])
async def test_nothing_to_send(text: str | None, stdin: str) -> None:
    async with place() as p:
        done = await p.run(send, text, as_json=False, stdin=stdin)
        assert (done.code, done.out) == (2, "")
        assert "nothing to send" in done.err
        assert p.counts == (0, 0)


def test_stdin_that_is_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9"), encoding="utf-8"))
    with pytest.raises(Trouble, match="stdin is no UTF-8 text"):
        send(None, Wishes(), as_json=False, environ={})


async def test_another_provider_answers_in_an_outage() -> None:
    async with place() as p:
        await p.openai.switch(BROKEN)
        done = await p.run(send, HI, as_json=False, verbose=True)
        assert (done.code, done.out) == (0, SAID)
        assert "< upstream: anthropic\n< model: claude-sonnet-4-6\n< attempts: 4\n" in done.err


async def test_without_fallback_the_error_is_told() -> None:
    async with place() as p:
        await p.openai.switch(BROKEN)
        done = await p.run(send, HI, as_json=False, fallback=False)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("sidecar: openai says: The engine is currently overloaded")
        assert done.err.endswith("(503 server_error)\n")
        assert p.counts == (3, 0)


async def test_without_retry_each_target_is_asked_once() -> None:
    async with place() as p:
        await p.openai.switch(BROKEN)
        done = await p.run(send, HI, as_json=False, retry=False)
        assert done == (0, SAID, "")
        assert p.counts == (1, 1)


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize("kind", [Kind.CUT, Kind.CUT_RESET, Kind.ERROR_INSIDE])
async def test_a_stream_that_breaks(dialect: str, kind: Kind) -> None:
    async with place() as p:
        await p.openai.switch(Fault(kind, tokens=3))
        done = await p.run(send, "one two three", as_json=False, dialect=dialect, stream=True)
        assert (done.code, done.out) == (1, "You said: one\n")
        assert done.err.startswith("sidecar: ")
        assert len(done.err.splitlines()) == 1


async def test_a_stall_is_waited_for() -> None:
    async with place() as p:
        await p.openai.switch(Fault(Kind.STALL, tokens=3, delay=0.05))
        assert await p.run(send, "one two three", as_json=False, stream=True) == (0, "You said: one two three\n", "")


async def test_an_event_that_is_no_json() -> None:
    async with place() as p:
        await p.openai.switch(Fault(Kind.MALFORMED, tokens=3))
        done = await p.run(send, "one two", as_json=False, stream=True)
        assert (done.code, done.out) == (1, "You said: one two\n")
        assert "could not be read" in done.err


async def test_characters_in_pieces() -> None:
    async with place() as p:
        await p.openai.switch(Fault(Kind.DRIBBLE, size=1))
        assert await p.run(send, "für 5 € 👩‍🚀", as_json=False, stream=True) == (0, "You said: für 5 € 👩‍🚀\n", "")


async def test_the_callers_own_key() -> None:
    async with place(openai="") as p:
        p.openai.key = "sk-mine"
        done = await p.run(send, HI, as_json=False, model="gpt-4o", key="sk-yours")
        assert (done.code, done.out) == (1, "")
        assert "Is the key right (-k, $OPENAI_API_KEY)?" in done.err
        p.environ["OPENAI_API_KEY"] = "sk-mine"
        assert await p.run(send, HI, as_json=False, model="gpt-4o") == (0, SAID, "")


async def test_the_key_of_the_policy_file_is_refused() -> None:
    async with place() as p:
        p.openai.key = "sk-another"
        done = await p.run(send, HI, as_json=False, fallback=False)
        assert done.code == 1
        assert "the provider refuses the key of the policy file" in done.err


async def test_a_rate_limit_of_the_policy_file() -> None:
    async with place(route="rate_limit = { per_minute = 1 }") as p:
        assert (await p.run(send, HI, as_json=False)).code == 0
        done = await p.run(send, HI, as_json=False)
        assert done.code == 1
        assert done.err.startswith(
            "sidecar: too many calls by a limit of the policy file, or every target rests, again"
        )
        assert done.err.endswith(" s: rate limit of llm exceeded (429 rate_limited)\n")


async def test_an_open_breaker() -> None:
    async with place() as p:
        p.sidecar.runtime.breakers()["anthropic/claude-opus-4-6"].force_open()
        done = await p.run(send, HI, as_json=False, model="clever")
        assert done.code == 1
        assert done.err.startswith("sidecar: no target may be asked, their circuit breakers are open")
        assert "'anthropic/claude-opus-4-6' is OPEN" in done.err
        assert done.err.endswith("(503 circuit_open)\n")


async def test_a_token_that_callers_must_have() -> None:
    async with place(listen='http_token = "open"') as p:
        done = await p.run(send, HI, as_json=False)
        assert (done.code, done.out) == (1, "")
        assert "$SIDECAR_HTTP_TOKEN" in done.err
        p.environ["SIDECAR_HTTP_TOKEN"] = "open"
        assert await p.run(send, HI, as_json=False) == (0, SAID, "")


async def test_an_upstream_narrows_what_is_asked() -> None:
    async with place() as p:
        done = await p.run(send, HI, as_json=False, upstream="anthropic", model="clever")
        assert done == (0, SAID, "")
        done = await p.run(send, HI, as_json=False, upstream="openai", model="clever")
        assert (done.code, done.err) == (2, "sidecar: model clever does not lead to openai; models that do: smart\n")
        assert p.counts == (0, 1)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("answer", "out", "how"),
    [
        (Answer("one two", stop="length"), "one two\n", "cut at its limit of tokens (length)"),
        (Answer("one", stop="content_filter"), "one\n", "ended by a content filter (content_filter)"),
        (Answer([""]), "", "without text (stop)"),
        (Answer(ToolCall("get_time")), "", "without text (tool_calls)"),
    ],
)
async def test_an_end_that_is_not_the_models_own_is_told(answer: Answer, out: str, how: str, stream: bool) -> None:
    """Nothing at all on stdout looks like a fault of ours."""
    async with place() as p:
        p.openai.script(answer)
        done = await p.run(send, HI, as_json=False, stream=stream)
        assert done == (0, out, f"sidecar: the answer is {how}\n")


async def test_all_of_it_as_json() -> None:
    async with place() as p:
        done = await p.run(send, HI, as_json=True)
        told = json.loads(done.out)
        assert (done.code, done.err) == (0, "")
        assert (told["status"], told["text"], told["reason"]) == (200, SAID.strip(), "stop")
        assert told["usage"] == {"input": 5, "output": 4, "cached": 0}
        assert told["sidecar"].items() >= {"upstream": "openai", "model": "gpt-4o", "attempts": 1}.items()
        assert told["answer"]["object"] == "chat.completion"
        assert 0 < told["seconds"]["first_byte"] <= told["seconds"]["total"]


async def test_a_stream_as_json() -> None:
    async with place() as p:
        told = json.loads((await p.run(send, HI, as_json=True, stream=True, dialect="anthropic")).out)
        assert told["text"] == SAID.strip()
        assert [told["events"][0]["type"], told["events"][-1]["type"]] == ["message_start", "message_stop"]


async def test_an_error_as_json() -> None:
    async with place() as p:
        await p.openai.switch(BROKEN)
        done = await p.run(send, HI, as_json=True, fallback=False)
        told = json.loads(done.out)
        assert done.code == 1
        assert (told["status"], told["error"]["code"], told["error"]["type"]) == (503, None, "server_error")
        assert told["sidecar"]["error_category"] == "server"
        assert done.err.startswith("sidecar: openai says")
