"""The examples, run as their README says: every command, in order, with curl."""

from __future__ import annotations

import json
import runpy
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.kit.addresses import free_port
from tests.kit.commands import PYTHON, ROOT, SIDECAR, answers, process, shell, shell_blocks
from tests.kit.node import INSTALL
from tests.kit.tools import tool
from tests.kit.transcript import blocks, terminal

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.kit.node import Node

GATEWAY = ROOT / "examples" / "ai-gateway"
BEAMLINE = ROOT / "examples" / "beamline"
FALLBACK = ROOT / "examples" / "llm-fallback"
FLEET = ROOT / "examples" / "fleet"
VARIABLES = {
    "recommendations": "RECOMMENDATION_SERVICE_URL",
    "search": "SEARCH_SERVICE_URL",
    "pricing": "PRICING_SERVICE_URL",
    "chat": "CHATBOT_SERVICE_URL",
    "fraud": "FRAUD_SERVICE_URL",
    "forecast": "FORECAST_SERVICE_URL",
    "vision": "VISION_SERVICE_URL",
}


async def addresses(services: Process) -> dict[str, str]:
    """Where the services say they are: a line each, `NAME URL FAULT`."""
    assert services.stdout is not None
    lines = [(await services.stdout.readline()).decode().split() for _ in VARIABLES]
    return {name: url for name, url, _ in lines}


class Gateway:
    """The example, running on ports of its own; `run` types one of its README's commands."""

    def __init__(self, http: int, admin: int, urls: dict[str, str]) -> None:
        self.places = {"http://127.0.0.1:7070": f"http://127.0.0.1:{http}"}
        self.places |= {"http://127.0.0.1:7072": f"http://127.0.0.1:{admin}"}
        self.places |= {f"http://127.0.0.1:{9101 + at}": urls[name] for at, name in enumerate(VARIABLES)}

    async def run(self, script: str) -> str:
        for written, real in self.places.items():
            script = script.replace(written, real)
        return await shell(script)

    async def curl(self, path: str, *options: str) -> str:
        return await self.run(f"curl -sS {' '.join(options)} 'http://127.0.0.1:7070/api/v1/{path}'")

    async def trouble(self, port: int, fault: dict[str, object]) -> None:
        await self.run(f"curl -fsS 'http://127.0.0.1:{port}/_fault' -d '{json.dumps(fault)}'")


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    http, admin = free_port(), free_port()
    async with process(PYTHON, "examples/ai-gateway/services.py", "--port", "0") as services:
        urls = await addresses(services)
        env = {VARIABLES[name]: url for name, url in urls.items()} | {
            "SIDECAR_LISTEN_HTTP": f"127.0.0.1:{http}",
            "SIDECAR_LISTEN_ADMIN": f"127.0.0.1:{admin}",
            "RATE_LIMIT_PER_MINUTE": "20",
            "CIRCUIT_BREAKER_FAILURE_THRESHOLD": "3",
        }
        async with process(SIDECAR, "run", "-c", "examples/ai-gateway/sidecar.toml", env=env):
            await answers(f"http://127.0.0.1:{admin}/readyz")
            yield Gateway(http, admin, urls)


async def test_every_command_of_the_readme_does_what_it_says(gateway: Gateway) -> None:
    start, sidecar, well, chat, search, fraud, recommendations = shell_blocks(GATEWAY / "README.md")
    assert start.endswith("services.py\n")
    assert sidecar.endswith("sidecar.toml\n")

    told = await gateway.run(well)
    for sign in ('"source": "model"', '"hits"', '"unit_price"', '"unusual amount"', '"daily"', '"confidence"'):
        assert sign in told

    told = await gateway.run(chat)
    assert told.startswith('data: {"delta": "Your "}\n\n')
    assert told.endswith('data: {"finished": true}\n\n')

    told = await gateway.run(search)
    assert told.count("HTTP/1.1 200 OK") == 2
    assert told.lower().count("x-sidecar-attempts: 2") == 1

    told = await gateway.run(fraud)
    assert '"decision": "review"' in told
    assert "x-sidecar-upstream: static" in told.lower()
    assert "x-sidecar-attempts: 1\r" in told.lower()  # "after half a second": one timeout, not one for each try

    told = await gateway.run(recommendations)
    assert '"source": "popular"' in told
    assert '"recommendations"' in told


async def test_a_caller_beyond_its_rate_is_told_when_to_come_back(gateway: Gateway) -> None:
    answered = [await gateway.curl("search/products?q=mug", "-i", "-H 'X-API-Key: greedy'") for _ in range(21)]
    assert all(answer.startswith("HTTP/1.1 200") for answer in answered[:20])
    assert answered[20].startswith("HTTP/1.1 429")
    assert "retry-after:" in answered[20].lower()
    other = await gateway.curl("search/products?q=mug", "-i", "-H 'X-API-Key: modest'")
    assert other.startswith("HTTP/1.1 200")


async def test_the_breaker_opens_at_the_threshold_of_the_environment(gateway: Gateway) -> None:
    await gateway.trouble(9106, {"kind": "fail"})
    for _ in range(3):
        await gateway.curl("forecast/daily")
    breakers = json.loads(await gateway.run("curl -fsS 'http://127.0.0.1:7072/circuit-breakers'"))
    assert breakers["forecast"]["state"] == "open"
    assert '"circuit_open"' in await gateway.curl("forecast/daily")


