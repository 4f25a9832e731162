"""`sidecar exec`: a program notices nothing of the sidecar but the addresses in its environment."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

import aiohttp
import pytest
from typer.testing import CliRunner

from sidecar.cli.app import app
from sidecar.cli.exec.execute import execute
from sidecar.cli.trouble import Trouble
from tests.kit.executed import PATIENCE, bare, executed
from tests.kit.peer import listening

if TYPE_CHECKING:
    from pathlib import Path

POLICY = """
[listen]
http = "{taken}"
grpc = ""
admin = ""
http_tls = {{ cert = "sidecar.toml", key = "sidecar.toml" }}
[upstreams.a]
url = "{url}"
[routes.all]
match = {{ path = "/*" }}
chain = ["a"]
"""
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_streams_arguments_and_the_exit_code_are_the_programs(tmp_path: Path) -> None:
    """Whatever stands behind its name is its own; our stdout is its, and the log is quiet."""
    script = 'cat; echo "$#:$*"; env; echo oops >&2; exit 7'
    async with executed(
        "sh", "-c", script, "sh", "-c", "--", "--help", folder=tmp_path, OPENAI_API_KEY="sk-1", NO_PROXY="a", MINE="b c"
    ) as program:
        code, out, err = await program.ended("from a pipe\n")
    assert (code, err) == (7, "oops\n")
    lines = out.splitlines()
    assert lines[:2] == ["from a pipe", "3:-c -- --help"]
    environ = dict(line.split("=", 1) for line in lines[2:] if "=" in line)
    http = environ["SIDECAR_HTTP"]
    assert http.startswith("http://127.0.0.1:")
    assert environ["OPENAI_BASE_URL"] == f"{http}/v1"
    assert "ANTHROPIC_BASE_URL" not in environ  # nobody spoke of it: its calls go where they always went
    assert environ["SIDECAR_GRPC"].startswith("127.0.0.1:")
    assert environ["SIDECAR_ADMIN"].startswith("http://127.0.0.1:")
    assert (environ["NO_PROXY"], environ["MINE"], environ["OPENAI_API_KEY"]) == ("a,127.0.0.1,localhost", "b c", "sk-1")
    for name in ("GRPC_VERBOSITY", "GRPC_DNS_RESOLVER"):  # set for ourselves
        assert environ.get(name) == os.environ.get(name)


async def test_a_file_is_followed_and_its_addresses_are_not(tmp_path: Path) -> None:
    """They are in use by a sidecar that runs, and the program is told where to call."""
    file = tmp_path / "sidecar.toml"
    async with listening() as first, listening() as second:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            file.write_text(POLICY.format(taken=address, url=first.url))
            async with (
                executed("-c", str(file), "--", "sh", "-c", "echo $SIDECAR_HTTP; cat", folder=tmp_path) as program,
                aiohttp.ClientSession() as caller,
                asyncio.timeout(PATIENCE),
            ):
                url = await program.line()
                for upstream in (first, second):
                    call = asyncio.create_task(caller.get(url))
                    peer = await upstream.accept()
                    await peer.request()
                    peer.say(ANSWER)
                    assert (await call).status == 200
                    file.write_text(POLICY.format(taken=address, url=second.url))
                    if upstream is first:
                        await program.logged("the policy file was taken")
                code, out, _ = await program.ended("until the end\n")
    assert (code, out) == (0, "until the end\n")


async def test_calls_that_outlive_the_program_have_a_moment(tmp_path: Path) -> None:
    """Of a process that it left behind. One that takes longer is cut: the end is the program's."""
    file = tmp_path / "mine.toml"
    async with listening() as upstream:
        file.write_text(POLICY.format(taken="127.0.0.1:0", url=upstream.url).replace("sidecar.toml", "mine.toml"))
        async with (
            executed(
                "sh", "-c", "echo $SIDECAR_HTTP; read line; exit 3", folder=tmp_path, SIDECAR_CONFIG=str(file)
            ) as program,
            aiohttp.ClientSession() as caller,
            asyncio.timeout(PATIENCE),
        ):
            url = await program.line()
            quick, stuck = asyncio.create_task(caller.get(f"{url}/quick")), asyncio.create_task(caller.post(url))
            peers = {(await peer.request())[:4]: peer for peer in (await upstream.accept(), await upstream.accept())}
            program.say("end\n")
            await program.logged("draining")
            peers[b"GET "].say(ANSWER)
            assert (await quick).status == 200
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await stuck
            code, _, _ = await program.ended()
    assert code == 3


def test_without_a_key_and_without_a_file_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `sidecar.toml` that happens to lie where the program is started is anyone's."""
    (tmp_path / "sidecar.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Trouble, match="name a policy file with -c"):
        execute(None, ["touch", "run"], bare())
    assert not (tmp_path / "run").exists()


def test_every_mistake_of_the_file_is_told_and_nothing_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text('[upstreams.a]\nurll = "http://127.0.0.1:9"\n[limits]\ndrain = "soon"\n')
    assert execute("mine.toml", ["touch", "run"], bare()) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert "mine.toml:2: upstreams.a.urll" in err
    assert "mine.toml:4: limits.drain" in err
    (tmp_path / "mine.toml").write_text('[listen]\nhttp_token = "secret"\n')
    assert execute(None, ["touch", "run"], bare(SIDECAR_CONFIG="mine.toml")) == 2
    assert "mine.toml:2: listen.http_token: is asked of callers" in capfd.readouterr().err
    assert not (tmp_path / "run").exists()


async def test_a_sidecar_that_cannot_begin_says_why_and_nothing_is_run(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    policy = POLICY.format(taken="127.0.0.1:0", url="https://127.0.0.1:9").replace("sidecar.toml", "mine.toml")
    file.write_text(policy.replace("[routes.all]", 'tls = { ca = "mine.toml" }\n[routes.all]'))
    async with executed("-c", "mine.toml", "touch", "run", folder=tmp_path) as program:
        code, out, err = await program.ended()
    assert (code, out) == (2, "")
    assert err.startswith(f"sidecar: upstreams.a.tls: {file} cannot be used: ")
    assert not (tmp_path / "run").exists()


def test_without_a_command_there_is_a_word_on_usage() -> None:
    for arguments in (["exec"], ["exec", "--"], ["exec", "-c", "mine.toml"]):
        done = CliRunner().invoke(app, arguments)
        assert (done.exit_code, done.stdout) == (2, "")
        assert "Usage: " in done.stderr
        assert "{COMMAND}..." in done.stderr
    assert CliRunner().invoke(app, ["exec", "--no-such-flag", "true"]).exit_code == 2
