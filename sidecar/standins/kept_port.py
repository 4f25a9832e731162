"""The port of a service that is dead: nobody listens there, and nobody else is given it until the service is back."""

from __future__ import annotations

import socket


class KeptPort:
    """Keeps one port at a time. The kernel gives a free port to whoever asks for any, also one closed a moment ago."""

    def __init__(self) -> None:
        self._holder: socket.socket | None = None

    def keep(self, host: str, port: int) -> None:
        """Callers of this port, which was closed just now, are refused. If somebody was faster it is theirs."""
        self.give_up()
        holder = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections to it may still be ending
            holder.bind((host, port))
        except OSError:
            holder.close()
        else:
            self._holder = holder  # bound, and never listening

    def give_up(self) -> None:
        """Whoever comes first may have it: the service itself, which listens again."""
        if self._holder is not None:
            self._holder.close()
            self._holder = None
