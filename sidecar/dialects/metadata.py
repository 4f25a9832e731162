"""What gRPC metadata can hold (PROTOCOL-HTTP2, "Custom-Metadata"), for all who put something into them.

grpcio reads more than it sends, and fails a call on the rest.
"""

from __future__ import annotations

import re

is_name = re.compile(rb"[0-9a-z_.-]+").fullmatch
"""Whether it can be a name; those that begin with `grpc-` are gRPC's own."""


def is_text(value: str) -> bool:
    """Whether it can be the value of a name that does not end in `-bin`: printable ASCII."""
    return value.isascii() and value.isprintable()
