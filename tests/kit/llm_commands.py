r"""Commands that call LLMs, run as a person types them: between them and both providers stands a real sidecar.

async with place() as p:
    done = await p.run(send, "hi there", stream=True)
    assert (done.code, done.out) == (0, "You said: hi there\n")
"""

from __future__ import annotations

import asyncio
import io
import sys
from contextlib import asynccontextmanager, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sidecar.cli.llm.asking import Wishes
from sidecar.cli.trouble import Trouble
from sidecar.standins.anthropic import AnthropicStandin
from sidecar.standins.openai import OpenAIStandin
from tests.kit.running import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.kit.running import Running

MODELS = """
[models.smart]
chain = ["openai/gpt-4o", "anthropic/claude-sonnet-4-6"]
[models.clever]
chain = ["anthropic/claude-opus-4-6"]
"""
POLICY = """
[listen]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
{listen}
[policies.default.retry]
backoff = "1ms"
max_backoff = "2ms"
[upstreams.openai]
protocol = "openai"
url = "{openai}"
{openai_more}
[upstreams.anthropic]
protocol = "anthropic"
url = "{anthropic}"
api_key = "sk-ours-anthropic"
[upstreams.shop]
url = "http://127.0.0.1:9"
[routes.shop]
match = {{ path = "/shop" }}
chain = ["shop"]
[routes.llm]
match = {{ path = "/v1/*" }}
chain = ["openai"]
{route}
[routes.anthropic]
match = {{ path = "/v1/*", headers = {{ anthropic-version = "*" }} }}
chain = ["anthropic"]
{models}
"""


class Done(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@dataclass
class Place:
    """All that plays. `environ` is what the command finds there."""

    openai: OpenAIStandin
    anthropic: AnthropicStandin
    sidecar: Running
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> tuple[int, int]:
        """How many requests OpenAI and Anthropic have got."""
        return self.openai.count, self.anthropic.count

    async def run(self, work: Callable[..., int], *arguments: Any, stdin: str = "", **flags: Any) -> Done:
        """A command whose last argument are `Wishes`; `as_json` is handed on, other flags are the wishes'."""
        more = {"as_json": flags.pop("as_json")} if "as_json" in flags else {}
        return await run(work, *arguments, Wishes(**flags), stdin=stdin, environ=self.environ, **more)


async def run(work: Callable[..., int], *arguments: Any, stdin: str = "", **named: Any) -> Done:
    """In a thread, as commands block; nobody types."""
    out, err = io.StringIO(), io.StringIO()

    def ran() -> int:
        try:
            return work(*arguments, **named)
        except Trouble as trouble:
            print(f"sidecar: {trouble}", file=err)
            return trouble.code

    with redirect_stdout(out), redirect_stderr(err), _typed(stdin):
        code = await asyncio.to_thread(ran)
    return Done(code, out.getvalue(), err.getvalue())


@contextmanager
def _typed(text: str) -> Iterator[None]:
    kept, sys.stdin = sys.stdin, io.StringIO(text)
    try:
        yield
    finally:
        sys.stdin = kept


@asynccontextmanager
async def place(
    *, listen: str = "", openai: str = 'api_key = "sk-ours-openai"', route: str = "", models: str = MODELS
) -> AsyncIterator[Place]:
    """Lines for the policy file by where they stand."""
    async with OpenAIStandin() as first, AnthropicStandin() as second:
        urls = {"openai": first.api, "anthropic": second.api}
        policy = POLICY.format(**urls, listen=listen, openai_more=openai, route=route, models=models)
        async with running(policy) as sidecar:
            yield Place(first, second, sidecar, {"SIDECAR_ADMIN": sidecar.admin})
