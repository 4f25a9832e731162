"""A pod without a cluster: processes stand in for its containers, and the test plays the kubelet.

Containers, environment, volumes and probes are those of the manifest. Volumes are folders that change as the kubelet
changes them. What differs: ports are free ones, told by the variables that the policy file has for it, and a container
that has no root of its own finds its volumes in the test's folder instead of at their mount paths.

    pod = Pod(built(EXAMPLE / "base"), tmp_path)
    sidecar = await pod.sidecar()         # its startupProbe has passed
    app = await pod.app()
    app.terminate()
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import orjson

from tests.kit.addresses import free_port
from tests.kit.caller import PATIENCE
from tests.kit.commands import PYTHON, ROOT, SIDECAR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.kit.bare_root import BareRoot
    from tests.kit.manifests import Built

_names = itertools.count(1)


class Volume:
    """A ConfigMap's or Secret's folder: files are links into `..data`, which is turned at one stroke."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def write(self, files: Mapping[str, str]) -> None:
        data = self.folder / "..data"
        before = data.readlink() if data.is_symlink() else None
        fresh = self.folder / f"..2026_11_21_{next(_names)}"
        fresh.mkdir()
        for name, text in files.items():
            (fresh / name).write_text(text)
        (self.folder / "..data_tmp").symlink_to(fresh.name)
        (self.folder / "..data_tmp").replace(data)
        for name in files:
            with contextlib.suppress(FileExistsError):
                (self.folder / name).symlink_to(f"..data/{name}")
        if before is not None:
            shutil.rmtree(self.folder / before)


class Container:
    """A process, and what it has printed so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.ended_at = 0.0
        self._came = asyncio.Event()
        self._reading = asyncio.create_task(self._read(), name="a container's output")

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self.lines.append(line.decode())
            self._came.set()
        await self.process.wait()
        self.ended_at = time.monotonic()
        self._came.set()

    async def said(self, words: str) -> str:
        """The first line with these words, now or when it comes."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for line in self.lines:
                    if words in line:
                        return line
                assert not self._reading.done(), f"it ended without saying {words!r}:\n{''.join(self.lines)}"
                self._came.clear()
                await self._came.wait()

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    async def ended(self, seconds: float = PATIENCE) -> int:
        """Its exit code. Raises `TimeoutError`."""
        async with asyncio.timeout(seconds):
            await asyncio.shield(self._reading)
        assert self.process.returncode is not None
        return self.process.returncode

    async def stopped(self, grace: float) -> int:
        """As the kubelet stops a container: SIGTERM, and SIGKILL when the grace is over. The exit code."""
        self.terminate()
        try:
            return await self.ended(grace)
        except TimeoutError:
            self.process.kill()
            return await self.ended()

    def status(self) -> dict[str, str]:
        """What the kernel says of it."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def memory(self) -> float:
        """Bytes of it that are in memory (RSS)."""
        return float(self.status()["VmRSS"].removesuffix(" kB")) * 1024

    def mounts(self) -> dict[str, set[str]]:
        """What it sees of the file system, each mount with its options."""
        lines = Path(f"/proc/{self.process.pid}/mountinfo").read_text().splitlines()
        return {fields[4]: set(fields[5].split(",")) for fields in map(str.split, lines)}

    async def report(self) -> dict[str, Any]:
        """What the application said at its end."""
        assert await self.ended() == 0, "".join(self.lines)
        said: dict[str, Any] = orjson.loads(self.lines[-1])
        return said

    async def remove(self) -> None:
        if self.alive:
            self.process.kill()
        await self._reading


class Pod:
    """One pod of a built kustomization. `env`: the addresses of its upstreams; `policy` is the file's text."""

    client_tls = None

    def __init__(
        self, manifest: Built, folder: Path, env: Mapping[str, str] | None = None, root: BareRoot | None = None
    ) -> None:
        self._manifest = manifest
        self._root = root
        self._containers: list[Container] = []
        self._ports = {name: free_port() for name in ("http", "grpc", "admin", "probe")}
        self._env = {f"SIDECAR_LISTEN_{name.upper()}": f"127.0.0.1:{port}" for name, port in self._ports.items()}
        self._env |= env or {}
        self._volumes = {volume["name"]: Volume(folder / volume["name"]) for volume in manifest.pod["spec"]["volumes"]}
        self._mounts = {
            mount["mountPath"]: self._volumes[mount["name"]].folder for mount in manifest.sidecar["volumeMounts"]
        }
        self.text = manifest.policy

    async def __aenter__(self) -> Self:
        self.config_map(self.text)
        return self

    async def __aexit__(self, *_: object) -> None:
        for container in self._containers:
            await container.remove()

    # What callers in the pod know.

    @property
    def port(self) -> int:
        return self._ports["http"]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self._ports['grpc']}"

    @property
    def admin(self) -> str:
        return f"http://127.0.0.1:{self._ports['admin']}"

    # What the kubelet does.

    def config_map(self, text: str) -> None:
        """Another policy file in the volume."""
        self.text = self._here(text)
        self._volumes["sidecar-policy"].write({"sidecar.toml": self.text})

    def secret(self, volume: str, files: Mapping[str, str]) -> None:
        self._volumes[volume].write(files)

    async def sidecar(self) -> Container:
        """The sidecar's container, started; its startupProbe has passed."""
        spec = self._manifest.sidecar
        env = {each["name"]: each["value"] for each in spec["env"] if "value" in each} | self._env
        args = [self._here(arg) for arg in spec["args"]]
        container = await self._start([SIDECAR, *args], env)
        period, failures = spec["startupProbe"]["periodSeconds"], spec["startupProbe"]["failureThreshold"]
        async with asyncio.timeout(period * failures):
            while await self.probe("startupProbe") != 200:
                assert container.alive, "".join(container.lines)
                await asyncio.sleep(0.05)
        return container

    async def app(self, *args: str) -> Container:
        """The application's container: `tests/kit/pod_app.py`."""
        env = {"SIDECAR_HTTP": self.url, "SIDECAR_GRPC": self.grpc, "PYTHONPATH": str(ROOT)}
        container = await self._start([PYTHON, "-m", "tests.kit.pod_app", *args], env, root=False)
        await container.said("app is ready")
        return container

    async def probe(self, kind: str) -> int:
        """The status that the kubelet gets from this probe, 0 where it gets none."""
        probe = self._manifest.sidecar[kind]
        url = f"http://127.0.0.1:{self._ports['probe']}{probe['httpGet']['path']}"
        limit = aiohttp.ClientTimeout(total=PATIENCE)
        try:
            async with aiohttp.ClientSession(timeout=limit) as kubelet, kubelet.get(url) as answer:
                return answer.status
        except aiohttp.ClientConnectionError:
            return 0

    async def _start(self, command: Sequence[str], env: Mapping[str, str], *, root: bool = True) -> Container:
        if self._root is not None and root:
            command = self._root.command(command, env, self._mounts)
        process = await asyncio.create_subprocess_exec(
            *command, cwd="/", env=dict(env), stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, limit=1 << 20,
        )  # fmt: skip
        container = Container(process)
        self._containers.append(container)
        return container

    def _here(self, text: str) -> str:
        if self._root is None:
            for path, folder in self._mounts.items():
                text = text.replace(path, os.fspath(folder))
        return text
