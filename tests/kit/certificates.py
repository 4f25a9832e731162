"""Certificates made on the spot by the `openssl` command: an authority, a server, a client, and a stranger."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.kit.tools import tool

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files. The server's names are `localhost`, `service.test`, 127.0.0.1 and ::1."""

    folder: Path

    @property
    def ca(self) -> str:
        return str(self.folder / "ca.pem")

    def pair(self, name: str) -> tuple[str, str]:
        """Certificate and key of `server`, `client` or `stranger` (who signed itself)."""
        return str(self.folder / f"{name}.pem"), str(self.folder / f"{name}.key")

    def caller(self) -> ssl.SSLContext:
        """What a caller uses that trusts the authority."""
        return ssl.create_default_context(cafile=self.ca)

    def server(self, name: str = "server", *, ask_client: bool = False) -> ssl.SSLContext:
        """What a server of these tests uses."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*self.pair(name))
        if ask_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context

    def client(self, name: str = "client") -> ssl.SSLContext:
        """What a caller of these tests uses; without a name it has no certificate."""
        context = ssl.create_default_context(cafile=self.ca)
        if name:
            context.load_cert_chain(*self.pair(name))
        return context


def make_certificates(folder: Path) -> Certificates:
    """Make them all (some 50 ms)."""
    tool("openssl")
    names = "subjectAltName=DNS:localhost,DNS:service.test,IP:127.0.0.1,IP:::1"
    _make(folder, "ca", "basicConstraints=critical,CA:TRUE", signed_by="")
    _make(folder, "server", names, signed_by="ca")
    _make(folder, "client", "extendedKeyUsage=clientAuth", signed_by="ca")
    _make(folder, "stranger", names, signed_by="")
    return Certificates(folder)


def _make(folder: Path, name: str, extension: str, *, signed_by: str) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN=test {name}"]
    command += ["-addext", extension]
    if signed_by:
        command += ["-CA", f"{signed_by}.pem", "-CAkey", f"{signed_by}.key", "-addext", "basicConstraints=CA:FALSE"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
