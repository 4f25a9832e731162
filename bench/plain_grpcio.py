"""A proxy of one method with nothing to it but grpcio: `python bench/plain_grpcio.py LISTEN_PORT UPSTREAM_PORT`.

No policies, no metadata, no log: what it costs is what grpcio's server and client cost in one Python process.
"""

from __future__ import annotations

import asyncio
import sys

import grpc
import grpc.aio
import uvloop


class Plain(grpc.GenericRpcHandler):
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        method: str = handler_call_details.method
        handler = self._handlers.get(method)
        if handler is None:
            send: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(method)

            async def pass_on(message: bytes, _: object) -> bytes:
                return await send(message, timeout=300)

            handler = self._handlers[method] = grpc.unary_unary_rpc_method_handler(pass_on)
        return handler


async def main(listen: int, upstream: int) -> None:
    no_retries = [("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{upstream}", no_retries) as channel:
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((Plain(channel),))
        server.add_insecure_port(f"127.0.0.1:{listen}")
        await server.start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(*map(int, sys.argv[1:])))
