"""A root of its own for a process, as a container has it: read-only to the last folder, without /tmp, home or shell,
and a user without a name or a capability.

It is a mount namespace with a tmpfs in it, where Python and the project are bound, and what the manifest mounts. The
process keeps its id and its network. Linux and root are needed; nothing of the machine is changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit.commands import PYTHON, ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ETC = ("ld.so.cache", "nsswitch.conf", "hosts", "resolv.conf")
_LINKS = ("/bin", "/lib", "/lib64")
"""Links into /usr, in most distributions of today."""
_SCRIPT = """
root=$1; shift
mount -t tmpfs -o mode=755 tmpfs "$root"
while [ "$1" != -- ]; do            # pairs: what, and where it is to be
  if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$root${2%/*}"; : > "$root$2"; fi
  mount -o bind,ro "$1" "$root$2"
  shift 2
done
shift
for each in /bin /lib /lib64; do if [ -L "$each" ]; then cp -P "$each" "$root$each"; fi; done
mount -o remount,ro "$root"
cd /
exec chroot "$root" setpriv "$@"
"""
"""Runs in the new namespace. Bind mounts are read-only one by one, the tmpfs at the end."""


class BareRoot:
    """Such roots, for a user. Skips the test where there can be none; as root in CI it fails."""

    def __init__(self, user: int) -> None:
        self._user = user
        if sys.platform != "linux" or os.geteuid() != 0:
            pytest.skip("a root of its own needs Linux, and to be root")
        unshare = shutil.which("unshare")
        if unshare is None or subprocess.run([unshare, "--mount", "true"], check=False, capture_output=True).returncode:
            if os.environ.get("CI"):
                pytest.fail("root may make no mount namespace here")
            pytest.skip("root may make no mount namespace here")
        self._unshare = unshare

    def command(self, command: Sequence[str], env: Mapping[str, str], mounts: Mapping[str, Path]) -> list[str]:
        """What runs `command` there, with this environment and nothing else, and these folders at these paths."""
        system = [Path("/usr"), Path(sys.base_prefix).resolve(), ROOT, Path(PYTHON).parent.parent]
        system += [
            path for path in (Path("/bin"), Path("/lib"), Path("/lib64")) if path.is_dir() and not path.is_symlink()
        ]
        system += [Path("/etc", name) for name in _ETC if Path("/etc", name).exists()]
        system += [Path("/dev/null"), Path("/dev/urandom"), Path("/proc")]
        places = {str(path): str(path) for path in system} | {str(folder): path for path, folder in mounts.items()}
        user = [f"--reuid={self._user}", f"--regid={self._user}", "--clear-groups", "--no-new-privs"]
        told = [f"{name}={value}" for name, value in env.items()]
        return [
            *(self._unshare, "--mount", "--propagation", "private", "sh", "-euc", _SCRIPT, "sh", "/mnt"),
            *(each for pair in places.items() for each in pair),
            *("--", *user, "--inh-caps=-all", "--bounding-set=-all", "env", "-i", *told, *command),
        ]
