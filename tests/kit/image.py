"""An image built without an engine: a Dockerfile's own instructions, carried out in clean roots.

Each stage is a copy of its base; COPY copies, RUN runs. What this does not show: that the bases are what we take them
for (they are made of this machine's packages), what BuildKit makes of layers and caches, and how an engine confines.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tests.kit.clean_root import entering
from tests.kit.dockerfile import expanded, instructions, sent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tests.kit.dockerfile import Instruction

RUN_SECONDS = 240.0
ENGINES_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Image:
    """A tree, and how it is to be run."""

    root: Path
    environ: Mapping[str, str] = field(default_factory=lambda: {"PATH": ENGINES_PATH})
    user: str = "0:0"
    folder: str = "/"
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    healthcheck: Sequence[str] = ()
    healthcheck_times: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    exposed: Sequence[str] = ()
    volumes: Sequence[str] = ()

    def entering(
        self, command: Sequence[str], *, first: bool = False, mounts: Mapping[str, str] | None = None
    ) -> list[str]:
        """The command line that runs it as the image's user, who can write nothing."""
        return entering(self.root, command, user=self.user, folder=self.folder, first=first, mounts=mounts)

    def size(self) -> int:
        """Bytes of its files; one with several names counts once."""
        found = (path.lstat() for path in self.root.rglob("*") if not path.is_dir() or path.is_symlink())
        return sum({(each.st_dev, each.st_ino): each.st_size for each in found}.values())


@dataclass
class Build:
    """A build of the context's Dockerfile. `bases` make the images that it begins with, in an empty folder.

    `mounts` is what RUN sees beside the image: an engine gives the network, this a folder of packages. `caches` is
    where what `--mount=type=cache,target=X` keeps really lies, by X; `secrets` are the files of `type=secret,id=X`.
    """

    context: Path
    folder: Path
    bases: Mapping[str, Callable[[Path], Image]]
    arguments: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, str] = field(default_factory=dict)
    caches: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    _stages: dict[str, Image] = field(default_factory=dict)
    _globals: dict[str, str] = field(default_factory=dict)
    _seen: dict[str, str] = field(default_factory=dict)

    def run(self) -> Image:
        """The last stage's image."""
        image: Image | None = None
        name = ""
        for each in instructions((self.context / "Dockerfile").read_text()):
            if each.name == "FROM":
                base, name = self._named(each)
                image = self._begun(base, name)
                self._seen = {}
            elif image is None:
                self._globals |= self._declared(each, {})
            else:
                image = self._after(each, image)
            if image is not None:
                self._stages[name] = image
        assert image is not None
        return image

    def _named(self, each: Instruction) -> tuple[str, str]:
        words = each.words(self._globals)
        return words[0], words[2] if len(words) == 3 else f"stage-{len(self._stages)}"

    def _begun(self, base: str, name: str) -> Image:
        root = self.folder / name
        if base not in self._stages:
            return self.bases[base](root)
        image = self._stages[base]
        shutil.copytree(image.root, root, symlinks=True)
        return replace(image, root=root)

    def _declared(self, each: Instruction, already: Mapping[str, str]) -> dict[str, str]:
        """An ARG: what the build was told, else what stands above the first FROM, else its default."""
        name, _, default = each.rest.partition("=")
        return {name: self.arguments.get(name) or self._globals.get(name) or expanded(default, already)}

    def _after(self, each: Instruction, image: Image) -> Image:
        variables = {**self._seen, **image.environ}
        match each.name:
            case "ARG":
                self._seen |= self._declared(each, variables)
            case "ENV":
                return replace(image, environ={**image.environ, **each.pairs(variables)})
            case "LABEL":
                return replace(image, labels={**image.labels, **each.pairs(variables)})
            case "USER":
                return replace(image, user=expanded(each.rest, variables))
            case "WORKDIR":
                (image.root / each.rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
                return replace(image, folder=each.rest)
            case "EXPOSE":
                return replace(image, exposed=each.words(variables))
            case "ENTRYPOINT":
                return replace(image, entrypoint=_exec_form(each), command=())
            case "CMD":
                return replace(image, command=_exec_form(each))
            case "HEALTHCHECK":
                kind, _, words = each.rest.partition(" ")
                assert kind == "CMD"
                asked = replace(each, rest=words.strip())
                return replace(image, healthcheck=_exec_form(asked), healthcheck_times=each.flags)
            case "COPY":
                self._copy(each, image)
            case "RUN":
                self._run(each, image, variables)
            case other:
                raise ValueError(f"line {each.line}: {other} cannot be carried out here")
        return image

    def _copy(self, each: Instruction, image: Image) -> None:
        *sources, target = each.words({**self._seen, **image.environ})
        into = image.root / os.path.join(image.folder, target).lstrip("/")  # noqa: PTH118 - an absolute one replaces it
        if stage := each.flags.get("from"):
            assert len(sources) == 1
            shutil.copytree(self._stages[stage].root / sources[0].lstrip("/"), into, symlinks=True, dirs_exist_ok=True)
            return
        context = sent(self.context)
        for source in sources:
            matching = [path for path in context if path.match(source)]
            below = [path for path in context if source.endswith("/") and path.is_relative_to(source)]
            assert matching or below or "[" in source, f"line {each.line}: the context has no {source}"
            for path in matching:
                self._file(path, into / path.name if target.endswith("/") else into, each)
            for path in below:
                self._file(path, into / path.relative_to(source), each)

    def _file(self, path: Path, target: Path, each: Instruction) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(self.context / path, target)
        os.chown(target, 0, 0)
        if mode := each.flags.get("chmod"):
            target.chmod(int(mode, 8))

    def _run(self, each: Instruction, image: Image, variables: Mapping[str, str]) -> None:
        mounts = dict(self.mounts)
        for mount in each.flags.get("mount", "").split():
            told = dict(part.split("=", 1) for part in mount.split(","))
            if told["type"] == "secret":
                mounts[self.secrets[told["id"]]] = told["target"]
            else:
                assert told["type"] == "cache"
                mounts[self.caches[told["target"]]] = told["target"]
        words = each.listed or ["/bin/sh", "-c", each.rest]
        done = subprocess.run(
            entering(image.root, words, user=image.user, folder=image.folder, writable=True, mounts=mounts),
            env={"HOME": "/root", **variables}, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=RUN_SECONDS, check=False,
        )  # fmt: skip
        told_all = f"line {each.line}: {shlex.join(words)}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == 0, f"{told_all}\nended with {done.returncode}"


def _exec_form(each: Instruction) -> list[str]:
    words = each.listed
    assert words is not None, f"line {each.line}: {each.name} wants a shell, and there is none"
    return words
