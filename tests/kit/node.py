"""Programs on Node with the providers' own SDKs for it: the packages that examples/llm-fallback pins.

They lie in `$SIDECAR_NODE_MODULES` (a folder called `node_modules`), which `.ci/run` fills;
without it npm installs them once into a folder that the workers of a run share. On a
machine without Node, or without a way to the packages, a test that asks for it is
skipped; where `CI` is set it fails: there somebody counts on it.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.kit.commands import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGES = ROOT / "examples" / "llm-fallback" / "package.json"
INSTALL = ("npm", "install", "--no-package-lock", "--no-audit", "--no-fund")
"""As the example's README says it, to be run where package.json is."""
WANTED = ("openai", "@anthropic-ai/sdk")


class Node:
    """`output = await node(script, {"OPENAI_BASE_URL": …})`: what a module of this text prints."""

    def __init__(self, modules: Path) -> None:
        self.modules = modules

    async def __call__(self, script: str, env: Mapping[str, str] | None = None, *, seconds: float = 60) -> str:
        """Run `script` (an ES module; `await` at its top is fine). It must end well; what it wrote to stdout."""
        running = await asyncio.create_subprocess_exec(
            *("node", "--input-type=module", "-"),
            cwd=self.modules.parent,  # a module that comes by stdin finds its imports from here
            env={**os.environ, **(env or {})},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(seconds):
                out, err = await running.communicate(script.encode())
        finally:
            if running.returncode is None:
                running.kill()
                await running.wait()
        assert running.returncode == 0, f"{script}\n{out.decode()}\n{err.decode()}"
        return out.decode()


def node_with_sdks(shared: Path) -> Node:
    """Node, and the packages: those of the environment, or installed below `shared`, once for all who name it."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            _missing(f"there is no {tool} on this machine")
    told = os.environ.get("SIDECAR_NODE_MODULES")
    modules = Path(told) if told else _installed(shared)
    for package in WANTED:
        if not (modules / package / "package.json").is_file():
            _missing(f"{modules} has no {package}")
    return Node(modules)


def _installed(shared: Path) -> Path:
    packages = PACKAGES.read_bytes()
    folder = shared / f"node-{hashlib.sha256(packages).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / "done"
        if not done.exists():
            (folder / "package.json").write_bytes(packages)
            ended = subprocess.run(INSTALL, cwd=folder, capture_output=True, text=True, timeout=50, check=False)
            if ended.returncode != 0:
                _missing(f"npm could not install the packages: {ended.stderr}")
            done.touch()
    return folder / "node_modules"


def _missing(why: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
