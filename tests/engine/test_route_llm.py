"""Which targets an LLM call has: by its model, by its kind, and by what ties it to one provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sidecar.dialects.ask import read_ask
from sidecar.llm import LlmOptions
from tests.kit.providers import LONGEST, asks
from tests.kit.stage import a_call

if TYPE_CHECKING:
    from sidecar.call import Call
    from sidecar.engine.route import Route, Target
    from tests.kit.providers import LlmStage

pytestmark = pytest.mark.virtual_time


def chain(route: Route, call: Call) -> list[str]:
    assert route.llm is not None
    call.llm = route.llm.read(call, LlmOptions())
    return [target.name for target in route.chain(call, lambda: 0.9)]


def links(stage: LlmStage) -> tuple[Route, dict[str, Target]]:
    named = {name: stage.model(name) for name in ("a", "b", "c", "b-old")}
    named["b-old"].upstream = "b"
    chains: dict[str, tuple[Target, ...]] = {"smart": (named["b"], named["c"], named["b-old"], stage.static())}
    return stage.llm(named["a"], named["b"], models=chains, known={"old": (named["b-old"],)}), named


@pytest.mark.parametrize(
    ("path", "model", "expected"),
    [
        (b"/v1/chat/completions", "smart", ["b", "c", "b-old", "static/sorry"]),
        (b"/v1/embeddings", "smart", ["b", "c", "b-old", "static/sorry"]),
        (b"/v1/chat/completions", "unheard-of", ["a", "b"]),
        (b"/v1/chat/completions", "old", ["b-old"]),
        (b"/v1/moderations", "smart", ["a", "b"]),
        (b"/v1/messages/count_tokens", "smart", ["a", "b"]),
        (b"/v1/files", "smart", ["a"]),
    ],
)
async def test_the_chain_follows_the_model_where_chains_count(
    llm_stage: LlmStage, path: bytes, model: str, expected: list[str]
) -> None:
    route, _ = links(llm_stage)
    assert chain(route, asks({"model": model}, path=path)) == expected


async def test_what_names_a_providers_state_stays_with_the_first_one(llm_stage: LlmStage) -> None:
    route, _ = links(llm_stage)
    tied: dict[str, Any] = {"previous_response_id": "resp_1"}
    assert chain(route, asks({"model": "smart", **tied}, path=b"/v1/responses")) == ["b", "b-old", "static/sorry"]
    assert chain(route, asks({"model": "x", **tied}, path=b"/v1/responses")) == ["a"]


async def test_the_list_of_models_has_a_target_of_its_own(llm_stage: LlmStage) -> None:
    route, _ = links(llm_stage)
    assert route.llm is not None
    assert chain(route, a_call(b"GET", b"/v1/models")) == [route.llm.models.name]


async def test_weights_count_for_models_without_a_chain(llm_stage: LlmStage) -> None:
    route, _ = links(llm_stage)
    route.weights = (1.0, 9.0)
    assert chain(route, asks({"model": "x"})) == ["b", "a"]
    assert chain(route, asks({"model": "smart"}))[0] == "b"
    assert route.llm is not None
    assert route.llm.longest == LONGEST


async def test_a_route_to_providers_may_have_calls_that_ask_nothing(llm_stage: LlmStage) -> None:
    route, _ = links(llm_stage)
    assert [target.name for target in route.chain(a_call(), lambda: 0.0)] == ["a", "b"]


async def test_a_rest_that_a_callers_credential_brought_about_is_its_own(llm_stage: LlmStage) -> None:
    target = llm_stage.model("a", own=False)
    one, other = asks(fields={b"authorization": b"one"}), asks(fields={b"authorization": b"other"})
    for call in (one, other):
        call.llm = read_ask(call, LlmOptions())
    target.give_rest(one, 0.0, 30.0, "throttled")
    assert [target.rests(call, 10.0) for call in (one, other)] == [(20.0, "throttled"), (0.0, "")]
    assert (target.would_take(one, 10.0), target.would_take(other, 10.0), target.would_admit(10.0)) == (
        False,
        True,
        True,
    )


async def test_one_that_our_own_key_brought_about_is_everybodys(llm_stage: LlmStage) -> None:
    target = llm_stage.model("a")
    call = asks()
    call.llm = read_ask(call, LlmOptions())
    target.give_rest(call, 0.0, 30.0, "auth_failed")
    assert target.rests(call, 10.0) == (20.0, "auth_failed")
    assert not target.would_admit(10.0)


async def test_all_that_calls_may_come_to(llm_stage: LlmStage) -> None:
    route, named = links(llm_stage)
    assert {target.name for target in route.everywhere()} == {*named, "static/sorry"}
    assert [target.name for target in llm_stage.route(named["a"]).everywhere()] == ["a"]
