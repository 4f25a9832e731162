"""All settings together: frozen, hashable, equal by value, and each key explained."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from sidecar import settings
from sidecar.settings import Settings, Table, UpstreamSettings

MODELS = sorted(
    {kind for kind in vars(settings).values() if isinstance(kind, type) and issubclass(kind, BaseModel)},
    key=lambda kind: kind.__name__,
)


def test_defaults_are_whole_and_hash() -> None:
    assert hash(Settings()) == hash(Settings())


@pytest.mark.parametrize("kind", MODELS)
def test_each_table_is_frozen_strict_and_explained(kind: type[BaseModel]) -> None:
    assert kind.model_config.get("frozen")
    assert kind.model_config.get("extra") == "forbid"
    assert kind.model_config.get("strict")
    assert kind.__doc__


def test_what_is_read_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        setattr(Settings(), "admin", None)  # noqa: B010  mypy would not let it pass otherwise


def test_equal_values_are_one_identity_whatever_the_file_spelt_out() -> None:
    spelt = UpstreamSettings(url="http://a", via=True, headers=Table({"a": "b"}))
    short = UpstreamSettings(url="http://a", headers=Table({"a": "b"}))
    assert spelt == short
    assert hash(spelt) == hash(short)
    assert spelt != UpstreamSettings(url="http://a", headers=Table({"a": "c"}))


def test_settings_survive_a_round_trip() -> None:
    document = {
        "upstreams": {"a": {"url": "http://a", "headers": {"x": "y"}, "timeout": {"connect": "1s"}}},
        "routes": {"r": {"match": {"path": "/*", "methods": ["GET"]}, "chain": ["a"], "rate_limit": {"per_minute": 5}}},
        "policies": {"default": {"circuit_breaker": False}},
    }
    read = Settings.model_validate(document)
    assert Settings.model_validate(read.model_dump(exclude_unset=True)) == read


def test_secrets_do_not_show_in_a_traceback() -> None:
    document = {
        "upstreams": {"a": {"url": "http://a", "headers": {"x": "hunter2"}, "api_key": "hunter2"}},
        "admin": {"token": "hunter2"},
        "listen": {"http_token": "hunter2"},
    }
    assert "hunter2" not in repr(Settings.model_validate(document))
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"admin": {"token": ["hunter2"]}})
    assert "hunter2" not in str(caught.value)
