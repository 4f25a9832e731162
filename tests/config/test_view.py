"""The effective configuration as people may see it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.config import redacted
from tests.kit.policy_file import ROUTED, load


def view(text: str, **environ: str) -> dict[str, Any]:
    shown = redacted(load(ROUTED + text, environ))
    assert json.loads(json.dumps(shown)) == shown
    return shown


def test_defaults_and_layers_are_merged() -> None:
    shown = view(
        """
[policies.default.timeout]
connect = "9s"
[upstreams.a.circuit_breaker]
window = 50
[policies.default.retry]
tries = 7
"""
    )
    upstream, route = shown["upstreams"]["a"], shown["routes"]["r"]
    assert (upstream["timeout"]["connect"], upstream["timeout"]["attempt"]) == (9, 20)
    assert (upstream["circuit_breaker"]["window"], upstream["circuit_breaker"]["probes"]) == (50, 1)
    assert [(target["upstream"], target["retry"]["tries"]) for target in route["targets"]] == [("a", 7)]
    assert (route["deadline"], route["rate_limit"], route["match"]["path"]) == (300, False, "/*")
    assert shown["limits"]["drain"] == 25


def test_what_came_from_the_environment_is_hidden_whatever_it_is() -> None:
    shown = view(
        '[limits]\nmax_headers = "${N}"\n[listen]\nhosts = ["a", "${H}"]\nhttp = "${A:-127.0.0.1:1}"', N="5", H="b"
    )
    assert shown["limits"]["max_headers"] == "***"
    assert shown["listen"]["hosts"] == ["a", "***"]
    assert shown["listen"]["http"] == "***"


def test_it_stays_hidden_where_it_was_merged_into() -> None:
    shown = view(
        '[policies.default]\ndeadline = "${D}"\n[policies.default.retry]\nstatuses = [500, "${S}"]\n'
        '[policies.default.timeout]\nconnect = "${C}"\nattempt = "3s"',
        D="5s", S="502", C="1s",
    )  # fmt: skip
    assert shown["routes"]["r"]["deadline"] == "***"
    assert shown["routes"]["r"]["targets"][0]["retry"]["statuses"] == [500, "***"]
    assert shown["upstreams"]["a"]["timeout"] == {"connect": "***", "attempt": 3, "first_token": 0, "idle": 300}


def test_a_value_that_beats_a_hidden_one_is_shown() -> None:
    shown = view('[policies.default.timeout]\nconnect = "${C}"\n[upstreams.a.timeout]\nconnect = "4s"', C="1s")
    assert shown["upstreams"]["a"]["timeout"]["connect"] == 4


def test_that_a_route_asks_for_any_credential_is_none() -> None:
    asked = (
        '[routes.other]\nchain = ["a"]\nmatch = { path = "/x", headers = { Authorization = "*", X-Api-Key = "k-1" } }'
    )
    told = view(asked)
    assert told["routes"]["other"]["match"]["headers"] == {"Authorization": "*", "X-Api-Key": "***"}


@pytest.mark.parametrize("name", ["X-API-Key", "Authorization", "x-token", "Cookie", "My-Secret"])
def test_headers_that_are_secret_by_their_name_are_hidden(name: str) -> None:
    shown = view(f'[upstreams.a.headers]\n{name} = "v"\nX-Plain = "w"')
    assert shown["upstreams"]["a"]["headers"] == {name: "***", "X-Plain": "w"}


@pytest.mark.parametrize("name", ["key", "subscription-key", "access_token", "sig", "Signature", "password", "code"])
def test_parameters_that_are_secret_by_their_name_are_hidden(name: str) -> None:
    shown = view(f'[upstreams.a.query]\n{name} = "v"\napi-version = "1"')
    assert shown["upstreams"]["a"]["query"] == {name: "***", "api-version": "1"}


def test_a_key_is_hidden_and_how_it_is_sent_is_not() -> None:
    shown = view('[upstreams.b]\nurl = "http://b"\napi_key = "k"\nauth = "bearer"')["upstreams"]["b"]
    assert (shown["api_key"], shown["auth"]) == ("***", "bearer")
    assert view("")["upstreams"]["a"]["api_key"] == ""


def test_tokens_are_hidden_even_when_they_stand_in_the_file() -> None:
    shown = view('[admin]\ntoken = "t"\n[listen]\nhttp_token = "t"')
    assert (shown["admin"]["token"], shown["listen"]["http_token"]) == ("***", "***")
    assert view("")["admin"]["token"] == ""


def test_the_user_of_a_url_is_hidden() -> None:
    shown = view('[upstreams.b]\nurl = "https://b"\nproxy = "http://me:pw@proxy:3128"')
    assert shown["upstreams"]["b"]["proxy"] == "http://***@proxy:3128"
    shown = view('[upstreams.b]\nurl = "https://b"\nproxy = "http://me:p@ss@proxy:3128"')
    assert shown["upstreams"]["b"]["proxy"] == "http://***@proxy:3128"


def test_what_is_switched_off_says_false() -> None:
    shown = view("[upstreams.b]\nurl = 'http://b'\ncircuit_breaker = false")
    assert shown["upstreams"]["b"]["circuit_breaker"] is False
