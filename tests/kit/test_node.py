"""Node for tests: where its packages come from, and what happens on a machine without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.node import WANTED, Node, node_with_sdks

if TYPE_CHECKING:
    from pathlib import Path


def packages(folder: Path, *names: str) -> Path:
    modules = folder / "node_modules"
    for name in names:
        (modules / name).mkdir(parents=True)
        (modules / name / "package.json").write_text("{}")
    return modules


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which commands are found; programs called `node` and `npm` are in it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("node", "npm"):
        (folder / tool).write_text("#!/bin/sh\necho 'no way to the registry' >&2\nexit 1\n")
        (folder / tool).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("SIDECAR_NODE_MODULES", raising=False)
    monkeypatch.delenv("CI", raising=False)
    return folder


async def test_a_module_imports_both_sdks_and_reads_its_environment(node: Node) -> None:
    script = """
        import OpenAI from "openai";
        import Anthropic from "@anthropic-ai/sdk";
        const chat = new OpenAI({ apiKey: "none" }), messages = new Anthropic({ apiKey: "none" });
        console.log(await Promise.resolve(chat.baseURL), messages.baseURL);
    """
    printed = await node(script, {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1", "ANTHROPIC_BASE_URL": "http://localhost"})
    assert printed == "http://127.0.0.1:1/v1 http://localhost\n"


async def test_a_module_that_throws_fails_its_test_with_what_it_said(node: Node) -> None:
    with pytest.raises(AssertionError, match="what is wrong here"):
        await node("throw new Error('what is wrong here')")


async def test_a_module_that_does_not_end_is_ended(node: Node) -> None:
    with pytest.raises(TimeoutError):
        await node("setTimeout(() => {}, 60_000)", seconds=0.2)


def test_the_folder_of_the_environment_is_taken(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = packages(tmp_path / "given", *WANTED)
    monkeypatch.setenv("SIDECAR_NODE_MODULES", str(modules))
    assert node_with_sdks(tmp_path).modules == modules


@pytest.mark.parametrize("tool", ["node", "npm"])
def test_without_the_tool_it_is_skipped(path: Path, tmp_path: Path, tool: str) -> None:
    (path / tool).unlink()
    with pytest.raises(pytest.skip.Exception, match=f"no {tool}"):
        node_with_sdks(tmp_path)


def test_without_a_way_to_the_packages_it_is_skipped(path: Path, tmp_path: Path) -> None:
    with pytest.raises(pytest.skip.Exception, match="no way to the registry"):
        node_with_sdks(tmp_path)


def test_a_folder_that_lacks_a_package_is_not_enough(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIDECAR_NODE_MODULES", str(packages(tmp_path, "openai")))
    with pytest.raises(pytest.skip.Exception, match="has no @anthropic-ai/sdk"):
        node_with_sdks(tmp_path)


def test_in_ci_nothing_is_skipped(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    (path / "node").unlink()
    with pytest.raises(pytest.fail.Exception, match="no node"):
        node_with_sdks(tmp_path)
