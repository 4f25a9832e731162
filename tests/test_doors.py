"""What listeners are made of: the same readers and memory for all, by the configuration of the moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.doors import UnusableError, pems_of, tls
from sidecar.settings import TlsServerSettings
from tests.kit.certificates import make_certificates
from tests.kit.running import FREE, Running, one, running
from tests.kit.scripted import scripted

if TYPE_CHECKING:
    from pathlib import Path

    from sidecar.doors import Doors

NOWHERE = "http://127.0.0.1:1"


def doors(sidecar: Running) -> Doors:
    assert sidecar.daemon._listening is not None
    return sidecar.daemon._listening._make


def test_without_tls_settings_there_is_none() -> None:
    assert tls("http", None) is None
    assert pems_of(None) is None


def test_a_callers_certificate_is_asked_for_where_its_authority_is_named(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    cert, key = made.pair("server")
    context = tls("http", TlsServerSettings(cert=cert, key=key, client_ca=made.ca))
    assert context is not None
    assert context.verify_mode.name == "CERT_REQUIRED"
    pems = pems_of(TlsServerSettings(cert=cert, key=key, client_ca=made.ca))
    assert pems is not None
    assert pems.client_ca.startswith(b"-----BEGIN CERTIFICATE")


def test_a_file_that_is_no_certificate_is_named_with_its_key(tmp_path: Path) -> None:
    file = tmp_path / "cert.pem"
    file.write_text("no certificate")
    with pytest.raises(UnusableError, match=rf"listen\.grpc_tls: {file} cannot be used"):
        pems_of(TlsServerSettings(cert=str(file), key=str(file)))


async def test_how_much_is_kept_follows_the_file() -> None:
    async with running(one(NOWHERE, more='[limits]\nreplay_total = "1MiB"\nmax_headers = 10')) as sidecar:
        made = doors(sidecar)
        assert (made._memory.total, made._metadata.max_headers) == (1 << 20, 10)
        text = sidecar.file.read_text()
        sidecar.file.write_text(text.replace('"1MiB"', '"2MiB"').replace("= 10", "= 20"))
        await sidecar.daemon.reload()
        assert (made._memory.total, made._metadata.max_headers) == (2 << 20, 20)


async def test_answers_are_timed_from_the_reload_on() -> None:
    async with scripted() as upstream, running(one(upstream.url, more=FREE)) as sidecar:
        assert "server-timing" not in (await sidecar.ask("/")).fields
        sidecar.file.write_text("[telemetry]\nserver_timing = true\n" + sidecar.file.read_text())
        await sidecar.daemon.reload()
        assert "server-timing" in (await sidecar.ask("/")).fields
