"""Where a policy file has its listeners, for who asks whether a sidecar lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.cli.listening import listening
from tests.kit.commands import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def test_the_shipped_file() -> None:
    assert listening(ROOT / "sidecar.toml", {"SIDECAR_LISTEN_HTTP": "0.0.0.0:80"}) == [
        "http://127.0.0.1:7072", "http://127.0.0.1:80",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["http://127.0.0.1:7072", "http://127.0.0.1:7070"]),
        ('[listen]\nprobe = "[::]:9902"\nadmin = ""\nhttp = ""', ["http://[::1]:9902"]),
        (
            '[listen]\nprobe = "10.1.2.3:9902"\nadmin = "unix:/run/a"\nhttp = ""',
            ["http://10.1.2.3:9902", "unix:/run/a"],
        ),
        ('[listen]\nadmin = "a.example:1"\nhttp = ""\nadmin_tls = { cert = "c", key = "k" }', ["https://a.example:1"]),
        ('[listen]\nhttp_tls = { cert = "c", key = "k" }', ["http://127.0.0.1:7072", "https://127.0.0.1:7070"]),
        ('[listen]\nhttp_token = { file = "/nowhere" }\nadmin = ""', ["http://127.0.0.1:7070"]),
    ],
)
def test_what_is_on_as_it_is_asked(text: str, found: list[str], tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text(text)
    assert listening(tmp_path / "f.toml", {}) == found


@pytest.mark.parametrize("text", ["[listen", 'listen = "x"', '[listen]\nadmin = "nowhere"', b"\xff".decode("latin-1")])
def test_one_that_does_not_tell_is_an_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError):
        listening(tmp_path / "f.toml", {})
