"""The listeners of a sidecar under `sidecar exec`: what its policy file says of them does not count, or is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.cli.exec.listen import on_free_ports
from sidecar.config import load
from sidecar.errors import ConfigError
from tests.kit.policy_file import ROUTED

if TYPE_CHECKING:
    from pathlib import Path

    from sidecar.config import Loaded


def loaded(folder: Path, listen: str, **environ: str) -> Loaded:
    for name in ("cert.pem", "key.pem", "ca.pem"):
        (folder / name).write_text("")
    file = folder / "mine.toml"
    file.write_text(f"[listen]\n{listen}\n{ROUTED}")
    return load(file, environ)


def test_whatever_the_file_says_free_loopback_ports_are_used(tmp_path: Path) -> None:
    file = loaded(
        tmp_path,
        """
        http = ""
        grpc = "0.0.0.0:7071"
        admin = "unix:/run/admin"
        probe = "127.0.0.1:7073"
        hosts = ["sidecar.example.org"]
        http_tls = { cert = "cert.pem", key = "key.pem" }
        """,
    )
    listen = on_free_ports(file).settings.listen
    assert (listen.http, listen.grpc, listen.admin, listen.probe) == ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", "")
    assert listen.http_tls is None
    assert listen.hosts == ("sidecar.example.org",)
    assert on_free_ports(file).settings.routes is file.settings.routes
    assert on_free_ports(file).hash == file.hash


def test_a_token_that_the_program_would_not_send_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mine\.toml:3: listen\.http_token: is asked of callers.* \(allowed: unset"):
        on_free_ports(loaded(tmp_path, '\nhttp_token = "secret"'))


def test_a_token_that_is_empty_under_exec_is_none(tmp_path: Path) -> None:
    file = loaded(tmp_path, 'http_token = "${CALLERS_TOKEN:-}"')
    assert on_free_ports(file).settings.listen.http_token == ""


def test_every_listener_that_asks_for_a_certificate_is_told(tmp_path: Path) -> None:
    tls = '{ cert = "cert.pem", key = "key.pem", client_ca = "ca.pem" }'
    with pytest.raises(ConfigError) as error:
        on_free_ports(loaded(tmp_path, f"http_tls = {tls}\ngrpc_tls = {tls}\nadmin_tls = {tls}"))
    assert [(mistake.line, mistake.key) for mistake in error.value.mistakes] == [
        (2, "listen.http_tls.client_ca"),
        (3, "listen.grpc_tls.client_ca"),
        (4, "listen.admin_tls.client_ca"),
    ]
    assert str(tmp_path / "ca.pem") in error.value.files
