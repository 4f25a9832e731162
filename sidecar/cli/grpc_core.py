"""How gRPC's C core is to run in a process of ours. It reads its environment when it is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping

SETTINGS = {
    # It writes to stderr in a form of its own whenever a server goes away ("Got goaway"); our log tells it anyway.
    "GRPC_VERBOSITY": "NONE",
    # Its event engine hands each event from thread to thread: 11 futex calls and 60 to 90 us of CPU a call, of 290.
    # Without it the thread that waits for results reads the sockets, too. A core that has no such switch ignores it.
    "GRPC_EXPERIMENTS": "-event_engine_client,-event_engine_listener",
}


def prepare(environ: MutableMapping[str, str]) -> None:
    """Set what nobody has set. Before the first import of grpc."""
    for name, value in SETTINGS.items():
        environ.setdefault(name, value)
