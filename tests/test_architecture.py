"""The shape of the house, held by machine (`docs/design.md`, "The house").

Everything here reads the source as a tree; only one test imports it. A table that
changes below is a decision: it belongs in the commit that needs it, with its reason.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache

import pytest

from tests.kit.source_tree import ROOT, SOURCE, imports, modules, names_used, ours, tree, under

# Which floor a room stands on. A module lives in the room with the longest matching name; a name that ends in `*`
# also takes `name_…` and what is below it. Modules of one room may use each other, other rooms only if lower.
FLOORS: dict[str, int] = {
    "sidecar": 0,
    "sidecar.errors": 0,
    "sidecar.call": 0,
    "sidecar.body": 0,
    "sidecar.llm": 0,
    "sidecar.replies": 0,
    "sidecar.quota": 0,
    "sidecar.extras": 0,
    "sidecar.pb": 0,
    "sidecar.settings*": 1,
    "sidecar.access": 1,
    "sidecar.ids": 1,
    "sidecar.retry_after": 1,
    "sidecar.turns": 1,
    "sidecar.http1": 1,
    "sidecar.dialects": 1,
    "sidecar.config": 2,
    "sidecar.policy": 2,
    "sidecar.engine": 3,
    "sidecar.upstreams": 4,
    "sidecar.listeners": 4,
    "sidecar.telemetry": 4,
    "sidecar.stores": 4,
    "sidecar.runtime": 5,
    "sidecar.parts": 5,
    "sidecar.wiring": 5,
    "sidecar.wiring_grpc": 5,
    "sidecar.wiring_llm": 5,
    "sidecar.services": 5,
    "sidecar.targets": 5,
    "sidecar.route_facts": 5,
    "sidecar.described": 5,
    "sidecar.explaining": 5,
    "sidecar.explained_policy": 5,
    "sidecar.surroundings": 5,
    "sidecar.rehearsal": 5,
    "sidecar.methods": 5,
    "sidecar.standins": 5,
    "sidecar.admin": 6,
    "sidecar.daemon": 7,
    "sidecar.accepting": 7,
    "sidecar.descriptors": 7,
    "sidecar.listening": 7,
    "sidecar.doors": 7,
    "sidecar.reloading": 7,
    "sidecar.watching": 7,
    "sidecar.view": 7,
    "sidecar.vitals": 7,
    "sidecar.live": 7,
    "sidecar.live_frames": 7,
    "sidecar.cli": 8,
    "sidecar.__main__": 9,
}
# Rooms that are one room in several files.
ONE_ROOM: dict[str, str] = {
    "sidecar.errors": "words",
    "sidecar.call": "words",
    "sidecar.body": "words",
    "sidecar.llm": "words",
    "sidecar.replies": "words",
    "sidecar.quota": "words",
    "sidecar.runtime": "object graph",
    "sidecar.parts": "object graph",
    "sidecar.wiring": "object graph",
    "sidecar.wiring_grpc": "object graph",
    "sidecar.wiring_llm": "object graph",
    "sidecar.services": "object graph",
    "sidecar.targets": "object graph",
    "sidecar.route_facts": "object graph",
    "sidecar.described": "object graph",
    "sidecar.explaining": "object graph",
    "sidecar.explained_policy": "object graph",
    "sidecar.surroundings": "object graph",
    "sidecar.rehearsal": "object graph",
    "sidecar.methods": "object graph",
    "sidecar.daemon": "process",
    "sidecar.accepting": "process",
    "sidecar.descriptors": "process",
    "sidecar.listening": "process",
    "sidecar.doors": "process",
    "sidecar.reloading": "process",
    "sidecar.watching": "process",
    "sidecar.view": "process",
    "sidecar.vitals": "process",
    "sidecar.live": "process",
    "sidecar.live_frames": "process",
}
# What a room may not use although it is lower. An upstream or a listener that knew the engine or a policy could make a
# second attempt loop; the engine turns no wire.
FORBIDDEN: dict[str, tuple[str, ...]] = {
    "sidecar.policy": ("sidecar.http1", "sidecar.dialects", "sidecar.config"),
    "sidecar.engine": ("sidecar.http1", "sidecar.dialects", "sidecar.config"),
    "sidecar.upstreams": ("sidecar.engine", "sidecar.policy", "sidecar.config"),
    "sidecar.listeners": ("sidecar.engine", "sidecar.policy", "sidecar.config"),
}

# The only homes of each third-party package. A package that is not here has no home yet.
HOMES: dict[str, tuple[str, ...]] = {
    "aiohttp": ("sidecar.admin", "sidecar.cli", "sidecar.standins"),
    "aiolimiter": ("sidecar.policy.limiter",),
    "google": (
        "sidecar.pb",
        "sidecar.dialects.decide*",
        "sidecar.dialects.refusal",
        "sidecar.upstreams.reflection_answers",
        "sidecar.telemetry.otlp",
        "sidecar.standins",
    ),
    "grpc": (
        "sidecar.listeners.grpc",
        "sidecar.listeners.grpc_health",
        "sidecar.listeners.grpc_server",
        "sidecar.upstreams.grpc",
        "sidecar.upstreams.grpc_stream",
        "sidecar.upstreams.reflection",
        "sidecar.standins",
    ),
    "grpc_health": ("sidecar.listeners.grpc_health", "sidecar.standins"),
    "httptools": ("sidecar.http1",),
    "opentelemetry": ("sidecar.telemetry",),
    "orjson": (
        "sidecar.dialects",
        "sidecar.listeners",
        "sidecar.upstreams.llm*",
        "sidecar.telemetry",
        "sidecar.stores",
        "sidecar.admin",
        "sidecar.daemon",
        "sidecar.cli",
    ),
    "prometheus_client": ("sidecar.telemetry",),
    "pybreaker": ("sidecar.policy.breaker_library",),
    "pydantic": ("sidecar.settings*", "sidecar.config"),
    "pydantic_core": ("sidecar.settings*", "sidecar.config"),
    "redis": ("sidecar.stores",),
    "requests": ("sidecar.telemetry.otlp",),
    "rich": ("sidecar.cli",),
    "typer": ("sidecar.cli",),
    "urllib3": ("sidecar.telemetry.otlp",),
    "uvloop": ("sidecar.daemon", "sidecar.cli"),
    "watchfiles": ("sidecar.watching",),
}

# Who may start a task, and why it needs one. A call has no task but its connection's own.
TASKS: dict[str, str] = {
    "sidecar.http1.server": "one for each caller connection",
    "sidecar.http1.dial": "a name is looked up for all who wait for it; two addresses race",
    "sidecar.upstreams.body_sender": "a body that is still coming is sent while its reply is awaited",
    "sidecar.upstreams.grpc_stream": "messages go up while the reply comes down; the first one is awaited with a limit",
    "sidecar.upstreams.grpc": "a retired channel is closed when its last call has ended",
    "sidecar.listeners.grpc": "one read of a message, which all attempts of a call share",
    "sidecar.upstreams.reflection": "one for each grpc upstream, until it has answered: calls wait for none of it",
    "sidecar.upstreams.health": "one for each checked upstream",
    "sidecar.stores.redis_store": "what calls ask of Redis goes as one; a call that leaves must not take it along",
    "sidecar.stores.news_wire": "breaker news: one listens, one tells",
    "sidecar.accepting": "not on the data path",
    "sidecar.standins": "not on the data path",
    "sidecar.admin": "not on the data path",
    "sidecar.daemon": "the life of the process",
    "sidecar.doors": "while a gRPC door closes, C-core is watched for what it holds",
    "sidecar.listening": "an address that was left: its calls end in the background",
    "sidecar.reloading": "a reload that somebody has asked for goes on though that one leaves",
    "sidecar.live": "one for all who listen to GET /live, while somebody does",
    "sidecar.cli": "not on the data path",
}

# Clocks and chance come as arguments here (rule 2).
INJECTED = {"time.time", "time.monotonic", "time.perf_counter", "random.random", "random.uniform", "datetime.now"}

# Sources whose tests stand somewhere else than at the mirrored place, and where.
TESTED_IN: dict[str, str] = {
    "sidecar.quota": "tests/engine/test_shared_limits.py",  # words alone
    "sidecar.standins.raw": "tests/standins/test_http.py",  # bytes are shown where they are sent
    "sidecar.standins.demo_policy": "tests/standins/test_demo.py",
}

LONGEST = 400


@cache
def room(module: str) -> str:
    """The room's name in `FLOORS`; a module without one fails here."""
    rooms = [name for name in FLOORS if under(module, name) and (name != "sidecar" or module == "sidecar")]
    assert rooms, f"{module} stands on no floor: give it one in FLOORS"
    return max(rooms, key=len)


