"""A pod's end: the application is served to its last call, and the sidecar ends with 0 inside the grace.

Native sidecars hear SIGTERM after the application has ended. As an ordinary container beside it, and in clusters from
before 1.29, the sidecar hears it while the application works: then it is the drain that keeps it there.
"""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.kit.caller import PATIENCE
from tests.kit.commands import ROOT
from tests.kit.manifests import built, quantity
from tests.kit.pod import Pod
from tests.kit.pod_app import KINDS
from tests.kit.pod_upstreams import upstreams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

BASE = ROOT / "examples" / "kubernetes" / "base"
EVERY_KIND = {kind.kind for kind in KINDS}
LINGER = 0.5
LONG = "2m"
"""A drain that no test waits for: what ends sooner has not used it up."""


@asynccontextmanager
async def pod_of_base(folder: Path, *, drain: str = LONG, linger: float = LINGER) -> AsyncIterator[Pod]:
    """The example's pod before services that answer, with these limits."""
    async with upstreams() as env, Pod(built(BASE), folder, env) as pod:
        text = pod.text.replace('drain = "25s"', f'drain = "{drain}"')
        pod.config_map(text.replace('linger = "1s"', f'linger = "{linger}s"'))
        yield pod


async def test_native_the_application_starts_last_and_ends_first(tmp_path: Path) -> None:
    async with pod_of_base(tmp_path) as pod:
        assert await pod.probe("startupProbe") == 0
        sidecar = await pod.sidecar()
        app = await pod.app()  # it does not ask whether anybody listens
        assert await pod.probe("readinessProbe") == await pod.probe("livenessProbe") == 200
        app.terminate()
        report = await app.report()
        assert report["failures"] == []
        assert report["after"].keys() == EVERY_KIND
        assert sidecar.alive
        assert sidecar.memory() < quantity(built(BASE).sidecar["resources"]["requests"]["memory"])
        assert await pod.probe("readinessProbe") == 200
        sidecar.terminate()
        assert await sidecar.ended() == 0
        await sidecar.said("ended")


async def test_as_an_ordinary_container_it_is_told_while_the_application_works(tmp_path: Path) -> None:
    """The application hears it when the probes have been asked: however slow we are, it still calls meanwhile."""
    async with pod_of_base(tmp_path) as pod:
        sidecar = await pod.sidecar()
        app = await pod.app()
        sidecar.terminate()
        await sidecar.said("draining")
        assert await pod.probe("readinessProbe") == 503
        assert await pod.probe("livenessProbe") == 200
        app.terminate()
        report = await app.report()
        assert report["failures"] == []
        assert report["after"].keys() == EVERY_KIND
        assert await sidecar.ended() == 0
        assert sidecar.ended_at - report["done_at"] >= LINGER


async def test_probes_and_scrapes_do_not_hold_up_the_end(tmp_path: Path) -> None:
    async with pod_of_base(tmp_path) as pod:
        sidecar = await pod.sidecar()
        sidecar.terminate()
        async with asyncio.timeout(PATIENCE):
            while await pod.probe("livenessProbe"):  # a steady kubelet; each is a connection
                pass
        assert await sidecar.ended() == 0


async def test_an_application_that_does_not_end_is_cut_by_the_drain_before_the_grace_is_over(tmp_path: Path) -> None:
    async with pod_of_base(tmp_path, drain="1s") as pod:
        sidecar = await pod.sidecar()
        app = await pod.app("stubborn")
        app.terminate()
        began = time.monotonic()
        assert await sidecar.stopped(grace=PATIENCE) == 0  # not SIGKILL's -9
        assert sidecar.ended_at - began >= 1
        assert app.alive
        await sidecar.said("ended")


async def test_native_an_application_that_uses_up_the_grace_leaves_the_sidecar_two_seconds(tmp_path: Path) -> None:
    async with pod_of_base(tmp_path) as pod:
        sidecar = await pod.sidecar()
        app = await pod.app("stubborn")
        assert await app.stopped(grace=0.2) == -signal.SIGKILL
        assert await sidecar.stopped(grace=PATIENCE) == 0  # in two seconds, where the machine does not stand still
