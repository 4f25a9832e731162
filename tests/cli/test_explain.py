"""`sidecar explain`: the route, the chain and the values for people; JSON for programs; exit codes 0, 1 and 2."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.cli.explain import explain, rows_of
from sidecar.cli.trouble import BAD_USAGE, Trouble
from tests.kit.commands import SIDECAR

if TYPE_CHECKING:
    from pathlib import Path

FILE = """\
[policies.default.retry]
tries = 2
[upstreams.openai]
protocol = "openai"
url = "https://api.openai.com/v1"
api_key = "${KEY:-ours}"
[upstreams.anthropic]
protocol = "anthropic"
url = "https://api.anthropic.com/v1/"
api_key = "ours"
circuit_breaker = { window = 50 }
[upstreams.local]
url = "unix:/run/app.sock"
circuit_breaker = false
timeout = { connect = "250ms", attempt = 0 }
[upstreams.spare]
urls = ["http://10.0.0.1/base", "http://10.0.0.2"]
[routes.llm]
match = { path = "/v1/*" }
chain = ["openai", "anthropic"]
[routes.app]
match = { path = "/app/*", methods = ["POST"] }
traffic = [{ upstream = "local", weight = 3 }, { upstream = "spare", weight = 1 }]
strip = "/app"
[models.smart]
chain = ["anthropic/claude", "openai/gpt-4o", "static/sorry"]
[static.sorry]
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "sidecar.toml"
    path.write_text(FILE)
    return str(path)


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    told = capsys.readouterr()
    assert told.err == ""
    return told.out.splitlines()


