"""The program of `sidecar exec`, from before it is started until it has ended."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from sidecar.cli.exec.child import spawn
from sidecar.cli.exec.environment import environment
from sidecar.cli.exec.signals import ends, tells_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sidecar.cli.exec.child import Child, Given

NOT_FOUND = 127
NOT_EXECUTABLE = 126


class Program:
    """A command with its environment. A signal that comes before it is started ends us instead of it.

    `base_urls` are the variables for SDKs that lead to the sidecar.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], base_urls: Iterable[str]) -> None:
        self._command = command
        self._environ = environ
        self._base_urls = base_urls
        self._child: Child | None = None
        self._early = 0

    def told(self, number: int, from_terminal: bool) -> None:
        """A signal came. The program has those of a terminal by itself."""
        if self._child is None:
            self._early = self._early or (number if ends(number) else 0)
        elif not (from_terminal and tells_all(number) and self._child.shares_our_terminal()):
            self._child.tell(number)

    async def run(self, addresses: Mapping[str, str], given: Given) -> int:
        """Its exit code, as a shell tells it; what cannot be started is told on stderr. `addresses`: the sidecar's."""
        if self._early:
            return 128 + self._early
        name = self._command[0]
        environ = environment(self._environ, addresses, self._base_urls)
        try:
            self._child = spawn(self._command, environ, given)
        except FileNotFoundError:
            print(f"sidecar: {name}: command not found", file=sys.stderr)
            return NOT_FOUND
        except OSError as error:
            print(f"sidecar: {name}: cannot be executed: {error.strerror}", file=sys.stderr)
            return NOT_EXECUTABLE
        return await self._child.ended()
