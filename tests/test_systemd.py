"""examples/systemd: the unit is sound and strict, and what it starts works under its filter, without a systemd."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shlex
import signal
import socket
import subprocess
import tomllib
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from tests.kit.addresses import free_port
from tests.kit.blunt import answer, blunt
from tests.kit.caller import PATIENCE
from tests.kit.commands import PYTHON, ROOT, SIDECAR, answers, shell
from tests.kit.confined import allowed, families, settings
from tests.kit.tools import tool
from tests.kit.transcript import blocks, terminal

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "examples" / "systemd"
UNIT = FOLDER / "sidecar.service"
SAYS = dict(settings(UNIT))
EXPOSURE = 1.5
"""Of ten, by `systemd-analyze security`; 1.3 when this was written."""


def analyzed(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = tool("systemd-analyze", package="systemd")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=30, check=False)


def test_systemd_finds_nothing_to_say_of_it(tmp_path: Path) -> None:
    unit = tmp_path / "sidecar.service"
    unit.write_text(UNIT.read_text().replace("/opt/sidecar/bin/sidecar", SIDECAR))  # it looks for the program
    done = analyzed("verify", "--man=no", str(unit))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    unit.write_text(unit.read_text().replace("ProtectHome=yes", "ProtectHomes=yes"))
    assert "ProtectHomes" in analyzed("verify", "--man=no", str(unit)).stderr


def test_little_is_left_to_it() -> None:
    done = analyzed("security", "--offline=true", "--no-pager", str(UNIT))
    found = re.search(r"exposure level for sidecar.service: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= EXPOSURE


def test_the_end_is_given_more_time_than_the_drain_takes() -> None:
    limits = tomllib.loads((ROOT / "sidecar.toml").read_text())["limits"]
    seconds = [int(limits[name].removesuffix("s")) for name in ("drain", "linger")]
    assert int(SAYS["TimeoutStopSec"]) >= sum(seconds) + 5
    assert SAYS["KillSignal"] == "SIGTERM"
    assert SAYS["ExecReload"] == "/bin/kill -HUP $MAINPID"


def test_the_filter_leaves_out_what_it_says() -> None:
    tool("systemd-analyze", package="systemd")
    assert families(UNIT) == {socket.AF_INET, socket.AF_INET6, socket.AF_UNIX}
    names = allowed(UNIT)
    assert {"execve", "epoll_wait", "accept4", "inotify_add_watch", "clone3"} <= names
    assert {"ptrace", "mount", "chroot", "bpf", "init_module", "setpriority"} & names == set()


POLICY = """
[listen]
http = "127.0.0.1:{http}"
grpc = "127.0.0.1:{grpc}"
admin = "127.0.0.1:{admin}"
[limits]
linger = "0.1s"
[static.fixed]
status = 200
body = "served"
grpc_code = "UNAVAILABLE"
grpc_message = "asked and answered"
headers = {{ X-Key = {{ file = "${{CREDENTIALS_DIRECTORY}}/openai_api_key" }} }}
[upstreams.by_name]
url = "http://localhost:{upstream}"
[routes.by_name]
match = {{ path = "/by/name" }}
chain = ["by_name"]
[routes.r]
match = {{ path = "/*" }}
chain = ["static/fixed"]
[routes.g]
match = {{ grpc = "*" }}
chain = ["static/fixed"]
"""


async def test_it_serves_reloads_and_drains_under_the_units_filter_and_memory_rule(tmp_path: Path) -> None:
    tool("systemd-analyze", package="systemd")
    ports = {name: free_port() for name in ("http", "grpc", "admin", "upstream")}
    policy = tmp_path / "sidecar.toml"
    policy.write_text(POLICY.format(**ports))
    (tmp_path / "openai_api_key").write_text("from-systemd")
    command = shlex.split(SAYS["ExecStart"])
    assert command == ["/opt/sidecar/bin/sidecar", "run", "-c", "/etc/sidecar/sidecar.toml"]
    running = await asyncio.create_subprocess_exec(
        *(PYTHON, "tests/kit/confined.py", str(UNIT)), *(SIDECAR, "run", "-c", str(policy)), cwd=ROOT,
        env={"CREDENTIALS_DIRECTORY": str(tmp_path), "PATH": "/usr/bin:/bin"},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        await answers(f"http://127.0.0.1:{ports['admin']}/readyz")
        served = await shell(f"curl -si http://127.0.0.1:{ports['http']}/")
        assert "served" in served
        assert "from-systemd" in served
        async with blunt(answer(b"asked by its name"), port=ports["upstream"]):
            assert await shell(f"curl -s http://127.0.0.1:{ports['http']}/by/name") == "asked by its name"
        async with grpc.aio.insecure_channel(f"127.0.0.1:{ports['grpc']}") as channel:
            call: Any = channel.unary_unary("/a.B/C")
            with pytest.raises(grpc.aio.AioRpcError, match="asked and answered"):
                await call(b"")
        status = await shell(f"cat /proc/{running.pid}/status")
        assert re.search(r"^Seccomp:\t2$", status, re.MULTILINE)
        policy.write_text(policy.read_text().replace("served", "served anew"))
        running.send_signal(signal.SIGHUP)
        digest = hashlib.sha256(policy.read_bytes()).hexdigest()
        config = await shell(f"curl -s 'http://127.0.0.1:{ports['admin']}/config?wait={digest}&timeout=20s'")
        assert json.loads(config)["generation"] == 2
        assert "served anew" in await shell(f"curl -s http://127.0.0.1:{ports['http']}/")
        running.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await running.wait() == 0
    finally:
        if running.returncode is None:
            running.kill()
        told, _ = await running.communicate()
    assert b"ermission" not in told
    assert b"ermitted" not in told


async def test_the_readme_is_a_session_that_goes_as_it_says(tmp_path: Path) -> None:
    async with terminal(tmp_path) as there:
        for block in blocks(FOLDER / "README.md"):
            await there.type(block)
