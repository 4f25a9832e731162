"""The proxies of the LLM rows. Each must give whole answers of both providers before it is loaded."""

import http.client
import json
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench import llm_words as words
from bench.process import Process, free_port, running
from bench.proxies import HERE, OURS, Place, nginx

PEERS = HERE.parent / ".venv-bench"
START_SECONDS = 120.0
"""LiteLLM imports for ten of them on a core of its own."""


class LlmProxy(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def translates(self) -> bool: ...

    def headers(self, model: str) -> dict[str, str]:
        """What callers must send for a model, beside what OpenAI's own client sends."""
        ...

    @contextmanager
    def up(self, place: Place) -> Iterator[tuple[Process, int]]: ...


@dataclass(frozen=True, slots=True)
class LlmSidecar:
    """Ours, or whatever `command` names, as in bench/proxies.py."""

    command: str = OURS
    name: str = "sidecar"
    translates: bool = True

    def headers(self, _model: str) -> dict[str, str]:
        return {}

    @contextmanager
    def up(self, place: Place) -> Iterator[tuple[Process, int]]:
        port = free_port()
        config = HERE / "llm.toml"
        fills = {"python": sys.executable, "config": str(config), "port": str(port), "upstream": str(place.upstream)}
        argv = [word.format(**fills) for word in shlex.split(self.command)]
        env = {"BENCH_LISTEN": f"127.0.0.1:{port}", "BENCH_UPSTREAM": f"http://127.0.0.1:{place.upstream}"}
        with started(argv, port, place, self.headers, env) as process:
            yield process, port


@dataclass(frozen=True, slots=True)
class LiteLlm:
    """LiteLLM's proxy: one worker, no database, no keys, nothing fetched, and errors alone in its log."""

    binary: str
    name: str = "litellm"
    translates: bool = True

    def headers(self, _model: str) -> dict[str, str]:
        return {}

    @contextmanager
    def up(self, place: Place) -> Iterator[tuple[Process, int]]:
        port = free_port()
        own = ["--config", str(HERE / "litellm.yaml"), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        env = {
            "BENCH_OPENAI": f"http://127.0.0.1:{place.upstream}/v1",
            "BENCH_ANTHROPIC": f"http://127.0.0.1:{place.upstream}",
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
            "LITELLM_LOG": "ERROR",
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "DISABLE_ADMIN_UI": "True",
            "NO_DOCS": "True",
        }
        with started([self.binary, *own], port, place, self.headers, env) as process:
            yield process, port


@dataclass(frozen=True, slots=True)
class Portkey:
    """Portkey's gateway on Node. Where to send and when to try again comes with each request, as it has it."""

    script: str
    upstream: int
    name: str = "portkey"
    translates: bool = True

    def headers(self, model: str) -> dict[str, str]:
        return {
            "x-portkey-config": json.dumps(
                {
                    "provider": "openai" if model == words.PASSED else "anthropic",
                    "custom_host": f"http://127.0.0.1:{self.upstream}/v1",
                    "api_key": "sk-bench",
                    "retry": {"attempts": 2},
                    "request_timeout": 600_000,
                }
            )
        }

    @contextmanager
    def up(self, place: Place) -> Iterator[tuple[Process, int]]:
        port = free_port()
        argv = ["node", self.script, f"--port={port}", "--headless"]
        with started(argv, port, place, self.headers, {"NODE_ENV": "production"}) as process:
            yield process, port


@dataclass(frozen=True, slots=True)
class LlmNginx:
    """nginx as a plain proxy that holds nothing back: what moving the bytes of each event costs."""

    binary: str
    name: str = "nginx"
    translates: bool = False

    def headers(self, _model: str) -> dict[str, str]:
        return {}

    @contextmanager
    def up(self, place: Place) -> Iterator[tuple[Process, int]]:
        location = (
            """proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;"""
        )
        upstream = f"upstream up {{ server 127.0.0.1:{place.upstream}; keepalive 64; keepalive_requests 1000000000; }}"
        with nginx(self.binary, place.folder / "llm-nginx", place.cores.proxy, location, upstream) as started:
            yield started


@contextmanager
def started(
    argv: list[str], port: int, place: Place, headers: Callable[[str], dict[str, str]], env: dict[str, str]
) -> Iterator[Process]:
    def ask(port: int, path: str) -> int:
        return min(one_answer(port, path, model, headers(model)) for model in (words.PASSED, words.TRANSLATED))

    cores, folder = place.cores.proxy, place.folder
    with running(
        argv, cores=cores, port=port, path=words.PATH, folder=folder, env=env, ask=ask, patience=START_SECONDS
    ) as process:
        yield process


def one_answer(port: int, path: str, model: str, headers: dict[str, str]) -> int:
    """200 when a whole answer has all its words. Raises OSError, HTTPException."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    fields = {"Content-Type": "application/json", "Authorization": "Bearer sk-bench", **headers}
    try:
        connection.request("POST", path, words.request(model, 0, stream=False), fields)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status == 200 and body.count(words.WORD) == words.EVENTS:
        return 200
    raise OSError(f"{model}: status {answer.status}, {body[:300].decode(errors='replace')}")


def find_litellm() -> str | None:
    return shutil.which("litellm") or shutil.which(str(PEERS / "bin/litellm"))


def find_portkey() -> str | None:
    script = Path(PEERS, "portkey/node_modules/@portkey-ai/gateway/build/start-server.js")
    return str(script) if script.exists() and shutil.which("node") else None
