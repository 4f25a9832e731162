"""A folder as the root of a system that holds nothing but what it is said to: an image without an engine.

It is filled from this machine's own Debian packages, by the lists of their files, so that a command finds what the
image it stands for would have and nothing else. Needs root: for mounts, which are gone with the command that had
them made, and for chroot.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit.caller import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info")
"""What slim images leave out, but for the copyrights."""

# $1 is the root, $2 user, $3 group, $4 the working folder, $5 whether it can be written, $6 what is mounted: FROM:TO …
_ENTER = """
root=$1 user=$2 group=$3 folder=$4 writable=$5 mounts=$6
shift 6
/usr/bin/mount --bind "$root" "$root"
[ "$writable" = yes ] || /usr/bin/mount -o remount,bind,ro "$root"
/usr/bin/mount --rbind /dev "$root/dev"
/usr/bin/mount -t proc proc "$root/proc" 2>/dev/null || /usr/bin/mount --rbind /proc "$root/proc"
for mount in $mounts; do
  /usr/bin/mount --rbind "${mount%%:*}" "$root${mount#*:}"
done
exec /usr/bin/setpriv --no-new-privs \\
  /usr/bin/unshare --root "$root" --wd "$folder" --setgid "$group" --setuid "$user" -- "$@"
"""


@cache
def _why_not() -> str:
    if os.geteuid() != 0:
        return "this needs root: for mounts and chroot"
    for program in ("unshare", "setpriv", "dpkg-query", "ldconfig"):
        if shutil.which(program, path=os.defpath + ":/usr/sbin:/sbin") is None:
            return f"there is no {program} on this machine"
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "true"],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    return tried.stderr.strip()


def needs_clean_root(*packages: str) -> None:
    """Skips the test where none can be made: not root, no namespaces, or these packages are not installed."""
    if why := _why_not():
        said = f"no clean root can be made here: {why}"
        if os.environ.get("CI") and os.geteuid() == 0:  # CI may be any user; who is root is expected to be able to
            pytest.fail(said)
        pytest.skip(said)
    for package in packages:
        asked = subprocess.run(["dpkg-query", "-L", package], capture_output=True, timeout=PATIENCE, check=False)
        if asked.returncode:
            said = f"no clean root can be made here: Debian's {package} is not installed"
            if os.environ.get("CI"):
                pytest.fail(said)
            pytest.skip(said)


def essential() -> set[str]:
    """The packages that every Debian has, and what those need."""
    told = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package}|${Essential}|${Priority}|${Pre-Depends},${Depends}\n"],
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    needs: dict[str, list[str]] = {}
    wanted: list[str] = []
    for line in told.stdout.splitlines():
        name, is_essential, priority, depends = line.split("|", 3)
        needs[name] = re.findall(r"(?:^|[,|])\s*([a-z0-9.+-]+)", depends)
        if is_essential == "yes" or priority == "required":
            wanted.append(name)
    found: set[str] = set()
    while wanted:
        if (name := wanted.pop()) in needs and name not in found:
            found.add(name)
            wanted += needs[name]
    return found


def debian(root: Path, packages: Iterable[str]) -> None:
    """Fill it with these packages' files, as they are installed here."""
    for folder in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "proc", "dev", "root", "run", "var/tmp"):
        (root / folder).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "tmp").mkdir(mode=0o1777)
    (root / "tmp").chmod(0o1777)
    listed = subprocess.run(
        ["dpkg-query", "-L", *packages], capture_output=True, text=True, timeout=PATIENCE, check=True
    ).stdout.splitlines()
    for name in listed:
        path = Path(name)
        if not path.is_absolute() or (name[1:].startswith(LEFT_OUT) and path.name != "copyright"):
            continue
        target = root / name[1:]
        if path.is_symlink() or path.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            if not os.path.lexists(target):
                shutil.copy2(path, target, follow_symlinks=False)
    shutil.copytree("/etc/ssl/certs", root / "etc/ssl/certs", dirs_exist_ok=True, symlinks=True)
    for name in ("resolv.conf", "nsswitch.conf", "hosts"):
        if Path("/etc", name).exists():
            shutil.copy("/etc/" + name, root / "etc" / name)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/sbin/nologin\n")
    (root / "etc/group").write_text("root:x:0:\n")


def this_python(root: Path) -> None:
    """The Python that runs this, below /usr/local, with pip; nothing else installed, no tests.

    What is compiled here stays so, which the image that it stands for has not: a build takes two seconds less.
    """
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    library = root / "usr/local/lib" / version
    unwanted = shutil.ignore_patterns("site-packages", "dist-packages", "test", "tests", "config-*")
    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=unwanted, symlinks=True)
    pip = find_spec("pip")
    if pip is None or pip.origin is None:
        pytest.skip("this Python has no pip")
    shutil.copytree(Path(pip.origin).parent, library / "site-packages/pip")
    programs = root / "usr/local/bin"
    programs.mkdir(parents=True, exist_ok=True)
    shutil.copy2(os.path.realpath(sys.executable), programs / version)
    for alias in ("python", "python3"):
        (programs / alias).symlink_to(version)
    (programs / "pip").write_text(f"#!/usr/local/bin/{version}\nfrom pip._internal.cli.main import main\nmain()\n")
    (programs / "pip").chmod(0o755)
    for shared in Path(sys.base_prefix, "lib").glob("libpython3*.so*"):
        shutil.copy2(shared, root / "usr/local/lib", follow_symlinks=False)
    subprocess.run(["/sbin/ldconfig", "-r", str(root)], timeout=PATIENCE, check=True)


def entering(
    root: Path,
    command: Sequence[str],
    *,
    user: str = "0:0",
    folder: str = "/",
    writable: bool = False,
    first: bool = False,
    mounts: Mapping[str, str] | None = None,
) -> list[str]:
    """The command line that runs a command in there, as this user; give it the environment that it shall have.

    `first`: as process 1 of a namespace. `mounts`: folders and files of this machine that it sees, and where.
    """
    uid, _, gid = user.partition(":")
    places = [f"{there}:{here}" for there, here in (mounts or {}).items()]
    for there, here in (mounts or {}).items():
        place = root / here[1:]
        if Path(there).is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
    return [
        *("/usr/bin/unshare", "--mount", "--propagation", "private"),
        *(("--pid", "--fork", "--kill-child") if first else ()),
        *("/bin/sh", "-euc", _ENTER, "sh"),
        *(str(root), uid, gid or uid, folder, "yes" if writable else "no", " ".join(places)),
        *command,
    ]
