"""The command line: `sidecar COMMAND`."""

import signal

__all__ = ["main"]


def main() -> None:
    """The entry point.

    Ctrl-C while modules are imported ends the process as SIGINT does by itself (a shell says 130): the traceback of an
    import helps nobody. Where SIGINT is ignored, as in the background of a script, it stays so.
    """
    heard = signal.getsignal(signal.SIGINT)
    if heard is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from sidecar.cli.app import main as work

    if heard is signal.default_int_handler:
        signal.signal(signal.SIGINT, heard)
    work()
