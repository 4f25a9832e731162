"""Lists of models, read in either shape and written as the official SDKs read them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from anthropic.types import ModelInfo
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Model

from sidecar.dialects.models_list import (
    dialect_of,
    named,
    next_page,
    read_model,
    read_page,
    told,
    write_list,
    write_model,
)
from sidecar.llm import Dialect

OPENAI, ANTHROPIC = Dialect.OPENAI, Dialect.ANTHROPIC
GPT = {"id": "gpt-4o", "object": "model", "created": 1715367049, "owned_by": "system", "extra": [1]}
CLAUDE = {
    "type": "model",
    "id": "claude-sonnet-4",
    "display_name": "Claude Sonnet 4",
    "created_at": "2025-05-22T00:00:00Z",
    "lifecycle": "active",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = ("id", "object", "type", "created", "created_at", "owned_by", "display_name")
ENTRY = JSON | st.dictionaries(st.sampled_from(KEYS), JSON) | st.fixed_dictionaries({"id": st.text(min_size=1)})


def listed(entries: list[dict[str, Any]], dialect: Dialect, query: bytes = b"") -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(write_list(entries, dialect, query))
    return found


def test_each_dialects_list_is_read() -> None:
    page = read_page(orjson.dumps({"object": "list", "data": [GPT]}))
    assert page is not None
    assert (page.entries, page.after) == ([GPT], "")
    page = read_page(orjson.dumps({"data": [CLAUDE], "has_more": True, "first_id": "x", "last_id": "y"}))
    assert page is not None
    assert (page.entries, page.after) == ([CLAUDE], "y")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"data": {}}', b'{"data": null}', b'{"error": {"message": "no"}}', b"\xff"]
)
def test_what_is_no_list(body: bytes) -> None:
    assert read_page(body) is None


@pytest.mark.parametrize("entry", [None, 3, "gpt", [], {}, {"id": 3}, {"id": ""}, {"name": "gpt"}])
def test_what_has_no_id_is_left_out(entry: object) -> None:
    page = read_page(orjson.dumps({"data": [entry, GPT]}))
    assert page is not None
    assert page.entries == [GPT]
    assert read_model(orjson.dumps(entry)) is None


@pytest.mark.parametrize(
    "paged", [{"has_more": False, "last_id": "y"}, {"has_more": True}, {"has_more": True, "last_id": 3}]
)
def test_no_more_is_asked_for_than_is_told_of(paged: dict[str, object]) -> None:
    page = read_page(orjson.dumps({"data": [CLAUDE], **paged}))
    assert page is not None
    assert page.after == ""


def test_what_is_nested_deeper_than_can_be_written_is_no_list() -> None:
    deep = b'{"data": [{"id": "a", "x": ' + b"[" * 500 + b"]" * 500 + b"}]}"
    assert read_page(deep) is None


def test_an_entry_of_the_callers_dialect_stays_as_it_was() -> None:
    assert told(GPT, OPENAI, "a") == GPT
    assert told(CLAUDE, ANTHROPIC, "a") is CLAUDE


def test_what_compatible_servers_leave_out_is_filled_in() -> None:
    assert told({"id": "llama"}, OPENAI, "vllm") == {"id": "llama", "object": "model", "created": 0, "owned_by": "vllm"}


def test_each_dialects_model_in_the_other() -> None:
    assert told(CLAUDE, OPENAI, "anthropic") == {
        "id": "claude-sonnet-4",
        "object": "model",
        "created": 1747872000,
        "owned_by": "anthropic",
    }
    assert told(GPT, ANTHROPIC, "openai") == {
        "type": "model",
        "id": "gpt-4o",
        "display_name": "gpt-4o",
        "created_at": "2024-05-10T18:50:49Z",
        "lifecycle": "active",
    }


@pytest.mark.parametrize("created", [None, "yesterday", True, -(10**20), 10**20, 1e300])
def test_a_time_that_is_none_is_the_epoch(created: object) -> None:
    assert told({"id": "a", "created": created}, ANTHROPIC, "x")["created_at"] == "1970-01-01T00:00:00Z"
    assert told({"id": "a", "type": "model", "created_at": created}, OPENAI, "x")["created"] == 0


def test_a_model_of_the_file_is_the_same_each_time() -> None:
    assert named("smart", OPENAI) == {"id": "smart", "object": "model", "created": 0, "owned_by": "sidecar"}
    assert named("smart", ANTHROPIC) == {
        "type": "model",
        "id": "smart",
        "display_name": "smart",
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
    }


def test_of_two_entries_with_one_id_the_first_stays_where_it_is() -> None:
    entries = [named("smart", OPENAI), GPT, {**GPT, "owned_by": "other"}, {**GPT, "id": "smart"}]
    assert listed(entries, OPENAI) == {"object": "list", "data": entries[:2]}


MANY = [{**CLAUDE, "id": str(number)} for number in range(5)]


@pytest.mark.parametrize(
    ("query", "ids", "more"),
    [
        (b"", "01234", False),
        (b"?limit=2", "01", True),
        (b"?limit=5", "01234", False),
        (b"?limit=2&after_id=1", "23", True),
        (b"?limit=2&after_id=3", "4", False),
        (b"?after_id=4", "", False),
        (b"?after_id=nobody", "", False),
        (b"?limit=2&before_id=3", "12", True),
        (b"?limit=9&before_id=3", "012", False),
        (b"?before_id=nobody", "", False),
        (b"?limit=x&other=1", "01234", False),
        (b"?limit=0", "01234", False),
        (b"?limit=%32", "01", True),
        (b"?limit=99999999999999999999999", "01234", False),
    ],
)
def test_anthropics_clients_may_ask_for_a_page(query: bytes, ids: str, more: bool) -> None:
    found = listed(MANY, ANTHROPIC, query)
    assert ("".join(entry["id"] for entry in found["data"]), found["has_more"]) == (ids, more)
    assert (found["first_id"], found["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))
    assert listed(MANY, OPENAI, query)["data"] == MANY


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_all_pages_together_are_the_list(step: int) -> None:
    seen: list[str] = []
    query = b"?limit=%d" % step
    while True:
        page = listed(MANY, ANTHROPIC, query)
        seen += [entry["id"] for entry in page["data"]]
        if not page["has_more"]:
            break
        query = b"?limit=%d&after_id=%b" % (step, page["last_id"].encode())
    assert seen == list("01234")


def test_a_provider_is_asked_for_pages_of_its_own() -> None:
    assert next_page(b"", "") == b""
    assert next_page(b"?limit=2&after_id=x&before_id=y", "") == b""
    assert next_page(b"?limit=2&lifecycle=retired", "a b&c") == b"?lifecycle=retired&limit=1000&after_id=a+b%26c"


@given(st.lists(ENTRY, max_size=4), st.sampled_from(Dialect), st.binary(max_size=30))
def test_whatever_a_provider_says_the_sdks_can_read_what_the_caller_gets(
    said: list[Any], dialect: Dialect, query: bytes
) -> None:
    page = read_page(orjson.dumps({"data": said}))
    assert page is not None
    entries = [told(entry, dialect, "upstream") for entry in page.entries]
    assert all(dialect_of(entry) is dialect for entry in entries)
    document = listed(entries, dialect, query)
    foreign = [entry for entry in page.entries if dialect_of(entry) is not dialect]
    for entry in foreign:
        told_as = orjson.loads(write_model(told(entry, dialect, "upstream")))
        model = Model if dialect is OPENAI else ModelInfo
        assert model.model_validate(told_as).id == entry["id"]
    assert isinstance(document["data"], list)


@given(st.binary())
def test_no_answer_breaks_the_reader(body: bytes) -> None:
    read_page(body)
    read_model(body)
