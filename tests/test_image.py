"""The container image: its Dockerfile is linted, built in clean roots, and what comes out is run as an engine would.

Not shown here: that the bases are what `tests/kit/built.py` takes them for, and an engine's own confinement.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from sidecar import __version__
from tests.kit.addresses import free_port
from tests.kit.blunt import answer, blunt
from tests.kit.built import PYTHON_IMAGE, RUNTIME_IMAGE, built
from tests.kit.caller import PATIENCE
from tests.kit.certificates import make_certificates
from tests.kit.commands import ROOT, answers, shell
from tests.kit.dockerfile import instructions, sent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from tests.kit.image import Image

LARGEST = 175_000_000
"""Bytes of the whole image, unpacked; 157 MB when this was written, 54 MB compressed."""

TEXT = (ROOT / "Dockerfile").read_text()
LINES = list(instructions(TEXT))


def test_the_linter_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_each_base_is_an_argument_that_can_be_pinned_and_none_is_the_newest_of_the_day() -> None:
    defaults = dict(each.rest.split("=") for each in LINES if each.name == "ARG" and "IMAGE=" in each.rest)
    assert defaults == {"PYTHON_IMAGE": PYTHON_IMAGE, "RUNTIME_IMAGE": RUNTIME_IMAGE}
    bases = [each.rest for each in LINES if each.name == "FROM"]
    assert bases == ["${PYTHON_IMAGE} AS dependencies", "dependencies AS build", "${RUNTIME_IMAGE}"]


def test_what_needs_no_sources_comes_before_them() -> None:
    """So a change of the code installs no package again."""
    named = {each.rest: number for number, each in reversed(list(enumerate(LINES))) if each.name in {"COPY", "RUN"}}
    first = {
        word: next(at for rest, at in sorted(named.items(), key=lambda item: item[1]) if word in rest)
        for word in ("pyproject.toml", "install", "README.md", "sidecar/ ")
    }
    assert list(first.values()) == sorted(first.values())


def test_the_context_has_what_is_copied_and_nothing_else() -> None:
    seen = sent(ROOT)
    assert {path.parts[0] for path in seen} - {"constraints.txt"} == {
        "LICENSE", "README.md", "pyproject.toml", "sidecar", "sidecar.toml",
    }  # fmt: skip
    assert Path("sidecar/cli/starter.toml") in seen
    assert [path for path in seen if path.suffix == ".pyc" or "__pycache__" in path.parts] == []


class Container(NamedTuple):
    """The image, run. `process` is who made its namespaces; `environ` what it was told; `policy` is mounted for it."""

    image: Image
    process: asyncio.subprocess.Process
    environ: Mapping[str, str]
    policy: Mapping[str, str] = {}

    @property
    def http(self) -> str:
        return "http://" + self.environ["SIDECAR_LISTEN_HTTP"]

    @property
    def pid(self) -> int:
        """Process 1, by the number that we know it by."""
        made = self.process.pid
        return int(Path(f"/proc/{made}/task/{made}/children").read_text())

    def kill(self) -> None:
        """Not who made the namespaces: a child that has changed its user does not end with its parent. Either may have
        ended already, in any moment.
        """
        try:
            os.kill(self.pid, signal.SIGKILL)
        except (OSError, ValueError):  # gone; or there is no child, any more or yet
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()

    def status(self) -> dict[str, str]:
        """What the kernel says of process 1 (`proc(5)`)."""
        told = Path(f"/proc/{self.pid}/status").read_text()
        return dict(line.split(":\t", 1) for line in told.splitlines() if ":\t" in line)

    async def exec(self, *words: str) -> tuple[int, str]:
        """Another command in it: its exit code, and what it said."""
        running = await asyncio.create_subprocess_exec(
            *self.image.entering(words, mounts=self.policy), env=self.environ, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(PATIENCE):
            out, _ = await running.communicate()
        assert running.returncode is not None
        return running.returncode, out.decode()


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    folder = tmp_path_factory.getbasetemp()
    run = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    with built(run / "container-image", {"VERSION": __version__}) as image:
        yield image


@asynccontextmanager
async def started(
    image: Image, command: Sequence[str], policy: Path | None = None, **more: str
) -> AsyncIterator[Container]:
    listen = {f"SIDECAR_LISTEN_{name}": f"127.0.0.1:{free_port()}" for name in ("GRPC", "ADMIN")}
    listen["SIDECAR_LISTEN_HTTP"] = f"0.0.0.0:{free_port()}"  # as for `-p`
    environ = {**image.environ, **listen, **more}
    mounts = {} if policy is None else {str(policy): "/etc/sidecar"}
    process = await asyncio.create_subprocess_exec(
        *image.entering([*image.entrypoint, *command], first=True, mounts=mounts), env=environ,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    container = Container(image, process, environ, mounts)
    try:
        yield container
    finally:
        if process.returncode is None:
            container.kill()
        await process.communicate()


@pytest.fixture
async def container(image: Image) -> AsyncIterator[Container]:
    """As an engine runs it: entrypoint and command, process 1, the image's user, nothing that can be written."""
    async with started(image, image.command) as each:
        await answers(f"{each.http}/livez")
        yield each