async def test_a_chat_message_is_never_sent_twice(gateway: Gateway) -> None:
    await gateway.trouble(9104, {"kind": "reset"})
    told = await gateway.curl("chat/messages", "-i", """-d '{"message": "hello"}'""")
    assert told.startswith("HTTP/1.1 503")
    assert "may not have arrived" in told
    counts = json.loads(await gateway.run("curl -fsS 'http://127.0.0.1:9104/_fault'"))
    assert counts["requests"] == 1


@pytest.mark.timeout(120)
async def test_the_beamlines_readme_is_a_session_that_goes_as_it_says(tmp_path: Path) -> None:
    async with terminal(tmp_path) as shell:
        shell.place(*(f"examples/beamline/{file.name}" for file in BEAMLINE.iterdir() if file.is_file()))
        for block in blocks(BEAMLINE / "README.md"):
            await shell.type(block)


@pytest.mark.timeout(120)
async def test_an_outage_of_either_llm_provider_goes_with_each_sdk_as_its_readme_says(
    tmp_path: Path, node: Node
) -> None:
    async with terminal(tmp_path) as shell:
        shell.place(*(f"examples/llm-fallback/{file.name}" for file in FALLBACK.iterdir() if file.is_file()))
        (tmp_path / "examples" / "llm-fallback" / "node_modules").symlink_to(node.modules)
        for block in blocks(FALLBACK / "README.md"):
            await shell.type(block)


@pytest.mark.timeout(120)
async def test_on_a_machine_without_node_the_example_says_so_and_goes_on_with_python(tmp_path: Path) -> None:
    async with process(PYTHON, str(FALLBACK / "run.py"), env={"PATH": str(tmp_path)}) as example:
        out, _ = await example.communicate()
    told = out.decode()
    assert example.returncode == 0, told
    assert told.startswith("The SDKs for Node are left out: there is no node here.\n")
    assert "openai, Python" in told
    assert ", Node" not in told
    assert told.endswith("No answer was lost.\n")


async def test_two_sidecars_hold_one_limit_as_the_fleets_readme_says(tmp_path: Path) -> None:
    tool("redis-server", "valkey-server")
    async with terminal(tmp_path) as shell:
        shell.place(*(f"examples/fleet/{file.name}" for file in FLEET.iterdir() if file.is_file()))
        (block,) = blocks(FLEET / "README.md")
        printed = await shell.type(block)
    assert len(printed.splitlines()) == len(block.shown)


class StandsStill:
    """A sidecar of the fleet on a machine that stood still once: all of its first customer's calls passed."""

    name = "sidecar"

    def __init__(self) -> None:
        self.customers: list[str] = []

    async def call(self, _: str, customer: str) -> int:
        self.customers.append(customer)
        return 200 if customer == self.customers[0] or self.customers.count(customer) <= 10 else 429

    async def alone(self) -> int:
        return 20 if self.customers else 0

    async def limits(self) -> str:
        return "ok"


async def test_what_a_sidecar_has_counted_alone_is_not_taken_for_the_limit_of_both(
    capsys: pytest.CaptureFixture[str],
) -> None:
    story = runpy.run_path(str(FLEET / "run.py"))["Story"]([StandsStill()])
    await story.share("ada")
    assert story.wrong == []
    assert capsys.readouterr().out == "  ada: 10 of 20 calls passed (10 by sidecar)\n"


async def test_on_a_machine_without_redis_the_example_says_what_brings_it(tmp_path: Path) -> None:
    async with process(PYTHON, str(FLEET / "run.py"), env={"PATH": str(tmp_path)}) as example:
        out, _ = await example.communicate()
    assert example.returncode == 2
    assert b"apt-get install redis-server" in out


async def test_without_the_client_for_redis_the_example_says_what_brings_it(tmp_path: Path) -> None:
    (tmp_path / "redis-server").touch(mode=0o755)
    hidden = "import runpy, sys; sys.modules['redis'] = None; runpy.run_path(sys.argv[1], run_name='__main__')"
    async with process(PYTHON, "-c", hidden, str(FLEET / "run.py"), env={"PATH": str(tmp_path)}) as example:
        out, _ = await example.communicate()
    assert example.returncode == 2
    assert b"-m pip install 'sidecar-proxy[redis]'\n" in out


def test_the_packages_for_node_are_installed_in_tests_as_the_readme_says() -> None:
    assert f"`{' '.join(INSTALL[:3])}`" in (FALLBACK / "README.md").read_text()


@pytest.mark.parametrize(("folder", "count"), [(GATEWAY, len(VARIABLES) + 6), (BEAMLINE, 7), (FALLBACK, 6), (FLEET, 4)])
def test_the_readme_names_every_variable_with_its_default(folder: Path, count: int) -> None:
    policy = (folder / "sidecar.toml").read_text()
    readme = (folder / "README.md").read_text()
    tomllib.loads(policy)
    rows = [line.split("|")[1:4] for line in readme.splitlines() if line.startswith("| `")]
    for variable, _, default in rows:
        assert f"${{{variable.strip(' `')}:-{default.strip(' `')}}}" in policy
    assert len(rows) == policy.count("${") == count
