"""`sidecar run` where it cannot: a clear word on stderr and exit code 2."""

from __future__ import annotations

import os
import socket
import subprocess
from typing import TYPE_CHECKING

from tests.kit.commands import SIDECAR

if TYPE_CHECKING:
    from pathlib import Path

POLICY = """
[listen]
http = "{http}"
admin = ""
grpc = ""
[upstreams.a]
url = "http://127.0.0.1:9"
[routes.all]
match = {{ path = "/*" }}
chain = ["a"]
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SIDECAR_")}
    return subprocess.run(
        [SIDECAR, "run", *arguments], cwd=folder, env=environ, capture_output=True, text=True, timeout=30, check=False
    )


def test_without_a_policy_file(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no policy file" in done.stderr
    assert "'sidecar init' writes one here" in done.stderr


def test_with_mistakes_in_it(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('[upstreams.a]\nurll = "http://127.0.0.1:9"\n')
    done = run(tmp_path, "-c", "mine.toml")
    assert done.returncode == 2
    assert "mine.toml:2: upstreams.a.urll" in done.stderr
    assert "did you mean 'url'" in done.stderr


def test_with_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        (tmp_path / "mine.toml").write_text(POLICY.format(http=address))
        done = run(tmp_path, "-c", "mine.toml")
    assert done.returncode == 2
    assert f"listen.http: cannot listen on {address}: Address already in use" in done.stderr
    assert "Traceback" not in done.stderr
