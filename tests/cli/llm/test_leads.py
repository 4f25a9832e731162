"""Which models lead to which upstreams, and the one that is asked for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sidecar.cli.admin_client import Admin
from sidecar.cli.llm.conversation import Speech
from sidecar.cli.llm.leads import Chain, Leads, Listing, choose, leads_to, listing, upstreams_of
from sidecar.cli.trouble import Trouble
from sidecar.cli.web import Heard, Web
from sidecar.llm import Dialect
from tests.kit.llm_commands import place
from tests.kit.one_answer import answering


def chain(*targets: str) -> Chain:
    return [{"target": target, "ready": True} for target in targets]


LEADS = Leads(
    models={"smart": chain("openai/gpt-4o", "anthropic/claude"), "clever": chain("anthropic/opus", "static/sorry")},
    routes={"llm": chain("openai"), "anthropic": chain("anthropic")},
    upstreams={"openai": "openai", "anthropic": "anthropic", "spare": "openai", "shop": "http"},
)
NO_MODELS = Leads(routes=LEADS.routes, upstreams=LEADS.upstreams)


def lists(*names: str, route: str = "llm") -> Any:
    def listed() -> Listing:
        return Listing([{"id": name} for name in names], route, Heard(200, {}, b""))

    return listed


def unasked() -> Listing:
    raise AssertionError("providers are called for a list that nobody needs")


@pytest.mark.parametrize(
    ("model", "upstream", "chosen"),
    [
        (None, None, "smart"),
        ("gpt-4o", None, "gpt-4o"),
        (None, "openai", "smart"),
        (None, "anthropic", "clever"),  # there it comes first
        ("clever", "anthropic", "clever"),
    ],
)
def test_what_the_policy_file_names_needs_no_list(model: str | None, upstream: str | None, chosen: str) -> None:
    assert choose(model, upstream, LEADS, unasked) == chosen


def test_without_models_in_the_file_the_first_that_is_listed() -> None:
    assert choose(None, None, NO_MODELS, lists("gpt-4o", "o4-mini")) == "gpt-4o"


def test_nothing_is_listed() -> None:
    with pytest.raises(Trouble, match=r"name one with -m, or add \[models\.NAME\]") as caught:
        choose(None, None, NO_MODELS, lists())
    assert caught.value.code == 1


def test_a_model_without_a_chain_of_its_own_goes_where_the_route_leads() -> None:
    assert choose("gpt-4.1", "openai", LEADS, lists("gpt-4.1", route="llm")) == "gpt-4.1"
    assert choose(None, "openai", NO_MODELS, lists("gpt-4o", route="llm")) == "gpt-4o"
    with pytest.raises(Trouble, match=r"gpt-4\.1 does not lead to openai.*routes that do: llm \(is -p") as caught:
        choose("gpt-4.1", "openai", LEADS, lists("gpt-4.1", route="anthropic"))
    assert caught.value.code == 2


def test_where_all_routes_lead_there_nobody_is_asked() -> None:
    everywhere = Leads(routes={"a": chain("openai"), "b": chain("x", "openai")}, upstreams={"openai": "openai"})
    assert choose("gpt-4.1", "openai", everywhere, unasked) == "gpt-4.1"


@pytest.mark.parametrize(
    ("model", "upstream", "why"),
    [
        (None, "nobody", "there is no upstream nobody; providers are: openai, anthropic, spare"),
        (None, "shop", "shop speaks http, no LLM dialect; providers are: openai, anthropic, spare"),
        ("clever", "openai", "model clever does not lead to openai; models that do: smart"),
        ("clever", "spare", "model clever does not lead to spare"),
        (None, "spare", "nothing in this dialect leads to spare"),
    ],
)
def test_what_leads_nowhere_is_told(model: str | None, upstream: str, why: str) -> None:
    with pytest.raises(Trouble) as caught:
        choose(model, upstream, LEADS, unasked)
    assert (str(caught.value), caught.value.code) == (why, 2)


def test_another_dialects_route_is_told() -> None:
    with pytest.raises(Trouble, match=r"nothing in this dialect.*anthropic \(is -p the right dialect\?\)"):
        choose(None, "anthropic", NO_MODELS, lists("gpt-4o", route="llm"))


def test_a_route_that_leads_there_without_a_list() -> None:
    with pytest.raises(Trouble, match="lists no model"):
        choose(None, "openai", NO_MODELS, lists(route="llm"))


def test_no_provider_at_all() -> None:
    with pytest.raises(Trouble, match="the policy file has no LLM provider"):
        choose(None, "shop", Leads(upstreams={"shop": "http"}), unasked)


def test_a_static_link_is_no_upstream() -> None:
    assert upstreams_of(LEADS.models["clever"]) == ["anthropic", "static"]
    assert not leads_to(chain("openai-eu/gpt"), "openai")


async def test_as_a_sidecar_tells_it() -> None:
    async with place() as p:
        told = await asyncio.to_thread(Leads.told, Admin(p.sidecar.admin, None, {}))
        assert told.models["smart"] == chain("openai/gpt-4o", "anthropic/claude-sonnet-4-6")
        assert told.routes == {"llm": chain("openai"), "anthropic": chain("anthropic")}  # the shop's is none
        assert told.upstreams == {"openai": "openai", "anthropic": "anthropic", "shop": "http"}
        listed = await asyncio.to_thread(listing, Web(p.sidecar.url), Speech(Dialect.OPENAI))
        assert [entry["id"] for entry in listed.entries[:3]] == ["smart", "clever", "gpt-4o"]
        assert listed.route == "llm"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data": {}}', b"[" * 5000])
def test_a_list_that_is_none(body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    with answering(head + body) as url, pytest.raises(Trouble, match="no list of models"):
        listing(Web(url), Speech(Dialect.OPENAI))


async def test_a_listener_that_lists_nothing() -> None:
    async with place() as p:
        away = Web(f"{p.sidecar.url}/elsewhere")
        with pytest.raises(Trouble, match=r"no list of models: no route of the sidecar takes this call.*404 no_route"):
            await asyncio.to_thread(listing, away, Speech(Dialect.OPENAI))
