"""`sidecar diff OLD NEW`: what differs, and what a reload would do. Exit code 0, or 2 with all mistakes."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from sidecar.cli.app import app
from sidecar.cli.diff import diff
from sidecar.cli.turnover import ANEW, WORDS
from sidecar.rehearsal import rehearse
from tests.kit.policy_file import load
from tests.kit.running import one

if TYPE_CHECKING:
    from pathlib import Path

URL = "http://127.0.0.1:1"
POLICY = one(URL, route="rate_limit = { per_minute = 4 }", more="[policies.default.retry]\ntries = 4")


class Files:
    """Two policy files, and what the command prints of them."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.old, self.new = str(folder / "old.toml"), str(folder / "new.toml")
        self._folder = folder
        self._capsys = capsys

    def write(self, old: str, new: str) -> None:
        (self._folder / "old.toml").write_bytes(old.encode())
        (self._folder / "new.toml").write_bytes(new.encode())

    def diff(self, old: str, new: str) -> list[str]:
        self.write(old, new)
        assert diff(self.old, self.new, as_json=False) == 0
        printed = self._capsys.readouterr()
        assert printed.err == ""
        return printed.out.replace(self.old, "OLD").replace(self.new, "NEW").splitlines()


@pytest.fixture
def files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Files:
    return Files(tmp_path, capsys)


def test_what_differs_and_what_a_reload_would_do(files: Files) -> None:
    new = POLICY.replace("tries = 4", "tries = 5").replace("per_minute = 4", "per_minute = 8")
    new = new.replace("[routes.r]", "circuit_breaker = { window = 9 }\n[routes.r]")
    new += f'[upstreams.b]\nurl = "{URL}"\n[routes.s]\nmatch = {{ path = "/s" }}\nchain = ["b"]\n'
    assert files.diff(POLICY, new) == [
        "~ policies.default.retry.tries  4 → 5  (OLD:3, NEW:3)",
        "    so for routes r",
        "~ upstreams.a.circuit_breaker.window  100 → 9  (NEW:7)",
        '+ upstreams.b  { url = "http://127.0.0.1:1" }  (NEW:12)',
        "~ routes.r.rate_limit.per_minute  4 → 8  (OLD:10, NEW:11)",
        '+ routes.s  { match = { path = "/s" }, chain = ["b"] }  (NEW:14)',
        "",
        "A reload",
        "  resets  circuit breaker a: closed, its window empty",
        "  resets  rate limit of route r: keeps the share of its level",
        "  makes   circuit breaker b",
        "  makes   retry budget of b",
        "  makes   connections to b",
        "  makes   rest of s/b",
        "  keeps   retry budget of a",
        "  keeps   connections to a",
        "  keeps   rest of r/a",
    ]


async def test_every_kind_of_part_has_its_words() -> None:
    everything = one(
        URL, upstream="concurrency = { max = 3 }", route="rate_limit = { per_minute = 4, store = 'redis' }"
    ).replace(f'url = "{URL}"', f'urls = ["{URL}", "http://127.0.0.1:2"]')
    everything += '[limits]\nmax_inflight = 9\n[upstreams.g]\nprotocol = "grpc"\nurl = "grpc://127.0.0.1:1"\n'
    everything += '[routes.g]\nmatch = { grpc = "*" }\nchain = ["g"]\n'
    parts = (await rehearse(load(everything), load(everything), {})).parts
    assert {kind for kind, _ in parts.kept} == WORDS.keys()
    assert WORDS.keys() - ANEW.keys() == {"concurrency", "inflight"}  # these are never begun anew


def test_what_is_gone(files: Files) -> None:
    printed = files.diff(POLICY, POLICY.replace("rate_limit = { per_minute = 4 }", ""))
    assert printed[0] == "~ routes.r.rate_limit  { per_minute = 4 } → off  (OLD:10)"
    assert "  drops   rate limit of route r" in printed


@pytest.mark.parametrize(
    ("new", "first"),
    [
        (POLICY, "No difference: the same text."),
        ("# said otherwise\n" + POLICY, "No difference: another text that means the same."),
        (POLICY.replace("\n", "\r\n"), "No difference: another text that means the same."),
    ],
)
def test_no_difference(files: Files, new: str, first: str) -> None:
    assert files.diff(POLICY, new) == [
        first,
        "",
        "A reload",
        "  keeps   everything: no state begins anew, no connection is closed",
    ]


