"""An error of the world around is told as a mistake of the file's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.config import load
from sidecar.config.outside import outside

if TYPE_CHECKING:
    from pathlib import Path


def test_it_has_the_line_of_its_key(tmp_path: Path) -> None:
    file = tmp_path / "sidecar.toml"
    file.write_text('[admin]\n\n[listen]\nhttp = "127.0.0.1:1"\n')
    told = outside(load(file, {}), OSError(98, "listen.http: cannot listen on 127.0.0.1:1: in use"))
    assert str(told) == f"{file}:4: listen.http: cannot listen on 127.0.0.1:1: in use"


def test_a_key_that_the_file_leaves_to_its_default_is_one_of_the_file_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "sidecar.toml"
    file.write_text("")
    told = outside(load(file, {}), OSError(98, "listen.http: cannot listen on 127.0.0.1:7070: in use"))
    assert str(told) == f"{file}: listen.http: cannot listen on 127.0.0.1:7070: in use"
