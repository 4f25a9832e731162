"""What the README of examples/kubernetes tells people to type, typed, and what its manifests share with the image."""

from __future__ import annotations

import copy
import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.kit.commands import ROOT
from tests.kit.manifests import KUBECTL, NEWEST, built, mistakes
from tests.kit.transcript import blocks, terminal

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = ROOT / "examples" / "kubernetes"


@pytest.mark.timeout(120)
async def test_the_readme_is_a_session_that_goes_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{KUBECTL.parent}{os.pathsep}{os.environ['PATH']}")
    async with terminal(tmp_path) as shell:
        shell.place(*(str(file.relative_to(ROOT)) for file in EXAMPLE.rglob("*") if file.is_file()))
        for block in blocks(EXAMPLE / "README.md"):
            await shell.type(block)
    assert sorted(os.listdir(tmp_path)) == [".venv", "examples"]  # noqa: PTH208 - the test waits for it anyway


def test_what_needs_a_cluster_is_marked_as_such() -> None:
    here, cluster = (EXAMPLE / "README.md").read_text().split("\n## With a cluster\n")
    assert "```console" not in here
    assert "```sh" not in cluster


@pytest.mark.parametrize("folder", ["overlays/llm", "overlays/job"])
def test_a_field_that_nobody_knows_would_be_found(folder: str) -> None:
    """The models of the Prometheus Operator take 1.5 s to import: this test alone reads a PodMonitor."""
    for each in built(EXAMPLE / folder).objects:
        assert mistakes(each, NEWEST) == []
        wrong = copy.deepcopy(each)
        wrong["dada"] = {}
        if "spec" in wrong:
            wrong["spec"]["selektor"] = {}
        assert len(mistakes(wrong, NEWEST)) == 1 + ("spec" in wrong)


def test_the_manifests_and_the_image_say_the_same() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    said = dict(re.findall(r"^(USER|WORKDIR|ENTRYPOINT|CMD) (.+)$", dockerfile, re.MULTILINE))
    sidecar = built(EXAMPLE / "base").sidecar
    context = sidecar["securityContext"]
    assert said["USER"] == f"{context['runAsUser']}:{context['runAsGroup']}"
    assert said["WORKDIR"] == "/"
    assert json.loads(said["ENTRYPOINT"]) == ["sidecar"]
    assert json.loads(said["CMD"]) == sidecar["args"]
    assert "command" not in sidecar
