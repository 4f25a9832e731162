"""What changes under a pod that runs: its ConfigMap, its Secret. The kubelet turns `..data`; no call is lost."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.kit.bare_root import BareRoot
from tests.kit.caller import PATIENCE
from tests.kit.commands import ROOT
from tests.kit.manifests import built
from tests.kit.pod import Pod
from tests.kit.pod_upstreams import upstreams
from tests.kit.scripted import scripted

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.pod import Container

EXAMPLE = ROOT / "examples" / "kubernetes"
HEADER = '[upstreams.catalog]\nheaders = { X-Policy = "second" }\n'


async def live(pod: Pod) -> int:
    """Wait until what the ConfigMap holds is what runs: its generation."""
    wait = {"wait": hashlib.sha256(pod.text.encode()).hexdigest(), "timeout": f"{PATIENCE}s"}
    async with aiohttp.ClientSession(pod.admin) as admin, admin.get("/config", params=wait) as answer:
        assert answer.status == 200, await answer.text()
        return int((await answer.json())["generation"])


@pytest.fixture
def bare() -> BareRoot:
    """As the manifest's securityContext has it."""
    return BareRoot(built(EXAMPLE / "base").sidecar["securityContext"]["runAsUser"])


async def test_on_a_read_only_root_it_runs_reloads_logs_and_ends(tmp_path: Path, bare: BareRoot) -> None:
    async with upstreams() as env, Pod(built(EXAMPLE / "base"), tmp_path, env, bare) as pod:
        sidecar = await pod.sidecar()
        nothing_is_allowed(sidecar)
        app = await pod.app()
        first = pod.text
        pod.config_map(first.replace("[upstreams.catalog]\n", HEADER))
        assert await live(pod) == 2
        pod.config_map(first + "\n[routes.mistake\n")
        await sidecar.said("was not taken")
        assert await pod.probe("readinessProbe") == 200
        pod.config_map(first.replace("[upstreams.catalog]\n", HEADER) + "# mended\n")
        assert await live(pod) == 3
        app.terminate()
        report = await app.report()
        assert report["failures"] == []
        assert report["generations"][-1] == 3
        assert "second" in report["policies"]
        assert await sidecar.stopped(grace=PATIENCE) == 0
        await sidecar.said("ended")
        (mistake,) = [line for line in sidecar.lines if '"level":"info"' not in line]
        assert "was not taken: /etc/sidecar/sidecar.toml:" in mistake


def nothing_is_allowed(sidecar: Container) -> None:
    """The process has the manifest's user, no capability, and no place to write."""
    status = sidecar.status()
    assert status["Uid"].split() == status["Gid"].split() == ["65532"] * 4
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    mounts = sidecar.mounts()
    assert "/etc/sidecar" in mounts
    assert [mount for mount, options in mounts.items() if "ro" not in options] == []


async def test_a_rotated_key_counts_for_the_next_call(tmp_path: Path, bare: BareRoot) -> None:
    async with (
        scripted() as provider,
        Pod(built(EXAMPLE / "overlays" / "llm"), tmp_path, {"OPENAI_URL": f"{provider.url}/v1"}, bare) as pod,
    ):
        pod.secret("provider-keys", {"openai": "sk-old\n", "anthropic": "sk-none\n"})
        sidecar = await pod.sidecar()
        await ask(pod)
        pod.secret("provider-keys", {"openai": "sk-new\n", "anthropic": "sk-none\n"})
        await sidecar.said("was taken")
        await ask(pod)
        assert [provider.fields(call)["authorization"] for call in range(2)] == ["Bearer sk-old", "Bearer sk-new"]
        assert await sidecar.stopped(grace=PATIENCE) == 0
        assert "sk-" not in "".join(sidecar.lines)


async def ask(pod: Pod) -> None:
    async with aiohttp.ClientSession(pod.url) as app, app.get("/v1/files") as answer:
        assert answer.status == 200, await answer.text()
