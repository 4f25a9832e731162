"""The providers' own clients for Node, in one process that many tests ask: `tests/wire/node/clients.mjs`.

got = await clients.ask(s, "chat.completions.create", chat(GPT_ONLY))
assert (got.text, got.upstream) == ("You said: hi there", "openai")
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tests.kit.commands import ROOT
from tests.kit.llm_stage import HI
from tests.kit.told import Told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.kit.llm_stage import Stage
    from tests.kit.node import Node

SCRIPT = ROOT / "tests" / "wire" / "node" / "clients.mjs"
CHAT, CHAT_HELPER = "chat.completions.create", "chat.completions.stream"
MESSAGE, MESSAGE_HELPER = "messages.create", "messages.stream"
"""Methods of the two clients; a helper puts a stream together itself."""


@dataclass(slots=True)
class NodeGot(Told):
    """What the client's user has at the end. `text` is what came before the error, if there was one.

    `value` is a whole answer as the client gave it, `request` its id as the client read it, `fetches` how many
    requests the client made.
    """

    text: str
    model: str
    stop: str | None
    usage: list[int] | None
    tools: list[list[str]]
    events: list[str]
    value: Any
    error: dict[str, Any] | None
    headers: Mapping[str, str]
    request: str
    fetches: int

    @property
    def kind(self) -> str:
        """The class of the error."""
        return self.error["class"] if self.error is not None else ""

    @property
    def status(self) -> int:
        """Of the error; 0 for one that is not an answer of its own, such as the break of a stream."""
        return self.error["status"] if self.error is not None else 0

    @property
    def message(self) -> str:
        return self.error["message"] if self.error is not None else ""


class NodeClients:
    """One Node process, asked one scenario at a time."""

    def __init__(self, node: Node) -> None:
        command = ("node", "--input-type=module", "--eval", SCRIPT.read_text())
        self._process = subprocess.Popen(
            command, cwd=node.modules.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._one_at_a_time = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:  # which closes its stdin: it ends by itself
            pass

    async def ask(self, s: Stage, method: str, body: Any = None, *, leave: int = 0, **options: Any) -> NodeGot:
        """Call that method of the client whose it is. `options` are the client's own."""
        client = "anthropic" if method.startswith("messages.") else options.pop("client", "openai")
        scenario = {"client": client, "url": s.sidecar.url, "method": method, "body": body}
        line = json.dumps({**scenario, "options": options, "leave": leave})
        return NodeGot(**json.loads(await asyncio.to_thread(self._played, line)))

    def _played(self, line: str) -> str:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with self._one_at_a_time:
            stdin.write(line + "\n")
            stdin.flush()
            told = stdout.readline()
        assert told, "the process has ended; its reason stands on stderr"
        return told


def chat(model: str, text: str = HI, **more: Any) -> dict[str, Any]:
    """A chat for OpenAI's client; a stream tells its usage."""
    if more.get("stream"):
        more.setdefault("stream_options", {"include_usage": True})
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def message(model: str, text: str = HI, **more: Any) -> dict[str, Any]:
    """The same for Anthropic's."""
    return {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 1000, **more}