@pytest.mark.timeout(300)
async def test_it_serves_stays_well_without_its_upstreams_and_ends_by_sigterm(container: Container) -> None:
    assert await container.exec(*container.image.healthcheck) == (0, "alive\n")
    # The upstreams of the shipped file are on loopback, where nobody is: each call fails, and a breaker opens.
    for _ in range(6):
        told = await shell(f"curl -s {container.http}/_health")
        assert json.loads(told)["error"]["code"] in {"upstream_connect_failed", "circuit_open"}
    code, told = await container.exec("sidecar", "circuits")
    assert code == 0
    assert re.search(r"^c-gateway +open ", told, re.MULTILINE)
    assert await container.exec(*container.image.healthcheck) == (0, "alive\n")
    os.kill(container.pid, signal.SIGTERM)
    async with asyncio.timeout(PATIENCE):
        assert await container.process.wait() == 0


@pytest.mark.timeout(300)
async def test_process_1_is_the_sidecar_without_root_and_cannot_write(container: Container) -> None:
    status = container.status()
    assert status["NSpid"].split()[-1] == "1"
    assert status["Uid"].split() == status["Gid"].split() == ["65532"] * 4
    assert status["Groups"].strip() == ""
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    code, told = await container.exec("python", "-c", "open('/tmp/x', 'w')")
    assert (code, "Read-only file system" in told) == (1, True)


MOUNTED = """
[listen]
http = "${SIDECAR_LISTEN_HTTP}"
grpc = ""
admin = ""
[policies.default.retry]
tries = 1
[upstreams.theirs]
url = "%s"
[upstreams.strangers]
url = "%s"
[routes.strangers]
match = { path = "/stranger" }
chain = ["strangers"]
[routes.theirs]
match = { path = "/theirs" }
chain = ["theirs"]
"""


@pytest.mark.timeout(300)
async def test_a_mounted_policy_may_have_no_admin_listener_and_names_are_checked_by_a_companys_authority(
    image: Image, tmp_path: Path
) -> None:
    certificates = make_certificates(tmp_path)
    policy = tmp_path / "policy"
    policy.mkdir()
    shutil.copy(certificates.ca, policy)
    async with (
        blunt(answer(b"from inside"), tls=certificates.server()) as theirs,
        blunt(answer(b"from a stranger"), tls=certificates.server("stranger")) as strangers,
    ):
        text = MOUNTED % (theirs.url, strangers.url)
        (policy / "sidecar.toml").write_text(text.replace("//127.0.0.1", "//localhost"))
        async with started(image, image.command, policy, SSL_CERT_FILE="/etc/sidecar/ca.pem") as container:
            await answers(f"{container.http}/livez")
            assert await container.exec(*image.healthcheck) == (0, "alive\n")
            assert await shell(f"curl -s {container.http}/theirs") == "from inside"
            refused = json.loads(await shell(f"curl -s {container.http}/stranger"))
            assert refused["error"]["code"] == "upstream_connect_failed"


