"""`[models.NAME]`, `[static.NAME]`, `[faults.NAME]`."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sidecar.settings import FaultSettings, ModelSettings, ModelTargetSettings, StaticSettings


def test_a_target_in_short_and_in_full() -> None:
    chain = ["openai/gpt-4o", {"upstream": "anthropic", "model": "claude", "max_tokens": 8192, "prefill": True}]
    assert ModelSettings.model_validate({"chain": chain}).chain == (
        ModelTargetSettings(upstream="openai", model="gpt-4o"),
        ModelTargetSettings(upstream="anthropic", model="claude", max_tokens=8192, prefill=True),
    )


def test_a_model_name_may_hold_a_slash() -> None:
    (target,) = ModelSettings.model_validate({"chain": ["router/meta/llama"]}).chain
    assert (target.upstream, target.model) == ("router", "meta/llama")


def test_a_static_answer_is_told_by_its_prefix() -> None:
    model, static = ModelSettings.model_validate({"chain": ["openai/gpt-4o", "static/sorry"]}).chain
    assert (model.static, static.static) == ("", "sorry")


@pytest.mark.parametrize("name", ["gpt\r\nX-Other: 1", "gpt\x7f", "gpt-\N{SNOWMAN}"])
def test_a_model_name_can_stand_in_a_header(name: str) -> None:
    with pytest.raises(ValidationError, match="is no name of a model"):
        ModelTargetSettings(upstream="openai", model=name)


@pytest.mark.parametrize("link", ["openai", "/gpt", "openai/", ""])
def test_a_link_names_both(link: str) -> None:
    with pytest.raises(ValidationError, match="is not upstream/model"):
        ModelSettings.model_validate({"chain": [link]})


def test_a_static_answer_is_a_503_and_a_fault_hits_every_call() -> None:
    assert (StaticSettings().status, StaticSettings().body) == (503, "")
    assert (FaultSettings().percent, FaultSettings().status, FaultSettings().reset) == (100, None, False)
