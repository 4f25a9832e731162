"""Policy files as commands read them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sidecar.cli.mistakes import policy, read, tell
from sidecar.cli.trouble import BAD_USAGE, Trouble

if TYPE_CHECKING:
    from pathlib import Path

WRONG = "[listen]\nhtp = 1\n[limits]\nmax_headers = 0\n"


def test_a_file_that_is_right_is_loaded_and_one_that_is_not_has_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("")
    loaded, mistakes = read(path)
    assert loaded is not None
    assert (loaded.path, mistakes) == (path, ())
    path.write_text(WRONG)
    loaded, mistakes = read(path)
    assert loaded is None
    assert [mistake.key for mistake in mistakes] == ["listen.htp", "limits.max_headers"]
    loaded, mistakes = read(tmp_path)
    assert loaded is None
    assert "cannot be read" in mistakes[0].problem


def test_mistakes_go_to_stdout_and_their_number_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(WRONG)
    assert tell(read(path)[1], {}, as_json=False) == BAD_USAGE
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        f"{path}:2: listen.htp: unknown key (did you mean 'http'?)",
        f"{path}:4: limits.max_headers: must be at least 1",
    ]
    assert printed.err == "2 mistakes\n"
    path.write_text("[listen]\nhtp = 1\n")
    assert tell(read(path)[1], {"file": "f"}, as_json=True) == BAD_USAGE
    printed = capsys.readouterr()
    assert printed.err == ""
    assert json.loads(printed.out) == {
        "file": "f",
        "ok": False,
        "mistakes": [
            {
                "file": str(path),
                "line": 2,
                "key": "listen.htp",
                "problem": "unknown key",
                "allowed": "",
                "nearest": "http",
            }
        ],
    }


def test_a_file_is_named_or_in_the_environment_or_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def which(path: str | None = None) -> str:
        loaded = policy(path, as_json=False)
        return loaded.path.name if loaded else "none"

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIDECAR_CONFIG", raising=False)
    with pytest.raises(Trouble, match=r"no policy file: name one, set \$SIDECAR_CONFIG") as caught:
        which()
    assert caught.value.code == BAD_USAGE
    for name in ("sidecar.toml", "elsewhere", "named"):
        (tmp_path / name).touch(0o600)
    assert which() == "sidecar.toml"
    (tmp_path / "sidecar.toml").chmod(0o666)
    assert which() == "none"
    assert "others may write to it" in capsys.readouterr().out
    monkeypatch.setenv("SIDECAR_CONFIG", "elsewhere")
    assert which() == "elsewhere"
    assert which("named") == "named"
    (tmp_path / "named").write_text(WRONG)
    assert which("named") == "none"
    assert capsys.readouterr().out.startswith("named:2: listen.htp: unknown key")