@pytest.mark.timeout(300)
async def test_nobody_there_is_not_alive(image: Image) -> None:
    async with started(image, ["--version"]) as container:
        assert await container.process.wait() == 0
        code, told = await container.exec(*image.healthcheck)
        assert (code, "does not answer" in told) == (1, True)


@pytest.mark.timeout(300)
async def test_a_file_with_a_mistake_is_exit_code_2_and_says_where(image: Image) -> None:
    async with started(image, image.command, SIDECAR_LISTEN_HTTP="nowhere") as container:
        assert container.process.stdout is not None
        told = (await container.process.stdout.read()).decode()
        assert await container.process.wait() == 2
        assert told.startswith("/etc/sidecar/sidecar.toml:"), told


@pytest.mark.timeout(300)
async def test_every_package_has_its_metadata_licence_and_a_line_in_the_lock(image: Image) -> None:
    asks = (
        "import json; from importlib.metadata import distributions\n"
        "print(json.dumps({d.name: [d.version, [str(f) for f in d.files or () if f.name.upper().startswith("
        "('LICEN', 'COPYING', 'NOTICE'))]] for d in distributions()}))"
    )
    async with started(image, ["--version"]) as container:
        code, told = await container.exec("python", "-c", asks)
        assert code == 0, told
        found = json.loads(told)
        lock = (image.root / "opt/sidecar/share/sidecar/constraints.txt").read_text().split()
        assert sorted(f"{name}=={version}" for name, (version, _) in found.items() if name != "sidecar-proxy") == (
            sorted(lock)
        )
        assert found["sidecar-proxy"][0] == __version__
        assert f"sidecar_proxy-{__version__}.dist-info/licenses/LICENSE" in found["sidecar-proxy"][1]
        assert {"redis", "opentelemetry-sdk", "grpcio"} <= found.keys()
        assert {"pip", "setuptools", "pytest"} & found.keys() == set()
    assert image.labels["org.opencontainers.image.version"] == __version__
    assert image.labels["org.opencontainers.image.licenses"] == "MIT"


@pytest.mark.timeout(300)
def test_it_is_small_has_no_shell_and_nothing_is_left_to_be_compiled(image: Image) -> None:
    assert image.size() < LARGEST
    programs = {path.name for folder in ("usr/bin", "usr/sbin") for path in (image.root / folder).iterdir()}
    assert programs & {"sh", "bash", "dash", "busybox", "apt-get", "dpkg", "curl"} == set()
    for folder in ("opt/sidecar/lib", "usr/lib/python3.11/asyncio"):
        sources = list((image.root / folder).rglob("*.py"))
        assert len(sources) > 10
        assert [each for each in sources if not Path(cache_from_source(str(each))).exists()] == []


@pytest.mark.timeout(300)
def test_how_it_is_run_is_what_the_manifests_count_on(image: Image) -> None:
    assert image.user == "65532:65532"
    assert image.folder == "/"
    assert [*image.entrypoint, *image.command] == ["sidecar", "run", "-c", "/etc/sidecar/sidecar.toml"]
    assert image.exposed == ["7070", "7071", "7072"]
    assert image.healthcheck == ["sidecar", "health", "--live", "-c", image.command[-1]]
    assert (image.root / "etc/sidecar/sidecar.toml").read_bytes() == (ROOT / "sidecar.toml").read_bytes()
    assert (image.root / "etc/sidecar/sidecar.toml").stat().st_mode & 0o777 == 0o644
