"""`sidecar run` as a process: signals, exit codes, and a log that nobody reads."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from tests.kit.addresses import free_port
from tests.kit.caller import PATIENCE
from tests.kit.commands import ROOT, SIDECAR, answers
from tests.kit.peer import listening
from tests.kit.process import sidecar_process
from tests.kit.running import FREE, one, request
from tests.kit.scripted import OK, scripted

if TYPE_CHECKING:
    from pathlib import Path

NOWHERE = "http://127.0.0.1:1"


def write(file: Path, text: str) -> None:
    file.write_text(text)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sidecar.toml"


async def fails(file: Path) -> tuple[int | None, str, str]:
    """Exit code, stdout and stderr of a start that does not last."""
    process = await asyncio.create_subprocess_exec(
        SIDECAR, "run", "-c", str(file), cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_a_port_in_use_is_exit_code_2_and_one_clear_line(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        write(file, f'[listen]\nhttp = "127.0.0.1:{port}"\nadmin = ""\ngrpc = ""\n' + one(NOWHERE))
        code, _, err = await fails(file)
    assert code == 2
    said = f"listen.http: cannot listen on 127.0.0.1:{port}: Address already in use (is another sidecar running?)"
    assert err == f"sidecar: {said}\n"


async def test_a_certificate_that_cannot_be_used_is_exit_code_2(file: Path) -> None:
    write(file.with_name("cert.pem"), "nothing")
    tls = 'http_tls = { cert = "CERT", key = "CERT" }\n'.replace("CERT", str(file.with_name("cert.pem")))
    write(file, FREE + tls + one(NOWHERE))
    code, _, err = await fails(file)
    assert code == 2
    assert err.startswith(f"sidecar: listen.http_tls: {file.with_name('cert.pem')} cannot be used: ")
    assert "Traceback" not in err


async def test_sigterm_drains_and_ends_with_0_and_sighup_reloads_before(file: Path) -> None:
    limits = '[limits]\nlinger = "50ms"\n'
    async with listening() as upstream, scripted() as other:
        write(file, FREE + one(upstream.url, more=limits))
        async with sidecar_process(file) as sidecar:
            caller = await sidecar.caller()
            caller.send(request("/"))
            peer = await upstream.accept()
            await peer.request()
            write(file, FREE + one(other.url, more=limits))
            sidecar.signal(signal.SIGHUP)
            await sidecar.line("was taken")
            sidecar.signal(signal.SIGTERM)
            await sidecar.line("draining")
            late = await sidecar.caller()
            late.send(request("/", "Connection: close"))
            assert (await late.answer()).body == b"ok"
            assert len(other.requests) == 1
            peer.say(OK)
            assert (await caller.answer()).body == b"ok"
            await caller.close()
            await late.close()
            assert await sidecar.ended() == 0


async def test_the_second_signal_ends_at_once(file: Path) -> None:
    async with listening() as upstream:
        write(file, FREE + one(upstream.url))
        async with sidecar_process(file) as sidecar:
            caller = await sidecar.caller()
            caller.send(request("/"))
            peer = await upstream.accept()
            sidecar.signal(signal.SIGTERM)
            await sidecar.line("draining")
            sidecar.signal(signal.SIGTERM)
            assert await sidecar.ended() == 0
            await peer.request()
            assert await peer.ended()
            await caller.close()


@pytest.mark.parametrize("gone", ["full", "closed"])
async def test_a_log_that_nobody_reads_costs_no_call(file: Path, gone: str) -> None:
    port = free_port()
    reading, writing = os.pipe()
    if gone == "closed":
        os.close(reading)
    async with scripted() as upstream:
        write(
            file,
            f'[listen]\nhttp = "127.0.0.1:{port}"\nadmin = ""\ngrpc = ""\n'
            + one(upstream.url, path="/api/*", more='[limits]\nlinger = "50ms"\n'),
        )
        async with sidecar_process(file, stdout=writing) as sidecar:
            os.close(writing)
            await answers(f"http://127.0.0.1:{port}/livez")
            sidecar.port = port
            caller = await sidecar.caller()
            long = "/api/" + "x" * 4000
            for _ in range(5):  # 200 lines of 4 KB: a pipe holds 64 KiB
                caller.send(request(long) * 40)
                for _ in range(40):
                    assert (await caller.answer()).status == 200
            sidecar.signal(signal.SIGTERM)
            await caller.close()
            assert await sidecar.ended() == 0
    if gone == "full":
        os.close(reading)


async def test_a_hangup_before_the_file_has_been_read_ends_nothing(file: Path) -> None:
    """The file is a pipe: whoever opens it to write has found the process about to read, its handlers not yet there."""
    os.mkfifo(file)
    process = await asyncio.create_subprocess_exec(
        SIDECAR, "run", "-c", str(file), cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(PATIENCE):
            pipe = await asyncio.to_thread(os.open, file, os.O_WRONLY)
            process.send_signal(signal.SIGHUP)
            os.write(pipe, (FREE + one(NOWHERE)).encode())
            os.close(pipe)
            assert process.stdout is not None
            assert b"is ready" in await process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
