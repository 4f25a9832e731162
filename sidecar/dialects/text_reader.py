"""What the readers share of whose answers another target may go on with: what is known so far, and the text."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidecar.dialects.llm_errors import LlmError
    from sidecar.llm import Document, Usage

LONGEST_TEXT = 4 << 20
"""Characters of a text that are kept to go on behind it: no model takes more. Of a longer one nothing is."""


class TextReader:
    """The attributes of a `StreamReader`. `keep_text`: the text is asked for should the stream break."""

    document: Document | None = None
    usage: Usage | None = None
    model = ""
    finished = False
    done = False
    error: LlmError | None = None
    refused = False
    tokens = 0
    resumable = False
    _text_alone = True
    """There is one answer, which is not at its end and has held nothing but text."""

    def __init__(self, *, keep_text: bool = False) -> None:
        # A list would keep some 60 bytes for each word.
        self._said = io.StringIO() if keep_text else None

    @property
    def text(self) -> str:
        return "" if self._said is None else self._said.getvalue()

    def _keep(self, piece: str) -> None:
        if self._said is None:
            return
        self._said.write(piece)
        if self._said.tell() > LONGEST_TEXT:
            self._said = None
            self._cannot_go_on()

    def _cannot_go_on(self) -> None:
        self._text_alone = False
        self.resumable = False
