"""Runs a command under the seccomp filter and the memory rule of a systemd unit, where no systemd runs.

    python tests/kit/confined.py UNIT COMMAND…

`SystemCallFilter=` is put together as systemd.exec(5) says (the first line decides which kind of list it is; `~` takes
away), from the sets that `systemd-analyze syscall-filter` tells. `MemoryDenyWriteExecute=` is the kernel's own
PR_SET_MDWE, as systemd 254 and newer set it. `RestrictAddressFamilies=` is a list of those that socket(2) may be asked
for; others are EAFNOSUPPORT. All hold for the command too, and need no root: no_new_privs comes first.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
PR_SET_MDWE = 65
PR_MDWE_REFUSE_EXEC_GAIN = 1
SCMP_ACT_ALLOW = 0x7FFF0000  # seccomp.h
SCMP_ACT_ERRNO = 0x00050000
SCMP_CMP_EQ = 4
AF_MAX = 46  # linux/socket.h


def settings(unit: Path) -> list[tuple[str, str]]:
    """The `NAME=VALUE` lines, in order."""
    lines = [line for line in unit.read_text().splitlines() if line and line[0] not in "#;["]
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]


def calls(name: str) -> set[str]:
    """A system call, or all those of a set and of the sets in it."""
    if not name.startswith("@"):
        return {name}
    told = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    words = [line.split()[0] for line in told.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return set().union(*(calls(word) for word in words))


def allowed(unit: Path) -> set[str]:
    """What the unit's filter lets through; `@default` always (systemd.exec(5))."""
    found = calls("@default")
    for name, value in settings(unit):
        if name == "SystemCallFilter":
            named = set().union(*(calls(word) for word in value.removeprefix("~").split()))
            found = found - named if value.startswith("~") else found | named
    return found


def families(unit: Path) -> set[int]:
    """What the unit lets through; a list that takes away (`~`) is not spoken here."""
    ((_, value),) = [setting for setting in settings(unit) if setting[0] == "RestrictAddressFamilies"]
    return {int(getattr(socket, name)) for name in value.split()}


class Comparison(ctypes.Structure):
    """`struct scmp_arg_cmp` of seccomp.h."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def confine(unit: Path) -> None:
    """From here on, for this process and what it becomes. Raises `OSError`."""
    libc = ctypes.CDLL(None, use_errno=True)

    def prctl(option: int, value: int) -> None:
        if libc.prctl(option, value, 0, 0, 0):
            raise OSError(ctypes.get_errno(), f"prctl {option}")

    names = allowed(unit)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(SCMP_ACT_ERRNO | errno.EPERM))
    for name in names:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0 and name != "socket":  # this machine has it
            library.seccomp_rule_add(context, SCMP_ACT_ALLOW, number, 0)
    number, let_in = library.seccomp_syscall_resolve_name(b"socket"), families(unit)
    for family in range(AF_MAX):
        action = SCMP_ACT_ALLOW if family in let_in else SCMP_ACT_ERRNO | errno.EAFNOSUPPORT
        library.seccomp_rule_add_array(context, action, number, 1, ctypes.byref(Comparison(0, SCMP_CMP_EQ, family, 0)))
    if ("MemoryDenyWriteExecute", "yes") in settings(unit):
        prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN)
    if library.seccomp_load(context):
        raise OSError(errno.EINVAL, "the filter cannot be loaded")


if __name__ == "__main__":
    confine(Path(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
