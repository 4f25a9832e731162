"""What a program under `sidecar exec` finds in its environment."""

from __future__ import annotations

import pytest

from sidecar.cli.exec.environment import OPENAI, environment

ADDRESSES = {"http": "127.0.0.1:4001", "grpc": "127.0.0.1:4002", "admin": "127.0.0.1:4003"}


def test_where_the_sidecar_is_and_everything_else_as_it_was() -> None:
    own = {"HOME": "/home/me", "OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "http://vllm:8000/some/path"}
    assert environment(own, ADDRESSES) == {
        "HOME": "/home/me",
        "OPENAI_API_KEY": "sk-1",
        "OPENAI_BASE_URL": "http://127.0.0.1:4001/v1",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:4001",
        "SIDECAR_HTTP": "http://127.0.0.1:4001",
        "SIDECAR_GRPC": "127.0.0.1:4002",
        "SIDECAR_ADMIN": "http://127.0.0.1:4003",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
    assert own["OPENAI_BASE_URL"] == "http://vllm:8000/some/path"


def test_an_sdk_whose_provider_nobody_speaks_of_keeps_its_own_way() -> None:
    given = environment({}, ADDRESSES, [OPENAI])
    assert given["OPENAI_BASE_URL"] == "http://127.0.0.1:4001/v1"
    assert "ANTHROPIC_BASE_URL" not in given


@pytest.mark.parametrize(
    ("own", "upper", "lower"),
    [
        ({"NO_PROXY": "a.example, b"}, "a.example,b,127.0.0.1,localhost", "a.example,b,127.0.0.1,localhost"),
        ({"no_proxy": "a"}, "a,127.0.0.1,localhost", "a,127.0.0.1,localhost"),
        ({"NO_PROXY": "a", "no_proxy": "b"}, "a,127.0.0.1,localhost", "b,127.0.0.1,localhost"),
        ({"NO_PROXY": "localhost,a"}, "localhost,a,127.0.0.1", "localhost,a,127.0.0.1"),
        ({"NO_PROXY": "*"}, "*", "*"),
        ({"NO_PROXY": ",,"}, "127.0.0.1,localhost", "127.0.0.1,localhost"),
    ],
)
def test_no_proxy_keeps_what_it_had(own: dict[str, str], upper: str, lower: str) -> None:
    given = environment({"HTTP_PROXY": "http://proxy:3128", **own}, ADDRESSES)
    assert (given["NO_PROXY"], given["no_proxy"]) == (upper, lower)
    assert given["HTTP_PROXY"] == "http://proxy:3128"
