"""A command that cannot go on, and why."""

from __future__ import annotations

NOT_WELL = 1
BAD_USAGE = 2


class Trouble(Exception):  # noqa: N818 - what a person reads, not a fault of the program
    """Ends the command: the text goes to stderr, `code` is the exit code (1: not well, 2: bad usage or file)."""

    def __init__(self, text: str, code: int = NOT_WELL) -> None:
        super().__init__(text)
        self.code = code
