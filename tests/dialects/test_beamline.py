"""The names in the product are those of the proto file."""

from __future__ import annotations

from sidecar.dialects import beamline
from sidecar.pb.beamline.flow.v1 import flow_pb2

SERVICES = flow_pb2.DESCRIPTOR.services_by_name
METHODS = {
    f"/{service.full_name}/{method.name}".encode(): method
    for service in SERVICES.values()
    for method in service.methods
}


def test_every_method_is_named_once_and_is_unary() -> None:
    assert sorted(beamline.UNARY) == sorted(METHODS)
    assert len(beamline.UNARY) == 11
    assert not any(method.client_streaming or method.server_streaming for method in METHODS.values())


def test_what_decides_or_only_reads_may_be_sent_twice() -> None:
    harmless = {path for path, method in METHODS.items() if method.name.startswith(("Decide", "Get", "List"))}
    assert harmless == beamline.IDEMPOTENT
