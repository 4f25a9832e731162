"""`sidecar check`: the mistakes, or what the file says; exit codes 0 and 2."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sidecar.cli.check import check
from sidecar.cli.trouble import Trouble

if TYPE_CHECKING:
    from pathlib import Path

FINE = """
[listen]
probe = "127.0.0.1:0"
[upstreams.a]
url = "http://127.0.0.1:1"
[upstreams.b]
url = "http://127.0.0.1:2"
[routes.one]
match = { path = "/a/*", methods = ["GET"], headers = { x = "*" } }
chain = ["a", "b", "static/sorry"]
[routes.second]
match = { host = "h.test" }
traffic = [{ upstream = "a", weight = 3 }, { upstream = "b", weight = 1 }]
[static.sorry]
"""

MODELS = """
[upstreams.o]
protocol = "openai"
url = "http://127.0.0.1:1/v1"
[routes.llm]
match = { path = "/v1/*" }
chain = ["o"]
[models.smart]
chain = ["o/gpt-5", "static/sorry"]
[models.gpt-4o]
chain = ["o/gpt-4o", { upstream = "o", model = "mini", max_tokens = 100 }]
[static.sorry]
"""


def write(folder: Path, text: str) -> str:
    path = folder / "sidecar.toml"
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def test_a_file_without_mistakes_is_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, FINE)
    assert check(path) == 0
    first, hash_line, *rest = capsys.readouterr().out.splitlines()
    assert first == f"{path}: fine"
    assert len(hash_line.split()[1]) == 64
    assert rest == [
        "  listeners  http 127.0.0.1:7070, grpc 127.0.0.1:7071, admin 127.0.0.1:7072, probe 127.0.0.1:0",
        "  upstreams  a, b",
        "  routes     2",
        "    one     GET /a/* [x: *]  →  a → b → static/sorry",
        "    second  h.test/*  →  a 75 %, b 25 %",
    ]


def test_models_are_summed_up_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, MODELS)
    assert check(path) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "  models     2",
        "    smart   →  o/gpt-5 → static/sorry",
        "    gpt-4o  →  o/gpt-4o → o/mini",
    ]
    assert check(path, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["models"] == {
        "smart": "o/gpt-5 → static/sorry",
        "gpt-4o": "o/gpt-4o → o/mini",
    }


def test_a_credential_that_a_route_asks_for_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KIND", "from-the-environment")
    headers = 'X-Api-Key = "k-1234", authorization = "*", x-kind = "${KIND}", x-plain = "b"'
    path = write(tmp_path, FINE.replace('x = "*"', headers))
    assert check(path) == 0
    assert check(path, as_json=True) == 0
    printed = capsys.readouterr().out
    assert printed.count("GET /a/* [X-Api-Key: *** authorization: * x-kind: *** x-plain: b]") == 2
    assert "k-1234" not in printed
    assert "from-the-environment" not in printed


def test_every_mistake_is_printed_and_the_exit_code_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "[listen]\nhtp = 1\n[limits]\nmax_headers = 0\n")
    assert check(path) == 2
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        f"{path}:2: listen.htp: unknown key (did you mean 'http'?)",
        f"{path}:4: limits.max_headers: must be at least 1",
    ]
    assert printed.err == "2 mistakes\n"


def test_without_a_path_the_file_of_the_folder_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIDECAR_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Trouble, match="no policy file") as caught:
        check(None)
    assert caught.value.code == 2
    write(tmp_path, FINE)
    assert check(None) == 0


def test_an_empty_file_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(write(tmp_path, 'listen = { http = "", grpc = "", admin = "" }')) == 0
    assert capsys.readouterr().out.splitlines()[2:] == ["  listeners  none", "  upstreams  none", "  routes     none"]


def test_a_file_of_the_folder_that_others_may_write_to_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SIDECAR_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    write(tmp_path, FINE)
    (tmp_path / "sidecar.toml").chmod(0o666)
    assert check(None) == 2
    assert "others may write to it" in capsys.readouterr().out


def test_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, FINE)
    assert check(path, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told.pop("hash")) == 64
    assert told == {
        "file": path,
        "ok": True,
        "mistakes": [],
        "listeners": {
            "http": "127.0.0.1:7070",
            "grpc": "127.0.0.1:7071",
            "admin": "127.0.0.1:7072",
            "probe": "127.0.0.1:0",
        },
        "upstreams": ["a", "b"],
        "routes": {
            "one": {"match": "GET /a/* [x: *]", "targets": "a → b → static/sorry"},
            "second": {"match": "h.test/*", "targets": "a 75 %, b 25 %"},
        },
        "models": {},
    }


def test_mistakes_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "[listen]\nhtp = 1\n")
    assert check(path, as_json=True, live=True) == 2
    told = json.loads(capsys.readouterr().out)
    assert (told["file"], told["ok"]) == (path, False)
    assert [(one["line"], one["key"], one["nearest"]) for one in told["mistakes"]] == [(2, "listen.htp", "http")]