def test_where_a_call_goes_and_who_says_so(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("POST", "/v1/chat/completions", model="smart", config=file) == 0
    lines = printed(capsys)
    assert lines[:8] == [
        "POST /v1/chat/completions  at 127.0.0.1:7070, model smart",
        "route  llm  (sidecar.toml:18 routes.llm)",
        "chain  of the model smart  (sidecar.toml:26 models.smart.chain)",
        "  1  anthropic/claude  https://api.anthropic.com/v1/messages, breaker anthropic/claude",
        "  2  openai/gpt-4o     https://api.openai.com/v1/chat/completions, breaker openai/gpt-4o",
        "  3  static/sorry      answers whatever came before",
        "",
        "route llm",
    ]
    assert "  deadline                 10m      protocol openai" in lines
    assert "  limits.max_held_bytes    64MiB    built in" in lines
    values = [" ".join(line.split()) for line in lines]
    assert "retry.tries 2 sidecar.toml:2 policies.default.retry.tries" in values
    assert "retry.backoff 500ms protocol anthropic" in values
    assert "retry.statuses 408, 409, 429, 500, 502, 503, 504, 529 built in" in values
    assert "timeout.attempt off protocol anthropic" in values
    assert "circuit_breaker.window 50 sidecar.toml:11 upstreams.anthropic.circuit_breaker.window" in values
    assert not any(line.startswith("retry.grpc_codes") for line in values)
    assert lines[-3:] == ["", "target 2  openai/gpt-4o  as target 1, but", "  circuit_breaker.window  100  built in"]


def test_the_method_may_be_small_and_the_url_whole(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("post", "http://localhost:7070/app/x?y=1", headers=["X-A: b", "Host: other"], config=file) == 0
    lines = printed(capsys)
    assert lines[:5] == [
        "POST /app/x?y=1  at other",
        "route  app  (sidecar.toml:21 routes.app)",
        "chain  by weight, then in this order  (sidecar.toml:23 routes.app.traffic)",
        "  1  local  75 %, unix:/run/app.sock /x?y=1",
        "  2  spare  25 %, http://10.0.0.1/base/x?y=1 and 1 more, breaker spare",
    ]
    values = [" ".join(line.split()) for line in lines]
    assert "strip /app sidecar.toml:24 routes.app.strip" in values
    assert "circuit_breaker off sidecar.toml:14 upstreams.local.circuit_breaker" in values
    assert "timeout.connect 250ms sidecar.toml:15 upstreams.local.timeout.connect" in values
    assert "timeout.attempt off sidecar.toml:15 upstreams.local.timeout.attempt" in values
    assert "target 2 spare" in values


def test_a_call_that_would_be_refused_ends_with_1(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("GET", "/app/x", config=file) == 1
    assert printed(capsys) == [
        "GET /app/x  at 127.0.0.1:7070",
        "refused with 405 no_route: /app/x takes POST",
    ]
    assert explain("GRPC", "shop.Cart/Add", config=file) == 1
    assert printed(capsys) == [
        "GRPC shop.Cart/Add",
        "refused with UNIMPLEMENTED no_route: no route matches the gRPC method shop.Cart/Add",
    ]


def test_what_the_sidecar_answers_itself(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("GET", "/readyz", config=file) == 0
    assert printed(capsys)[1:] == ["note   no route takes it: the sidecar answers this path itself"]
    assert explain("GET", "/v1/models", config=file) == 0
    assert printed(capsys)[2].startswith(
        "chain  none: the sidecar answers with the names in [models] and what openai, anthropic list  (sidecar.toml:20"
    )


def test_a_target_that_cannot_carry_it_is_passed_over(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("POST", "/v1/embeddings", model="smart", config=file) == 0
    lines = printed(capsys)
    assert "  1  anthropic/claude  skipped, not_translatable: embeddings is not translated" in lines
    assert "target 2  openai/gpt-4o" in lines
    assert not any(line.startswith("target 1") for line in lines)


def test_programs_get_json(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("POST", "/v1/responses", model="smart", config=file, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["route"]["name"] == "llm"
    assert told["targets"][0]["policy"]["timeout"]["connect"] == {
        "value": 5.0, "unit": "s", "from": "protocol anthropic",
    }  # fmt: skip
    assert explain("GET", "/nowhere", config=file, as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["refusal"]["status"] == 404


@pytest.mark.parametrize(
    ("method", "url", "header", "why"),
    [
        ("GET", "v1/models", "", "'v1/models' is neither a path nor an http URL (did you mean '/v1/models'?)"),
        ("GET", "*", "", "the target * is for OPTIONS only"),
        ("GE T", "/", "", "'GE T' is not a method"),
        ("GET", "/", "no colon", "'no colon' is no header: it is 'Name: value'"),
        ("GET", "/", "a b: c", "'a b' is not the name of a header"),
        ("GRPC", "Decide", "", "'Decide' is no gRPC method: package.Service/Method"),
    ],
)
def test_what_is_no_request_is_bad_usage(file: str, method: str, url: str, header: str, why: str) -> None:
    with pytest.raises(Trouble) as trouble:
        explain(method, url, headers=[header] if header else [], config=file)
    assert (str(trouble.value), trouble.value.code) == (why, BAD_USAGE)


def test_all_mistakes_of_a_bad_file_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[listen]\nhtp = 1\n[limits]\nmax_headers = 0\n")
    assert explain("GET", "/", config=str(path)) == 2
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        f"{path}:2: listen.htp: unknown key (did you mean 'http'?)",
        f"{path}:4: limits.max_headers: must be at least 1",
    ]
    assert explain("GET", "/", config=str(tmp_path / "none.toml"), as_json=True) == 2
    assert json.loads(capsys.readouterr().out)["mistakes"][0]["problem"] == "cannot be read: No such file or directory"


def test_a_value_is_shown_as_people_write_it() -> None:
    policy: dict[str, Any] = {
        "deadline": {"value": 0.0, "unit": "s", "from": "protocol grpc"},
        "concurrency": {"value": False, "from": "built in"},
        "idempotent": {"value": False, "from": "built in"},
        "hidden": {"value": "***", "unit": "s", "from": "routes.r.deadline", "file": "/etc/s.toml", "line": 3},
        "limits": {"max_body_bytes": {"value": 0, "unit": "bytes", "from": "built in"}},
        "circuit_breaker": {
            "slow_call": {"value": 0.0, "unit": "s", "from": "built in"},
            "failure_rate": {"value": 0.5, "from": "built in"},
        },
    }
    assert rows_of(policy) == [
        ("deadline", "off", "protocol grpc"),
        ("concurrency", "off", "built in"),
        ("idempotent", "false", "built in"),
        ("hidden", "***", "/etc/s.toml:3 routes.r.deadline"),
        ("limits.max_body_bytes", "0", "built in"),
        ("circuit_breaker.slow_call", "off", "built in"),
        ("circuit_breaker.failure_rate", "0.5", "built in"),
    ]


def test_typed_into_a_shell(file: str) -> None:
    typed = [
        SIDECAR,
        "explain",
        "POST",
        "/v1/messages",
        "-H",
        "anthropic-version: 1",
        "-H",
        "X-A: b",
        "--model",
        "smart",
    ]
    done = subprocess.run([*typed, "-c", file], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "chain  of the model smart" in done.stdout
