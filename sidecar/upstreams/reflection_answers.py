"""What is asked by server reflection, and what of the answers counts: pure.

The interface is grpc.reflection.v1 (and v1alpha, which has the same messages), the
descriptions are google/protobuf/descriptor.proto. Nothing is linked: what a file
imports does not matter here, so that imports in a circle do no harm.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError

from sidecar.pb.sidecar.reflection_pb2 import Answer, Question

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

V1 = b"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
V1_ALPHA = b"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

MOST_SERVICES = 1000
"""Taken of a server's list, and looked at in a file."""
MOST_METHODS = 10_000
MOST_FILES = 1000
"""Looked at in one answer."""
LONGEST_ANSWER = 4 << 20
"""Bytes."""
LONGEST_NAME = 255

_SERVICE = re.compile(r"[a-z_]\w*(\.[a-z_]\w*)*", re.ASCII | re.IGNORECASE)
_METHOD = re.compile(r"[a-z_]\w*", re.ASCII | re.IGNORECASE)


class UnreadableError(Exception):
    """It is no answer to what was asked."""


def list_services() -> bytes:
    """The question for all services."""
    return Question(list_services="*").SerializeToString()


def describe(service: str) -> bytes:
    """The question for what defines it."""
    return Question(file_containing_symbol=service).SerializeToString()


def services(answer: bytes) -> list[str]:
    """Each service's full name once. Raises `UnreadableError`."""
    told = (service.name for service in _read(answer).list_services_response.service)
    return list(dict.fromkeys(islice((name for name in told if _is_name(_SERVICE, name)), MOST_SERVICES)))


def methods(answer: bytes, wanted: Container[str]) -> Iterator[tuple[str, str, bool]]:
    """Service, method, and whether it is unary, for all methods of `wanted` services.

    None when the answer is an error, as for a service that was registered without its description.
    Raises `UnreadableError`.
    """
    for data in islice(_read(answer).file_descriptor_response.file_descriptor_proto, MOST_FILES):
        try:
            file = FileDescriptorProto.FromString(data)
            # Formatted, since a string that is no UTF-8 is shown as bytes in a proto2 message; those make no name.
            package = f"{file.package}." if file.package else ""
            for service in islice(file.service, MOST_SERVICES):
                name = f"{package}{service.name}"
                if name not in wanted:
                    continue
                for method in islice(service.method, MOST_METHODS):
                    if _is_name(_METHOD, called := f"{method.name}"):
                        yield name, called, not (method.client_streaming or method.server_streaming)
        except (DecodeError, UnicodeDecodeError) as error:
            raise UnreadableError(str(error)) from error


def _read(answer: bytes) -> Answer:
    if len(answer) > LONGEST_ANSWER:
        raise UnreadableError(f"{len(answer)} bytes")
    try:
        return Answer.FromString(answer)
    except DecodeError as error:
        raise UnreadableError(str(error)) from error


def _is_name(form: re.Pattern[str], text: str) -> bool:
    """A name that protoc would take, of bounded length: metrics bear it."""
    return len(text) <= LONGEST_NAME and form.fullmatch(text) is not None
