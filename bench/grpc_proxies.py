"""The proxies of the gRPC rows, and the upstream that echoes. Each is held to real gRPC before and behind its load."""

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from bench.h2load import MESSAGE, METHOD
from bench.process import NotReadyError, Process, free_port, running
from bench.proxies import HERE, OURS, Place, envoy_settings

CHECKS = 3
"""Real calls before the load, and as many behind it."""


@dataclass(frozen=True, slots=True)
class GrpcSidecar:
    """Ours, or whatever `command` names, as in bench/proxies.py."""

    command: str = OURS
    name: str = "sidecar"

    @contextmanager
    def up(self, place: Place) -> Iterator[tuple[Process, int]]:
        port = free_port()
        config = HERE / "grpc.toml"
        words = {"python": sys.executable, "config": str(config), "port": str(port), "upstream": str(place.upstream)}
        argv = [word.format(**words) for word in shlex.split(self.command)]
        env = {"BENCH_LISTEN": f"127.0.0.1:{port}", "BENCH_UPSTREAM": f"grpc://127.0.0.1:{place.upstream}"}
        with started(argv, port, place, place.cores.proxy, env) as process:
            yield process, port


@dataclass(frozen=True, slots=True)
class GrpcEnvoy:
    """Envoy with the settings of its HTTP rows, as far as gRPC does not ask for others."""

    binary: str
    name: str = "envoy"

    @contextmanager
    def up(self, place: Place) -> Iterator[tuple[Process, int]]:
        port = free_port()
        config = place.folder / "envoy-grpc.json"
        config.write_text(over_http2(envoy_settings(port, place)))
        argv = [self.binary, "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
        with started(argv, port, place, place.cores.proxy) as process:
            yield process, port


@dataclass(frozen=True, slots=True)
class PlainGrpcio:
    """A proxy without policies on grpcio. It stands for what the library costs."""

    name: str = "grpcio"

    @contextmanager
    def up(self, place: Place) -> Iterator[tuple[Process, int]]:
        port = free_port()
        argv = [sys.executable, str(HERE / "plain_grpcio.py"), str(port), str(place.upstream)]
        with started(argv, port, place, place.cores.proxy) as process:
            yield process, port


@contextmanager
def echo_upstream(place: Place) -> Iterator[int]:
    """bench/echo.py beside the load; gives its port."""
    port = free_port()
    with started([sys.executable, str(HERE / "echo.py"), str(port)], port, place, place.cores.load):
        yield port


@contextmanager
def started(
    argv: list[str], port: int, place: Place, cores: str, env: dict[str, str] | None = None
) -> Iterator[Process]:
    with running(argv, cores=cores, port=port, path=METHOD, folder=place.folder, env=env, ask=ask) as process:
        yield process
        for _ in range(CHECKS):
            if (status := ask(port, METHOD)) != 200:
                raise NotReadyError(f"{argv[0]} answers with status {status} after its load")


def ask(port: int, path: str) -> int:
    """As grpcio's own client sees it: 200 when all of a few calls got their message back. Raises OSError."""
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.enable_http_proxy", 0)]) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
        try:
            answers = [call(MESSAGE, timeout=2) for _ in range(CHECKS)]
        except grpc.RpcError as error:
            raise OSError(str(error)) from error
    return 200 if answers == [MESSAGE] * CHECKS else 0


def over_http2(settings: str) -> str:
    """bench/envoy.json for gRPC: HTTP/2 on both sides, the method's route, retries by gRPC's status."""
    whole = json.loads(settings)
    (listener,), (cluster,) = whole["static_resources"]["listeners"], whole["static_resources"]["clusters"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    manager["codec_type"] = "HTTP2"
    manager["access_log"][0]["typed_config"]["log_format"]["json_format"]["grpc_status"] = "%GRPC_STATUS%"
    route = manager["route_config"]["virtual_hosts"][0]["routes"][0]
    route["match"] = {"path_separated_prefix": METHOD.rpartition("/")[0]}
    policy = route["route"]["retry_policy"]
    policy["retry_on"] = "connect-failure,refused-stream,reset,unavailable"
    del policy["retriable_status_codes"]
    options = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    cluster["typed_extension_protocol_options"] = {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": options,
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }
    return json.dumps(whole)