def test_an_import_only_goes_down() -> None:
    wrong = []
    for found in ours():
        here, there = room(found.module), room(found.target)
        same = ONE_ROOM.get(here, here) == ONE_ROOM.get(there, there)
        if not same and FLOORS[there] >= FLOORS[here] and there != "sidecar":
            wrong.append(f"{found} (floor {FLOORS[here]} to {FLOORS[there]})")
    assert wrong == []


def test_the_rooms_that_must_not_know_each_other_do_not() -> None:
    wrong = [
        str(found)
        for found in ours()
        for name in FORBIDDEN.get(room(found.module), ())
        if under(found.target, name) and not found.typing_only
    ]
    assert wrong == []


def test_nothing_imports_in_a_circle() -> None:
    graph = {module: {found.target for found in imports(module) if not found.typing_only} for module in modules()}
    done: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join((*path, module))
        if module in done:
            return
        for target in sorted(graph.get(module, set()) & set(graph)):
            walk(target, (*path, module))
        done.add(module)

    for module in graph:
        walk(module, ())


def test_third_parties_stay_at_home() -> None:
    wrong = []
    for module in modules():
        for found in imports(module):
            package = found.target.split(".")[0]
            if package == "sidecar" or package in sys.stdlib_module_names:
                continue
            if not any(under(module, home) for home in HOMES.get(package, ())):
                wrong.append(str(found))
    assert wrong == []


