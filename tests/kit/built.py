"""The image of ../Dockerfile, built in clean roots from this machine's packages: Debian's, and those of this Python."""

from __future__ import annotations

import contextlib
import fcntl
import pickle
import shutil
import sys
import tempfile
import time
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit.clean_root import debian, essential, needs_clean_root, this_python
from tests.kit.commands import ROOT
from tests.kit.image import Build, Image
from tests.kit.wheelhouse import wheelhouse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOM = 2 << 30
"""Bytes; the stages take 500 MB."""

LONGEST_RUN = 3600.0
"""Seconds that tests may take."""

PYTHON_IMAGE = "python:3.11-slim-bookworm"
RUNTIME_IMAGE = "gcr.io/distroless/python3-debian12:nonroot"

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
_OPTIONAL = _PROJECT["project"]["optional-dependencies"]
PACKAGES: list[str] = [
    *_PROJECT["build-system"]["requires"],
    *(*_PROJECT["project"]["dependencies"], *_OPTIONAL["redis"], *_OPTIONAL["otlp"]),
]
"""What a build installs."""

# What the runtime's base is made of, by its own list of packages: the C library and its kin, and Debian's Python.
RUNTIME_PACKAGES = (
    "base-files", "libc6", "libcom-err2", "libcrypt1", "libdb5.3", "libexpat1", "libffi8", "libgcc-s1",
    "libgomp1", "libgssapi-krb5-2", "libk5crypto3", "libkeyutils1", "libkrb5-3", "libkrb5support0", "liblzma5",
    "libbz2-1.0", "libncursesw6", "libnsl2", "libpython3.11-minimal", "libpython3.11-stdlib", "libreadline8",
    "libsqlite3-0", "libssl3", "libstdc++6", "libtinfo6", "libtirpc3", "libuuid1", "media-types", "netbase",
    "python3.11-minimal", "tzdata", "zlib1g",
)  # fmt: skip


def _python_image(root: Path) -> Image:
    debian(root, {*essential(), *RUNTIME_PACKAGES, "ca-certificates", "openssl"} - {"python3.11-minimal"})
    this_python(root)
    return Image(root)


def _runtime_image(root: Path) -> Image:
    debian(root, RUNTIME_PACKAGES)
    for alias in ("python", "python3"):
        (root / "usr/bin" / alias).symlink_to("python3.11")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532::/home/nonroot:\n")
    (root / "etc/group").write_text("root:x:0:\nnonroot:x:65532:\n")
    certificates = "/etc/ssl/certs/ca-certificates.crt"
    return Image(root, {**Image(root).environ, "LANG": "C.UTF-8", "SSL_CERT_FILE": certificates}, user="65532")


@contextmanager
def built(shared: Path, arguments: Mapping[str, str]) -> Iterator[Image]:
    """The image that comes of it. Skips the test where it cannot be built.

    The processes of a test run that name the same folder share it; the last one that leaves takes it away.
    """
    needs_clean_root(*RUNTIME_PACKAGES)
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the image's Python is 3.11, and here is none to play its base")
    shared.mkdir(exist_ok=True)
    with (shared / "users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        image = _made(shared, arguments)
        yield image
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (shared / "image").unlink()
            shutil.rmtree(image.root.parent)


def _made(shared: Path, arguments: Mapping[str, str]) -> Image:
    """By whoever comes first; the others wait."""
    made = shared / "image"
    with (shared / "builder").open("w") as builder:
        fcntl.flock(builder, fcntl.LOCK_EX)
        if made.exists():
            known: Image = pickle.loads(made.read_bytes())
            return known
        stages = _room(shared)
        try:
            image = _build(stages, arguments).run()
        except BaseException:
            shutil.rmtree(stages)
            raise
        for other in stages.iterdir():
            if other.is_dir() and other != image.root:
                shutil.rmtree(other)
        made.write_bytes(pickle.dumps(image))
        return image


def _room(shared: Path) -> Path:
    """Where 20,000 files are written soonest: memory, if it has room. A disk that is busy takes a minute."""
    memory = Path("/dev/shm")
    for left in memory.glob("sidecar-image-*"):  # by a run that was killed
        with contextlib.suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > LONGEST_RUN:
                shutil.rmtree(left, ignore_errors=True)
    if memory.is_dir() and shutil.disk_usage(memory).free > ROOM:
        return Path(tempfile.mkdtemp(prefix="sidecar-image-", dir=memory))
    return Path(tempfile.mkdtemp(dir=shared))


def _build(folder: Path, arguments: Mapping[str, str]) -> Build:
    """Without an index, by the way that the Dockerfile has for a company's own: pip's settings are a secret."""
    wheels, cache, settings = (folder / name for name in ("wheels", "pip-cache", "pip.conf"))
    for each in (wheels, cache):
        each.mkdir()
    wheelhouse(wheels, PACKAGES)
    settings.write_text("[global]\nno-index = true\nfind-links = /wheels\n")
    return Build(
        ROOT,
        folder,
        {PYTHON_IMAGE: _python_image, RUNTIME_IMAGE: _runtime_image},
        arguments,
        mounts={str(wheels): "/wheels"},
        caches={"/root/.cache/pip": str(cache)},
        secrets={"pip": str(settings)},
    )
