"""What Anthropic refuses of a request, in its own words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.standins.anthropic_checks import check
from sidecar.standins.llm_answers import sealed, sign
from sidecar.standins.llm_provider import ApiError

OLD, NEW = "2023-06-01", "2026-10-21"


def refused(document: dict[str, Any], version: str = OLD) -> str:
    """What it is told; empty when it is let through."""
    try:
        check(document, sealed, version)
    except ApiError as error:
        return f"{error.status}: {error.message}".removeprefix("400: ")
    return ""


def asked(*turns: Any, **more: Any) -> dict[str, Any]:
    return {"max_tokens": 4000, "messages": list(turns), **more}


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content) if content else "hi"}


def assistant(*content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(content) if content else "hello"}


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **more}


def use(id_: str = "toolu_1") -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": "get_time", "input": {}}


def result(id_: str = "toolu_1") -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id_, "content": "noon"}


TOOL = {"name": "get_time", "input_schema": {"type": "object"}}
ENABLED = {"type": "enabled", "budget_tokens": 1024}
THINKING = {"type": "thinking", "thinking": "Hm.", "signature": sign("Hm.")}


@pytest.mark.parametrize(
    "document",
    [
        asked(user()),
        asked(user(), user()),
        asked(user(), assistant()),
        asked(user(text("hi")), assistant(THINKING, text("Let me."), use()), user(result(), text("and?"))),
        asked(user(), assistant(use("a"), use("b")), user(result("b"), result("a"))),
        asked(user(), temperature=1, top_p=0.5, top_k=3, stop_sequences=["END"], system="Brief!"),
        asked(user(), tools=[TOOL], tool_choice={"type": "tool", "name": "get_time"}, system=[text("Brief!")]),
        asked(user(), thinking=ENABLED),
        asked(user({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "eA=="}})),
        asked(user(), assistant({"type": "document", "source": {}}), user()),
    ],
)
def test_what_is_right_is_let_through(document: dict[str, Any]) -> None:
    assert refused(document) == ""


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"messages": [user()]}, "max_tokens: Field required"),
        ({"max_tokens": "9", "messages": [user()]}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": 0, "messages": [user()]}, "max_tokens: must be greater than or equal to 1"),
        ({"max_tokens": 9}, "messages: Field required"),
        (asked(), "messages: at least one message is required"),
        (asked(assistant()), 'messages: first message must use the "user" role'),
        (asked({"role": "system", "content": "hi"}), 'messages: Unexpected role "system".'),
        (asked({"role": "tool", "content": "hi"}), 'messages: Unexpected role "tool".'),
        (asked({"role": "user"}), "messages.0.content: Field required"),
        (asked({"role": "user", "content": ""}), "messages.0: all messages must have non-empty content"),
        (asked(user(text(""))), "messages: text content blocks must be non-empty"),
        (asked(user(text(" \n"))), "messages: text content blocks must contain non-whitespace text"),
        (
            asked(user(), assistant(text("So "))),
            "messages: final assistant content cannot end with",
        ),
        (asked(user({"type": "input_audio"})), "messages.0.content.0: Input tag 'input_audio' found"),
        (asked(user(use())), "messages.0.content.0: Input tag 'tool_use' found"),
        (asked(user(), temperature=1.2), "temperature: range: 0..1"),
        (asked(user(), top_p=-1), "top_p: range: 0..1"),
        (asked(user(), stop_sequences=["  "]), "stop_sequences.0: each stop sequence must contain non-whitespace"),
        (asked(user(), system=[text("")]), "system: text content blocks must be non-empty"),
        (asked(user(), system=[{"type": "image"}]), "system.0.type: Input should be 'text'"),
        (asked(user(), tools=[{"name": "a b"}]), "tools.0.custom.name: String should match pattern"),
        (asked(user(), tools=[{"name": "a"}]), "tools.0.custom.input_schema: Field required"),
        (asked(user(), tools=[{"name": "a", "input_schema": {}}]), "tools.0.custom.input_schema.type: Field required"),
        (asked(user(), tools=[TOOL, TOOL]), "tools: Tool names must be unique."),
        (asked(user(), tool_choice={"type": "any"}), "tool_choice: tool_choice may only be specified while"),
        (
            asked(user(), tools=[TOOL], tool_choice={"type": "tool", "name": "x"}),
            "Tool 'x' not found in provided tools",
        ),
        (
            asked(user(), assistant(use()), user()),
            "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1.",
        ),
        (asked(user(), assistant(use())), "messages.1: `tool_use` ids were found without `tool_result`"),
        (asked(user(), assistant(use()), assistant(), user(result())), "messages.1: `tool_use` ids were found without"),
        (asked(user(), assistant(use()), user(text("so"), result())), "messages.1: `tool_use` ids were found without"),
        (
            asked(user(), assistant(use("a"), use("b")), user(result("a"))),
            "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: b.",
        ),
        (asked(user(result())), "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks"),
        (asked(user(), assistant(use()), user(result(), result())), "messages.2: each tool_use must have a single"),
        (asked(user(), assistant(use("a"), use("a")), user(result("a"))), "messages.1: `tool_use` ids must be unique"),
        (
            asked(user(), assistant(use("functions.a:0")), user(result("functions.a:0"))),
            "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
        ),
        (asked(user(), assistant({**use(), "input": "{}"}), user(result())), "messages.1.content.0.tool_use.input: "),
        (asked(user(), assistant({**THINKING, "thinking": "Hm"})), "messages.1.content.0: Invalid `signature` in"),
        (
            asked(user(), assistant({"type": "thinking", "thinking": "Hm."})),
            "messages.1.content.0.thinking.signature",
        ),
        (
            asked(user(), thinking={"type": "enabled", "budget_tokens": 1023}),
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        ),
        (
            asked(user(), thinking={"type": "enabled", "budget_tokens": 4000}),
            "`max_tokens` must be greater than `thinking.budget_tokens`.",
        ),
        (
            asked(user(), thinking=ENABLED, temperature=0.5),
            "`temperature` may only be set to 1 when thinking is enabled.",
        ),
        (
            asked(
                user(), thinking={"type": "enabled", "budget_tokens": 1024}, tools=[TOOL], tool_choice={"type": "any"}
            ),
            "Thinking may not be enabled when tool_choice forces tool use.",
        ),
        (
            asked(user({"type": "image", "source": {"type": "base64", "media_type": "image/tiff", "data": ""}})),
            "messages.0.content.0.image.source.base64.media_type: Input should be 'image/jpeg'",
        ),
    ],
)
def test_what_is_wrong_is_told_as_the_real_one_tells_it(document: dict[str, Any], told: str) -> None:
    assert refused(document).startswith(told)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (asked(user(), temperature=1), "temperature: Extra inputs are not permitted"),
        (asked(user(), top_p=1), "top_p: Extra inputs are not permitted"),
        (asked(user(), top_k=5), "top_k: Extra inputs are not permitted"),
        (asked(user(), assistant({"type": "document", "source": {}}), user()), "messages.1.content.0: document blocks"),
        (
            asked(user(text("hi", citations=[{}]))),
            "messages.0.content.0.text.citations: Extra inputs",
        ),
    ],
)
def test_the_newer_version_refuses_more(document: dict[str, Any], told: str) -> None:
    assert refused(document) == ""
    assert refused(document, NEW).startswith(told)


MEMBERS = ("system", "tools", "tool_choice", "thinking", "temperature", "top_p", "stop_sequences")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
BLOCKS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image", "tool_use", "tool_result", "thinking"]) | JSON},
    optional=dict.fromkeys(("text", "source", "id", "input", "tool_use_id", "thinking", "signature"), JSON),
)
TURNS = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant"]) | JSON, "content": JSON | st.lists(BLOCKS | JSON, max_size=3)}
)


@given(
    document=st.fixed_dictionaries(
        {"max_tokens": st.just(9) | JSON, "messages": JSON | st.lists(TURNS | JSON, max_size=3)},
        optional=dict.fromkeys(
            ("system", "tools", "tool_choice", "thinking", "temperature", "top_p", "stop_sequences"), JSON
        ),
    )
)
def test_nothing_makes_it_fall_over(document: dict[str, Any]) -> None:
    refused(document)
    refused(document, NEW)
