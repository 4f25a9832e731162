"""docs/llm.md against the translators: every row of its tables, every field of both vendors' requests, every figure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from anthropic.types.message_create_params import MessageCreateParamsBase
from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from openai.types.responses.response_create_params import ResponseCreateParamsBase

from sidecar.dialects import ask as asking
from sidecar.dialects import chat_to_messages, kept, messages_to_chat, responses_to_messages, text_reader
from sidecar.dialects.llm_errors import read_error, write_error
from sidecar.engine.route import BY_MODEL
from sidecar.listeners import warmth
from sidecar.llm import Ask, Dialect, Kind
from sidecar.upstreams import llm_request, llm_stream
from sidecar.upstreams import models_list as listing
from sidecar.upstreams.llm_request import Provider, why_not
from tests.kit import llm_page
from tests.kit.llm_page import (
    ANSWERS,
    CHAT,
    OF_ELEMENTS,
    OF_FIELDS,
    OF_PARTS,
    PAGE,
    STREAMS,
    Row,
    came_of_answer,
    came_of_request,
    came_of_stream,
    codes,
    fields,
    rows,
    table,
    told_of_request,
    told_of_stream,
    words_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.dialects.translated import Translated
    from sidecar.llm import Document

REQUESTS = (*OF_FIELDS, *OF_ELEMENTS, *OF_PARTS)
EACH_REQUEST = [
    pytest.param(heading, row, id=f"{heading}: {row.asked}") for heading in REQUESTS for row in rows(heading)
]
EACH_ANSWER = [pytest.param(heading, row, id=f"{heading}: {row.asked}") for heading in ANSWERS for row in rows(heading)]
OTHER = {Dialect.OPENAI: Dialect.ANTHROPIC, Dialect.ANTHROPIC: Dialect.OPENAI}
"""The other one of the two."""


def section(heading: str) -> str:
    """The text of a part of the page, its tables included."""
    return re.split(rf"^## {re.escape(heading)}$", PAGE.read_text(), flags=re.MULTILINE)[1].partition("\n## ")[0]


def test_every_table_of_the_page_is_known() -> None:
    told = set(re.findall(r"^### (.+)$", PAGE.read_text(), re.MULTILINE))
    assert told == {*REQUESTS, *ANSWERS, *STREAMS, "An error in each dialect"}


@pytest.mark.parametrize(("heading", "row"), EACH_REQUEST)
def test_a_request_is_translated_as_its_row_says(heading: str, row: Row) -> None:
    if row.no:
        assert words_of(lambda: came_of_request(heading, row)) == row.no
    else:
        assert came_of_request(heading, row) == told_of_request(heading, row)


@pytest.mark.parametrize(("heading", "row"), EACH_ANSWER)
def test_an_answer_is_translated_as_its_row_says(heading: str, row: Row) -> None:
    if row.no:
        assert words_of(lambda: came_of_answer(heading, row)) == row.no
    else:
        assert came_of_answer(heading, row) == fields(row.came[0] if row.came else "")


@pytest.mark.parametrize("heading", STREAMS)
def test_a_stream_is_translated_as_its_rows_say(heading: str) -> None:
    told = rows(heading)
    assert came_of_stream(heading, [row.asked for row in told]) == [told_of_stream(row) for row in told]


@pytest.mark.parametrize("told", table("An error in each dialect"), ids=lambda told: str(told[0]))
def test_an_error_is_said_in_each_dialect_as_its_row_says(told: list[str]) -> None:
    came, *written = (fields(codes(cell)[0] if codes(cell) else "") for cell in told)
    error = read_error(int(told[0][:3]), json.dumps({"error": {"message": "m", **came}}).encode())
    for dialect, cell, words in zip(Dialect, told[1:], written, strict=True):
        status, body = write_error(dialect, error, "id")
        made = {name: value for name, value in json.loads(body)["error"].items() if value is not None}
        assert status == int(cell[:3])
        assert made == {"message": came.get("message", "m"), **words}


WAYS: dict[str, tuple[Callable[[Document], Translated], Document, type]] = {
    "From chat completions to Anthropic": (chat_to_messages.chat_to_messages, CHAT, CompletionCreateParamsBase),
    "From messages to OpenAI": (llm_page.openai, CHAT, MessageCreateParamsBase),
    "From responses to Anthropic": (
        responses_to_messages.responses_to_messages,
        {"input": "Hi"},
        ResponseCreateParamsBase,
    ),
}
HANDLED = {
    "From chat completions to Anthropic": {
        *chat_to_messages._FIELDS,
        *chat_to_messages._SAID_BY_DEFAULT,
        *chat_to_messages._NOT_LOST,
    },
    "From messages to OpenAI": {*messages_to_chat._FIELDS},
    "From responses to Anthropic": {
        *responses_to_messages._ALIKE,
        *responses_to_messages._REFUSED,
        *responses_to_messages._SAID_BY_DEFAULT,
    },
}


def lost_always(way: str) -> tuple[str, ...]:
    """The names that a section lists as lost whatever they say."""
    found = re.search(r"^\*\*Lost, whatever they say\*\*.*?\n\n", section(way), re.MULTILINE | re.DOTALL)
    assert found is not None
    return codes(found[0].replace("\n", " "))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", [True, 3, "some", [1], {"a": 1}], ids=str)
def test_what_is_lost_whatever_it_says_is_lost_and_told(way: str, value: object) -> None:
    translate, base, _ = WAYS[way]
    for name in (*lost_always(way), "a_field_of_tomorrow"):
        made = translate({**base, name: value})
        assert (made.document, made.dropped) == (translate(base).document, (name,))
        assert translate({**base, name: None}).dropped == ()


@pytest.mark.parametrize("way", WAYS)
def test_every_field_of_a_vendors_request_is_on_the_page(way: str) -> None:
    text = section(way)
    named = {name for code in codes(text.replace("\n", " ")) for name in (code, *re.findall(r'"(\w+)":', code))}
    assert {*WAYS[way][2].__annotations__} - {"model"} - named == set()
    assert HANDLED[way] - named == set()


def document_for(kind: Kind) -> Document:
    return {"model": "m", **({"input": "Hi"} if kind is Kind.RESPONSES else CHAT)}


def test_each_path_goes_where_the_page_says() -> None:
    told = table("Which path goes where")
    kinds = [Kind(codes(row[0])[0].removeprefix("/v1/")) for row in told]
    assert {*kinds} == {*Kind} - {Kind.MODELS, Kind.OTHER}
    for kind, (_, speaks, chained, own, other) in zip(kinds, told, strict=True):
        dialect = Dialect(speaks.lower())
        ask = Ask(dialect, kind, b"", document=document_for(kind))
        assert (kind in BY_MODEL) == (chained == "yes")
        assert (why_not(ask, Provider(dialect, own=True)), own) == ("", "as received")
        no = f"not_translatable: {codes(other)[0]}" if other.startswith("skipped") else ""
        assert why_not(ask, Provider(OTHER[dialect], own=True)) == no


def test_a_target_gets_the_credential_that_the_page_says() -> None:
    told = [row[1] for row in table("Credentials and state")]
    assert ["no_credential" in cell for cell in told] == [False, False, True]
    ask = Ask(Dialect.OPENAI, Kind.CHAT, b"", document=document_for(Kind.CHAT))
    assert why_not(ask, Provider(Dialect.OPENAI)) == ""
    assert why_not(ask, Provider(Dialect.ANTHROPIC)).startswith("no_credential")


def test_every_figure_is_the_codes_own() -> None:
    told = [row[0] for row in table("How streams behave")]
    assert told == ["`first_token`", "`idle`", "`deadline`"]
    behind = section("How streams behave").split("| figure | is |\n|---|---|\n")[1].partition("\n\n")[0]
    figures = [line.strip("| ").partition(" | ")[0] for line in behind.splitlines()]
    mebibyte = 1 << 20
    assert figures == [
        f"{llm_stream.FINISH_GRACE:g} s",
        f"{llm_stream.USAGE_GRACE:g} s",
        f"{llm_stream.END_GRACE:g} s",
        f"{llm_stream.LONGEST_EVENT // mebibyte} MiB",
        f"{llm_stream.LONGEST_WAIT // mebibyte} MiB",
        f"{llm_stream.LONGEST_COMPLETE // mebibyte} MiB",
        f"{warmth.WARM_AFTER:g} s",
    ]
    text = " ".join(PAGE.read_text().split())
    for sentence in (
        f"at most {kept.LONGEST // mebibyte} MiB of an answer are kept",
        f"else {llm_request.MAX_TOKENS}.",
        f"of more than {chat_to_messages._USER_ID_LENGTH} characters is lost",
        f"of more than {messages_to_chat._USER_ID_LENGTH} characters is lost",
        f"`anthropic-version: {llm_request.ANTHROPIC_VERSION.decode()}` is added",
        f"a token for each {asking.BYTES_PER_TOKEN} bytes",
        f"or {asking.UNTOLD_OUTPUT} where it sets none and {asking.MOST_OUTPUT:,} at most",
        f"nor behind more than {text_reader.LONGEST_TEXT:,} characters",
        f"silent for {listing.PATIENCE:g} s",
    ):
        assert sentence in text