def test_imports_stand_at_the_top_except_where_a_command_must_start_fast() -> None:
    wrong = [
        str(found)
        for module in modules()
        for found in imports(module)
        if found.inside_function and not under(module, "sidecar.cli")
    ]
    assert wrong == []


def test_importing_does_no_work() -> None:
    """A module's body defines and names things; a call for its effect, a loop or a `with` is work."""
    wrong = [
        f"{module}:{node.lineno}"
        for module in modules()
        if not under(module, "sidecar.pb")  # protoc's own way of defining
        for node in tree(module).body
        if isinstance(node, ast.For | ast.While | ast.With | ast.AsyncFor | ast.AsyncWith)
        or (isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant))
    ]
    assert wrong == []


@pytest.mark.timeout(180)
def test_every_module_imports_alone() -> None:
    """One interpreter, emptied of our modules before each import: an order that happens to work hides nothing.

    Six thousand imports; each module is compiled once.
    """
    script = (
        "import functools, gc, importlib, sys\n"
        "gc.disable()\n"
        "from importlib.machinery import SourceFileLoader\n"
        "SourceFileLoader.get_code = functools.cache(SourceFileLoader.get_code)\n"
        "for name in sys.argv[1:]:\n"
        "    for known in [m for m in sys.modules if m.partition('.')[0] == 'sidecar']:\n"
        "        del sys.modules[known]\n"
        "    importlib.import_module(name)\n"
    )
    names = [name for name in modules() if not name.endswith("__main__")]
    command = [sys.executable, "-W", "error", "-c", script, *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("room_name", ["sidecar.policy", "sidecar.engine"])
def test_decisions_take_their_clock_and_their_chance_as_arguments(room_name: str) -> None:
    wrong = [
        f"{module}:{line} {name}"
        for module in modules()
        if under(module, room_name)
        for name, line in names_used(module)
        if name in INJECTED or name.startswith("datetime.datetime.now")
    ]
    assert wrong == []


def test_policies_never_await() -> None:
    wrong = [
        f"{module}:{node.lineno}"
        for module in modules()
        if under(module, "sidecar.policy")
        for node in ast.walk(tree(module))
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncWith | ast.AsyncFor)
    ]
    assert wrong == []


def test_tasks_are_started_only_where_a_reason_is_named() -> None:
    wrong = [
        f"{module}:{line} {name}"
        for module in modules()
        if not any(under(module, allowed) for allowed in TASKS)
        for name, line in names_used(module)
        if name.rpartition(".")[2] in {"create_task", "ensure_future", "TaskGroup"}
    ]
    assert wrong == []


def test_nothing_waits_with_wait_for() -> None:
    """It costs 11 µs and a task, and it can swallow a cancellation (rule 7)."""
    wrong = [
        f"{module}:{line}" for module in modules() for name, line in names_used(module) if name == "asyncio.wait_for"
    ]
    assert wrong == []


def test_a_file_holds_one_idea() -> None:
    files = [*modules().values(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")]
    long = {
        str(path.relative_to(ROOT)): count
        for path in files
        if "pb" not in path.parts and (count := len(path.read_text().splitlines())) > LONGEST
    }
    assert long == {}


def test_every_source_file_has_its_tests() -> None:
    """`sidecar/a/b.py` is tested by `tests/a/test_b.py` or `tests/a/test_b_….py`, or by what `TESTED_IN` names."""
    missing = []
    for module, path in modules().items():
        if path.name in {"__init__.py", "__main__.py"} or under(module, "sidecar.pb"):
            continue
        if module in TESTED_IN:
            assert (ROOT / TESTED_IN[module]).exists(), f"{TESTED_IN[module]} is gone"
            continue
        folder = ROOT / "tests" / path.relative_to(SOURCE).parent
        if not [*folder.glob(f"test_{path.stem}.py"), *folder.glob(f"test_{path.stem}_*.py")]:
            missing.append(f"{module}: {folder.relative_to(ROOT)}/test_{path.stem}.py")
    assert missing == []
