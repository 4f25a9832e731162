"""`sidecar models`."""

from __future__ import annotations

import json

from sidecar.cli.llm.models import models
from sidecar.standins.llm_faults import HEALTHY, Fault, Kind
from tests.kit.llm_commands import place


def rows(out: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in out.splitlines()]


async def test_what_may_be_asked_for_and_where_it_leads() -> None:
    async with place() as p:
        done = await p.run(models, as_json=False)
        assert rows(done.out)[:4] == [
            ["model", "owner", "leads to", "ready"],
            ["smart", "sidecar", "openai/gpt-4o → anthropic/claude-sonnet-4-6", "yes"],
            ["clever", "sidecar", "anthropic/claude-opus-4-6", "yes"],
            ["gpt-4o", "system", "openai", "yes"],
        ]
        assert (done.code, done.err) == (0, "")


async def test_in_the_other_dialect() -> None:
    async with place() as p:
        done = await p.run(models, as_json=False, dialect="anthropic")
        assert rows(done.out)[0] == ["model", "name", "leads to", "ready"]
        assert ["claude-opus-4-6", "Claude Opus 4 6", "anthropic", "yes"] in rows(done.out)


async def test_only_what_leads_to_an_upstream() -> None:
    async with place() as p:
        done = await p.run(models, as_json=False, upstream="anthropic")
        assert [row[0] for row in rows(done.out)] == ["model", "smart", "clever"]


async def test_only_one() -> None:
    async with place() as p:
        done = await p.run(models, as_json=False, model="smart")
        assert [row[0] for row in rows(done.out)] == ["model", "smart"]
        done = await p.run(models, as_json=False, model="smrat", upstream="anthropic")
        assert (done.code, done.err) == (2, "sidecar: there is no model smrat; there are: smart, clever\n")


async def test_nothing_leads_there() -> None:
    async with place(models="") as p:
        done = await p.run(models, as_json=False, upstream="anthropic")
        assert (done.code, done.out) == (2, "")
        assert done.err == "sidecar: no model in openai's dialect leads to anthropic\n"
        for upstream in ("shop", "nobody"):
            done = await p.run(models, as_json=False, upstream=upstream)
            assert done.code == 2
            assert "providers are: openai, anthropic" in done.err


async def test_a_target_that_is_not_ready() -> None:
    async with place() as p:
        breakers = p.sidecar.runtime.breakers()
        breakers["openai/gpt-4o"].force_open()
        breakers["anthropic/claude-opus-4-6"].force_open()
        done = await p.run(models, as_json=False)
        assert [row[-1] for row in rows(done.out)[1:4]] == ["1 of 2", "no", "yes"]


async def test_as_json() -> None:
    async with place() as p:
        done = await p.run(models, as_json=True, upstream="anthropic")
        told = json.loads(done.out)
        assert [model["id"] for model in told["models"]] == ["smart", "clever"]
        assert told["models"][1]["chain"] == [{"target": "anthropic/claude-opus-4-6", "ready": True}]
        assert told["sidecar"]["route"] == "llm"


async def test_the_heads_are_told_to_who_asks() -> None:
    async with place() as p:
        done = await p.run(models, as_json=False, verbose=True)
        assert done.err.startswith(f"> GET {p.sidecar.url}/v1/models\n< 200\n< route: llm\n")


async def test_without_an_admin_listener_only_names() -> None:
    async with place() as p:
        p.environ = {"SIDECAR_HTTP": p.sidecar.url, "SIDECAR_ADMIN": "http://127.0.0.1:1"}
        done = await p.run(models, as_json=False)
        assert rows(done.out)[:2] == [["model", "owner"], ["smart", "sidecar"]]
        told = json.loads((await p.run(models, as_json=True)).out)
        assert told["models"][0]["chain"] is None
        done = await p.run(models, as_json=False, upstream="openai")
        assert done.code == 1
        assert "does not answer" in done.err


async def test_a_provider_that_fails_and_nothing_else_to_tell() -> None:
    async with place(models="") as p:
        await p.openai.switch(Fault(Kind.STATUS, status=500))
        done = await p.run(models, as_json=False)
        assert (done.code, done.out) == (1, "")
        assert "sidecar: no list of models: " in done.err
        await p.openai.switch(HEALTHY)


async def test_the_callers_key_goes_to_a_provider_without_one() -> None:
    async with place(openai="", models="") as p:
        p.openai.key = "sk-mine"
        done = await p.run(models, as_json=False)
        assert done.code == 1
        assert "401" in done.err
        done = await p.run(models, as_json=False, key="sk-mine")
        assert (done.code, rows(done.out)[1][0]) == (0, "gpt-4o")
