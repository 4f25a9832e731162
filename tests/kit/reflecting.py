r"""A real gRPC server that tells of its methods, well or badly, and what it was asked.

async with reflecting(by_file(FOUR_KINDS)) as server:
    ...
    assert server.asked == [(V1, "list"), (V1, "test.S")]
"""

from __future__ import annotations

import inspect
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from sidecar.pb.sidecar.reflection_pb2 import Answer, Files, Question, Service, Services
from sidecar.upstreams.reflection_answers import V1

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    Respond = Callable[[str], bytes | Awaitable[bytes]]

LIST = "list"
"""The question for all services; any other is the name of one."""


def file_of(*services: str, package: str = "test", methods: str = "Get", name: str = "") -> FileDescriptorProto:
    """A file with these services; a method is `Name`, or with `<` and `>` for a stream up and down."""
    file = FileDescriptorProto(name=name or f"{package}/{'_'.join(services)}.proto", package=package, syntax="proto3")
    file.message_type.add(name="Nothing")
    for service in services:
        made = file.service.add(name=service)
        for method in methods.split():
            made.method.add(
                name=method.strip("<>"),
                input_type=f".{package}.Nothing",
                output_type=f".{package}.Nothing",
                client_streaming="<" in method,
                server_streaming=">" in method,
            )
    return file


FOUR_KINDS = file_of("S", methods="Get >Watch <Put <>Talk")
KINDS = {b"/test.S/Get": True, b"/test.S/Watch": False, b"/test.S/Put": False, b"/test.S/Talk": False}
"""What is to be learned of it."""


def listed(*names: str) -> bytes:
    """The answer that names these services."""
    services = Services(service=[Service(name=name) for name in names])
    return Answer(list_services_response=services).SerializeToString()


def described(*files: FileDescriptorProto | bytes) -> bytes:
    """The answer that is made of these files."""
    data = [file if isinstance(file, bytes) else file.SerializeToString() for file in files]
    return Answer(file_descriptor_response=Files(file_descriptor_proto=data)).SerializeToString()


def by_file(*files: FileDescriptorProto) -> Respond:
    """A server of all services in these files, each described by its own."""
    places = {f"{file.package}.{service.name}": file for file in files for service in file.service}
    return lambda asked: listed(*places) if asked == LIST else described(places[asked])


def scripted(*answers: bytes | Exception) -> Respond:
    """The n-th question gets the n-th answer, whatever it is."""
    left = iter(answers)

    def respond(_asked: str) -> bytes:
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return respond


class EndsError(Exception):
    """The stream ends with this code."""

    def __init__(self, code: str) -> None:
        self.code = grpc.StatusCode[code]


class Reflecting(grpc.GenericRpcHandler):
    """Serves one version of the interface, as `respond` says; any other method echoes."""

    def __init__(self, respond: Respond | None, version: bytes = V1) -> None:
        self.respond = respond
        self.version = version.decode()
        self.asked: list[tuple[bytes, str]] = []
        """Version and question, also of versions that are not served."""
        self.metadata: list[tuple[str, str | bytes]] = []
        self.target = ""

    @property
    def url(self) -> str:
        return f"grpc://{self.target}"

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method
        respond = self.respond
        if not method.startswith("/grpc.reflection."):
            return grpc.stream_stream_rpc_method_handler(_echo)

        async def talk(questions: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            self.metadata = list(context.invocation_metadata())
            async for data in questions:
                question = Question.FromString(data)
                asked = LIST if question.HasField("list_services") else question.file_containing_symbol
                self.asked.append((method.encode(), asked))
                try:
                    if respond is None or method != self.version:
                        raise EndsError("UNIMPLEMENTED")  # noqa: TRY301 - as a respond may
                    answer = respond(asked)
                    yield await answer if inspect.isawaitable(answer) else answer
                except EndsError as ends:
                    if ends.code is grpc.StatusCode.OK:
                        return
                    await context.abort(ends.code, "as the test says")

        return grpc.stream_stream_rpc_method_handler(talk)


async def _echo(messages: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:
    async for message in messages:
        yield message


@asynccontextmanager
async def reflecting(respond: Respond | None, version: bytes = V1, *, port: int = 0) -> AsyncIterator[Reflecting]:
    """It on a free port, or on this one; without `respond` it has no reflection at all."""
    handler = Reflecting(respond, version)
    async with serving((handler,), port) as handler.target:
        yield handler


@asynccontextmanager
async def serving(handlers: Iterable[grpc.GenericRpcHandler], port: int = 0) -> AsyncIterator[str]:
    """A server; gives its `host:port`."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(tuple(handlers))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield f"127.0.0.1:{bound}"
    finally:
        await server.stop(None)