def test_listeners_move_and_some_keys_wait(files: Files) -> None:
    listen = '[listen]\nhttp = "127.0.0.1:1"\nadmin = ""\n'
    moved = '[listen]\nhttp = "127.0.0.1:2"\nadmin = ""\nprobe = "127.0.0.1:3"\n[limits]\nmax_header_bytes = 512\n'
    printed = files.diff(listen, moved)
    assert printed[-3:] == [
        "  moves   http from 127.0.0.1:1 to 127.0.0.1:2; the new one opens first",
        "  opens   probe on 127.0.0.1:3",
        "  leaves  limits.max_header_bytes to the next start",
    ]
    assert "  closes  probe on 127.0.0.1:3" in files.diff(moved, listen)


def test_secrets_are_never_shown(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE_KEY", "first-secret")
    monkeypatch.setenv("OTHER_KEY", "second-secret")
    key = one(URL, upstream='headers = { X-API-Key = "${ONE_KEY}" }')
    printed = files.diff(key, key.replace("ONE_KEY", "OTHER_KEY"))
    assert printed[0] == "~ upstreams.a.headers.X-API-Key  ***, another one  (OLD:5, NEW:5)"
    assert "secret" not in "\n".join(printed)


def test_for_programs(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    files.write(POLICY, POLICY.replace("per_minute = 4", "per_minute = 8") + '[listen]\nprobe = "127.0.0.1:3"')
    assert diff(files.old, files.new, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["old"]["file"], len(told["new"]["hash"])) == (True, files.old, 64)
    assert [change["key"] for change in told["changes"]] == ["listen.probe", "routes.r.rate_limit.per_minute"]
    assert told["reload"]["reset"] == [{"kind": "limit", "name": "route r"}]
    assert told["reload"]["made"] == told["reload"]["dropped"] == told["reload"]["next_start"] == []
    assert {"kind": "http", "name": "a"} in told["reload"]["kept"]
    assert told["reload"]["moved"] == [{"listener": "probe", "before": "", "after": "127.0.0.1:3"}]


def test_all_mistakes_of_both_files(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    files.write("a = 1\n[limits]\nmax_headers = 0", "[listen]\nhtp = 1")
    assert diff(files.old, files.new, as_json=False) == 2
    printed = capsys.readouterr()
    assert [line.rpartition("/")[2][:9] for line in printed.out.splitlines()] == ["old.toml:", "old.toml:", "new.toml:"]
    assert printed.err == "3 mistakes\n"
    assert diff(files.old, files.new, as_json=True) == 2
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], len(told["mistakes"])) == (False, 3)


def test_a_file_that_cannot_be_read(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    files.write(POLICY, POLICY)
    assert diff(files.old, "/nowhere/at/all", as_json=False) == 2
    assert "/nowhere/at/all: cannot be read: No such file" in capsys.readouterr().out


def test_a_certificate_that_no_reload_would_take(
    files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    files.write(POLICY, one("https://localhost:1", upstream=f'tls = {{ ca = "{tmp_path}/ca.pem" }}'))
    assert diff(files.old, files.new, as_json=False) == 2
    assert capsys.readouterr().out.startswith(f"{files.new}:5: upstreams.a.tls: ")


def test_a_thousand_routes_are_told_in_a_moment(files: Files) -> None:
    routes = "".join(f'[routes.r{number}]\nmatch = {{ path = "/{number}" }}\nchain = ["a"]\n' for number in range(1000))
    began = time.process_time()
    printed = files.diff(POLICY + routes, POLICY.replace("tries = 4", "tries = 5") + routes)
    assert time.process_time() - began < 10, "a second on a good day"
    assert printed[1] == "    so for routes r, r0, r1, r10, r100, r101, r102, r103 and 993 more"
    assert printed[-1].startswith("  keeps   everything")


def test_as_typed(files: Files) -> None:
    files.write(POLICY, POLICY)
    said = CliRunner().invoke(app, ["diff", files.old, files.new])
    assert (said.exit_code, said.stdout.splitlines()[0]) == (0, "No difference: the same text.")
    said = CliRunner().invoke(app, ["diff", files.old, files.new, "--json"])
    assert json.loads(said.stdout)["changes"] == []
    assert CliRunner().invoke(app, ["diff", files.old]).exit_code == 2
