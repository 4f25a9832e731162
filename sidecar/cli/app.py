"""`sidecar`: every command, and how each ends."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import NoReturn

# Each declares its commands; help lists them in this order.
from sidecar.cli import commands_file, commands_live, commands_llm, commands_run  # noqa: F401 - see above
from sidecar.cli.output import harmless
from sidecar.cli.program import app
from sidecar.cli.trouble import BAD_USAGE, Trouble

__all__ = ["app", "main"]

_GONE = 141  # what a shell says of a program that SIGPIPE ended
_INTERRUPTED = 130
_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})


def main() -> None:
    """Runs the command as typed. Ends with exit code 0, 1 (not well), 2 (bad usage or configuration) or 130 (Ctrl-C).

    Also 2 when what it prints cannot be written, as on a full disk.
    """
    given = dict(os.environ)  # a program under `exec` is to have this and not what follows
    # gRPC's C core writes to stderr in a form of its own whenever a server goes away ("Got goaway"); our log tells it
    # anyway. The core reads the variable when it is loaded, which is later: commands import what they need.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Names mean what they mean to HTTP, too: c-ares takes only the first address that a hosts file gives a name.
    os.environ.setdefault("GRPC_DNS_RESOLVER", "native")
    _open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # where the locale has no arrow, a question mark must do
    try:
        try:
            if os.environ.get("_SIDECAR_COMPLETE"):  # a shell asks, in the middle of a line
                from sidecar.cli.completion import answer

                sys.exit(answer(os.environ))
            app(obj=given)
        finally:
            sys.stdout.flush()  # here, where something can be done about it
    except Trouble as trouble:
        for line in str(trouble).splitlines():
            print(f"sidecar: {harmless(line)}", file=sys.stderr)
        sys.exit(trouble.code)
    except KeyboardInterrupt:  # typer hears it while a command is at work, not before
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        _nobody_reads()
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        print(f"sidecar: what is to be printed cannot be written: {error.strerror}", file=sys.stderr)
        _end(BAD_USAGE)
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer makes it exit code 1, which means something here
            _nobody_reads()
        raise


def _nobody_reads() -> NoReturn:
    """`sidecar status | head`: the reader has had enough."""
    _end(_GONE)


def _end(code: int) -> NoReturn:
    """Without what is still to be written: the flush at exit finds someone who takes it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _open_closed_streams() -> None:
    """A stream that is closed (`2>&-`) is None, and `print` to None goes to stdout: complaints among the results.

    From a closed stdin comes what comes from an empty one: nothing.
    """
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY), encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
