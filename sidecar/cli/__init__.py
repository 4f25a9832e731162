"""The command line: `sidecar COMMAND`."""

from sidecar.cli.app import main

__all__ = ["main"]
