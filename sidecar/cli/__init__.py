"""The command line: `sidecar COMMAND`."""

import os
import signal
import sys

__all__ = ["main"]


def main() -> None:
    """The entry point.

    Ctrl-C while modules are imported ends the process as SIGINT does by itself (a shell says 130): the traceback of an
    import helps nobody. Where SIGINT is ignored, as in the background of a script, it stays so.
    """
    if sys.argv[1:2] == ["run"] and hasattr(signal, "SIGHUP"):
        # "Read your file again" may come before it has been read; by itself the signal would end the process.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if os.getpid() == 1:
        # In a container nothing ends process 1 by itself: what stops it while it starts would have to kill it.
        signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
    heard = signal.getsignal(signal.SIGINT)
    if heard is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from sidecar.cli.app import main as work

    if heard is signal.default_int_handler:
        signal.signal(signal.SIGINT, heard)
    work()
