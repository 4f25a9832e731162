"""A stranger's prose on a terminal: an answer must not move the cursor, rename the window or turn a line around.

`output.harmless` is for names in a line of ours. Prose keeps its line breaks, and the characters that no terminal
obeys although they print nothing: no-break spaces, and what joins an emoji.
"""

from __future__ import annotations

import sys

_CONTROLS = [*range(0x20), 0x7F, *range(0x80, 0xA0)]
_TURNING = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
"""Marks by which a line is read from right to left (Unicode, UAX #9, section 2)."""
_SHOWN: dict[int, str | None] = {
    **{code: f"\\x{code:02x}" for code in _CONTROLS},
    **{code: f"\\u{code:04x}" for code in _TURNING},
    **{ord(kept): kept for kept in "\n\t"},
    ord("\r"): None,  # half of a line's end where it is meant well
}


def visible(text: str) -> str:
    """With every control character but newline and tab shown as its escape; carriage returns are left out."""
    return text.translate(_SHOWN)


def write(text: str) -> None:
    """To stdout, at once: `visible` on a terminal, as it is elsewhere. What the encoding lacks becomes `?`."""
    stream = sys.stdout
    if stream is None:
        return
    if stream.isatty():
        text = visible(text)
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()
