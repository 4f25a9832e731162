"""`sidecar init`: a file that works as it stands, that never costs anybody theirs, and that is whole or not there."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from sidecar.cli.init import init, starter
from sidecar.cli.trouble import Trouble
from tests.kit.commands import SIDECAR
from tests.kit.policy_file import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTING = re.compile(r"^# (?=\[|[a-z_]+ += )", re.MULTILINE)
"""What stands before a setting that is commented out."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextmanager
def nobody() -> Iterator[None]:
    """Root may write everywhere; who tests as root is nobody for a while."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(me)


def refused(file: str | None, *, force: bool = False) -> str:
    with pytest.raises(Trouble) as caught:
        init(file, force=force)
    assert caught.value.code == 2
    return str(caught.value)


def test_it_writes_the_starter_and_says_what_to_do_next(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(None, force=False) == 0
    assert (folder / "sidecar.toml").read_text() == starter()
    assert capsys.readouterr().out.splitlines() == [
        "Wrote sidecar.toml. Next:",
        "  sidecar check",
        "  sidecar run",
        "  curl -i http://127.0.0.1:7070/",
    ]
    assert [each.name for each in folder.iterdir()] == ["sidecar.toml"]


def test_another_name_is_told_to_the_next_commands(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init("my own.toml", force=False) == 0
    out = capsys.readouterr().out
    assert "sidecar check 'my own.toml'\n" in out
    assert "sidecar run -c 'my own.toml'\n" in out


def test_to_stdout(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init("-", force=False) == 0
    assert capsys.readouterr().out == starter()
    assert [*folder.iterdir()] == []


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0, 0o644)])
def test_the_mode_is_what_run_trusts_less_the_umask(folder: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        init(None, force=False)
        (folder / "old.toml").write_text("")
        init("old.toml", force=True)
    finally:
        os.umask(before)
    for name in ("sidecar.toml", "old.toml"):
        assert (folder / name).stat().st_mode & 0o777 == mode


def test_it_loads_with_no_variable_set() -> None:
    loaded = load(starter())
    assert set(loaded.settings.routes) == {"app", "openai", "anthropic"}


def test_what_is_commented_out_loads_too() -> None:
    said = SETTING.sub("", starter())
    assert said.count("\n# ") < starter().count("\n# ")
    by_one, by_several = said.replace("urls = [", "# urls = ["), said.replace('url = "${APP_URL', '# url = "${APP_URL')
    for text in (by_one, by_several):
        loaded = load(text, {"SIDECAR_ADMIN_TOKEN": "t"})
        assert loaded.settings.policies["default"].retry.tries == 5
        assert loaded.settings.static["sorry"].status == 503


def test_the_first_line_names_the_schema_for_editors() -> None:
    """As taplo takes it: https://taplo.tamasfe.dev/configuration/directives.html."""
    first, text = starter().split("\n", 1)
    assert first == "#:schema ./sidecar.schema.json"
    assert "sidecar schema > sidecar.schema.json" in text


def test_a_file_that_is_there_stays(folder: Path) -> None:
    (folder / "sidecar.toml").write_text("mine")
    assert refused(None) == "sidecar.toml exists; --force writes over it"
    assert (folder / "sidecar.toml").read_text() == "mine"


def test_a_link_to_nowhere_stays(folder: Path) -> None:
    (folder / "sidecar.toml").symlink_to("gone.toml")
    assert "exists" in refused(None)
    assert not (folder / "gone.toml").exists()


def test_force_writes_over_it_and_through_a_link(folder: Path) -> None:
    (folder / "real.toml").write_text("mine")
    (folder / "sidecar.toml").symlink_to("real.toml")
    assert init(None, force=True) == 0
    assert (folder / "sidecar.toml").is_symlink()
    assert (folder / "real.toml").read_text() == starter()


def test_force_writes_where_nothing_is_yet(folder: Path) -> None:
    assert init(None, force=True) == 0
    assert (folder / "sidecar.toml").read_text() == starter()


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_is_no_file(folder: Path, force: bool) -> None:
    (folder / "conf").mkdir()
    assert refused("conf", force=force) == "conf is a folder; name a file in it"


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_that_is_missing_is_not_made(folder: Path, force: bool) -> None:
    assert refused("conf/sidecar.toml", force=force) == "there is no folder conf"
    assert [*folder.iterdir()] == []


def test_a_device_is_not_replaced() -> None:
    assert refused("/dev/null") == "/dev/null exists; --force writes over it"
    assert refused("/dev/null", force=True) == "/dev/null is no regular file"


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("name", "reason"), [("file/sidecar.toml", "Not a directory"), (f"{'x' * 300}.toml", "File name too long")]
)
def test_what_the_system_refuses_is_said_in_its_words(folder: Path, name: str, reason: str, force: bool) -> None:
    (folder / "file").write_text("")
    assert refused(name, force=force) == f"cannot write {name}: {reason}"


def test_a_folder_that_one_may_not_write_to(folder: Path) -> None:
    folder.chmod(0o555)
    starter()  # what it imports may stand where nobody is allowed to read
    with nobody():
        assert refused("sidecar.toml") == "cannot write sidecar.toml: Permission denied"


def test_as_typed(folder: Path) -> None:
    for code, complaint in ((0, ""), (2, "sidecar: sidecar.toml exists; --force writes over it\n")):
        done = subprocess.run([SIDECAR, "init"], cwd=folder, capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, done.stderr) == (code, complaint)
