"""What is asked, in both dialects."""

from __future__ import annotations

import json

import pytest

from sidecar.cli.llm.conversation import Speech, assistant, speech, user
from sidecar.cli.trouble import Trouble
from sidecar.llm import Dialect

OPENAI, ANTHROPIC = Speech(Dialect.OPENAI), Speech(Dialect.ANTHROPIC)
TURNS = [user("hi"), assistant("Hello"), user("bye")]


def test_chat_completions() -> None:
    assert OPENAI.path == "/v1/chat/completions"
    assert json.loads(OPENAI.body("gpt", TURNS, stream=False)) == {"model": "gpt", "messages": TURNS}
    streamed = json.loads(OPENAI.body("gpt", TURNS, stream=True))
    assert (streamed["stream"], streamed["stream_options"]) == (True, {"include_usage": True})


def test_messages() -> None:
    assert ANTHROPIC.path == "/v1/messages"
    asked = json.loads(ANTHROPIC.body("claude", TURNS, stream=True))
    assert asked == {"model": "claude", "messages": TURNS, "max_tokens": 4096, "stream": True}
    assert ANTHROPIC.fields["anthropic-version"] == "2023-06-01"


@pytest.mark.parametrize(
    ("dialect", "environ", "field", "value"),
    [
        ("openai", {"OPENAI_API_KEY": "sk-1", "ANTHROPIC_API_KEY": "sk-2"}, "Authorization", "Bearer sk-1"),
        ("anthropic", {"OPENAI_API_KEY": "sk-1", "ANTHROPIC_API_KEY": "sk-2"}, "x-api-key", "sk-2"),
    ],
)
def test_each_dialect_has_its_key(dialect: str, environ: dict[str, str], field: str, value: str) -> None:
    assert speech(dialect, None, environ).fields[field] == value
    assert speech(dialect, " sk-3\n", environ).fields[field] == value.replace(value[-4:], "sk-3")


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_without_a_key_none_is_sent(dialect: str) -> None:
    assert not {"Authorization", "x-api-key"} & speech(dialect, None, {}).fields.keys()


def test_a_dialect_that_nobody_speaks() -> None:
    with pytest.raises(Trouble, match="-p gemini: the dialects are openai, anthropic") as caught:
        speech("gemini", None, {})
    assert caught.value.code == 2


def test_the_key_is_not_told() -> None:
    assert "sk-3" not in repr(speech("openai", "sk-3", {}))


def test_retry_and_fallback_are_switched_off_by_headers() -> None:
    off = speech("openai", None, {}, retry=False, fallback=False)
    assert off.wishes == {"X-Sidecar-Retry": "off", "X-Sidecar-Fallback": "off"}
    assert off.wishes.items() <= off.fields.items()
    assert speech("openai", None, {}).wishes == {}


def test_bytes_of_a_shell_that_are_no_text() -> None:
    with pytest.raises(Trouble, match="no UTF-8") as caught:
        OPENAI.body("gpt", [user("caf\udce9")], stream=False)
    assert caught.value.code == 2
