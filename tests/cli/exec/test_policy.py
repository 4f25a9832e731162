"""The policy that `sidecar exec` makes of the environment."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.cli.exec.policy import policy_from, quoted, spoken_of
from sidecar.cli.trouble import BAD_USAGE, Trouble
from sidecar.config import load
from sidecar.config.interpolate import interpolate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sidecar.settings import Settings


def settings(environ: Mapping[str, str], folder: Path) -> Settings:
    """As the sidecar reads it."""
    file = folder / "sidecar.toml"
    file.write_text(policy_from(environ), encoding="utf-8")
    return load(file, environ).settings


def urls(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    return {name: upstream.url or "" for name, upstream in settings(environ, folder).upstreams.items()}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"OPENAI_API_KEY": "sk-1"}, {"openai": "https://api.openai.com/v1"}),
        ({"ANTHROPIC_API_KEY": "sk-2"}, {"anthropic": "https://api.anthropic.com/v1"}),
        ({"ANTHROPIC_AUTH_TOKEN": "t"}, {"anthropic": "https://api.anthropic.com/v1"}),
        (
            {"OPENAI_API_KEY": "sk-1", "ANTHROPIC_API_KEY": "sk-2"},
            {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com/v1"},
        ),
        ({"OPENAI_API_KEY": "sk-1", "ANTHROPIC_API_KEY": ""}, {"openai": "https://api.openai.com/v1"}),
    ],
)
def test_a_key_brings_its_provider(environ: dict[str, str], expected: dict[str, str], tmp_path: Path) -> None:
    assert urls(environ, tmp_path) == expected


@pytest.mark.parametrize(
    ("variable", "address", "upstream"),
    [
        ("OPENAI_BASE_URL", "http://localhost:8000/v1", "http://localhost:8000/v1"),
        ("OPENAI_BASE_URL", "https://me.openai.azure.com/openai/v1/", "https://me.openai.azure.com/openai/v1"),
        ("OPENAI_BASE_URL", "http://10.0.0.1", "http://10.0.0.1"),
        ("ANTHROPIC_BASE_URL", "https://gateway.example", "https://gateway.example/v1"),
        ("ANTHROPIC_BASE_URL", "https://gateway.example/anthropic/", "https://gateway.example/anthropic/v1"),
        ("OPENAI_BASE_URL", "http://a/${HOME}$${x}/v1", "http://a/${HOME}$${x}/v1"),
        ("OPENAI_BASE_URL", 'http://a/"\\', 'http://a/"\\'),
    ],
)
def test_an_address_is_where_the_calls_go_on_to(variable: str, address: str, upstream: str, tmp_path: Path) -> None:
    """What an SDK appends to its base URL is what the sidecar appends to the upstream's. No key: the program may have
    it from elsewhere, and its address is to lead to the sidecar all the same.
    """
    assert list(urls({variable: address}, tmp_path).values()) == [upstream]


@pytest.mark.parametrize(
    ("variable", "address"),
    [("OPENAI_BASE_URL", "http://127.0.0.1:7070/v1"), ("ANTHROPIC_BASE_URL", "http://localhost:7070")],
)
def test_a_sidecar_that_runs_at_the_usual_address_is_somebody_else(variable: str, address: str, tmp_path: Path) -> None:
    """Where a shell leads SDKs to a sidecar already, `exec` works, too: its own listens elsewhere."""
    assert len(urls({variable: address}, tmp_path)) == 1


def test_an_empty_address_is_none(tmp_path: Path) -> None:
    assert urls({"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": ""}, tmp_path) == {"openai": "https://api.openai.com/v1"}


def test_calls_are_told_apart_by_the_field_that_every_anthropic_client_sends(tmp_path: Path) -> None:
    routes = settings({"OPENAI_API_KEY": "sk-1", "ANTHROPIC_API_KEY": "sk-2"}, tmp_path).routes
    assert {name: (route.match.path, dict(route.match.headers), route.chain) for name, route in routes.items()} == {
        "openai": ("/v1/*", {}, ("openai",)),
        "anthropic": ("/v1/*", {"anthropic-version": "*"}, ("anthropic",)),
    }


def test_the_log_is_quiet_and_the_policy_holds_no_key(tmp_path: Path) -> None:
    made = settings({"OPENAI_API_KEY": "sk-1"}, tmp_path)
    assert (made.telemetry.log_level, made.telemetry.access_log) == ("warning", "errors")
    assert "sk-1" not in policy_from({"OPENAI_API_KEY": "sk-1"})


@pytest.mark.parametrize("environ", [{}, {"OPENAI_API_KEY": "", "HOME": "/root"}])
def test_an_environment_that_speaks_of_no_provider_is_told_what_to_set(environ: dict[str, str]) -> None:
    assert spoken_of(environ) == ()
    with pytest.raises(
        Trouble, match=r"none of OPENAI_API_KEY, ANTHROPIC_API_KEY, .* or name a policy file"
    ) as trouble:
        policy_from(environ)
    assert trouble.value.code == BAD_USAGE


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("localhost:8000/v1", r"is not a URL \(did you mean 'http://localhost:8000/v1'\?\)"),
        ("ftp://a/v1", "cannot have the scheme ftp"),
        ("http://", "has no host"),
        ("http://a b/v1", "is not a URL: it holds blanks or control characters"),
        ("http://a/v1?api-version=1", "cannot have a query or a fragment"),
        ("http://me:secret@a/v1", "cannot hold a user and password"),
        ("http://a/\udcff", "is not UTF-8"),
    ],
)
def test_an_address_that_is_none_is_told_by_its_variable(address: str, said: str) -> None:
    with pytest.raises(Trouble, match=f"OPENAI_BASE_URL: {said}") as trouble:
        policy_from({"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": address})
    assert trouble.value.code == BAD_USAGE


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('${}"\\\n\x7f')))
def test_any_text_is_read_as_it_was_written(text: str) -> None:
    document = tomllib.loads(f"value = {quoted(text)}")
    read = interpolate(document, {})
    assert (read.document, read.problems) == ({"value": text}, [])
