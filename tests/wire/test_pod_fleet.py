"""A pod of the fleet while its Redis is away: that is no reason not to start, and none not to be ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

from tests.kit.addresses import free_port
from tests.kit.caller import PATIENCE
from tests.kit.commands import ROOT
from tests.kit.manifests import built, quantity
from tests.kit.pod import Pod
from tests.kit.pod_upstreams import upstreams

if TYPE_CHECKING:
    from pathlib import Path


async def test_without_its_redis_a_pod_starts_is_ready_and_serves(tmp_path: Path) -> None:
    fleet = built(ROOT / "examples" / "kubernetes" / "overlays" / "fleet")
    async with upstreams() as env, Pod(fleet, tmp_path, env) as pod:
        pod.secret("redis", {"url": f"redis://127.0.0.1:{free_port()}/0\n"})
        sidecar = await pod.sidecar()
        async with aiohttp.ClientSession(pod.url) as app, app.get("/api/items") as answer:
            assert answer.status == 200, await answer.text()
        assert await pod.probe("readinessProbe") == await pod.probe("livenessProbe") == 200
        async with aiohttp.ClientSession(pod.admin) as person, person.get("/health") as answer:
            health = await answer.json()
        assert (answer.status, health["status"]) == (200, "degraded")
        assert sidecar.memory() < quantity(fleet.sidecar["resources"]["requests"]["memory"])
        assert await sidecar.stopped(grace=PATIENCE) == 0
