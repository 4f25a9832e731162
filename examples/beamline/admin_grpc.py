"""RouterAdmin through the sidecar: a policy is written, tried, followed and deleted, with the key in `x-api-key`.

python examples/beamline/admin_grpc.py
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc

from sidecar.pb.beamline.flow.v1 import flow_pb2 as beamline

if TYPE_CHECKING:
    from google.protobuf.message import Message

TENANT = "demo"


def ask(channel: grpc.Channel, key: str, method: str, request: Message) -> Any:
    """The answer. Raises `grpc.RpcError`."""
    service, _, name = method.partition("/")
    reply = beamline.DESCRIPTOR.services_by_name[service].methods_by_name[name].output_type.name
    call: grpc.UnaryUnaryMultiCallable[Any, Any] = channel.unary_unary(
        f"/beamline.flow.v1.{method}", type(request).SerializeToString, getattr(beamline, reply).FromString
    )
    return call(request, metadata=(("x-api-key", key),), timeout=30)


def story(channel: grpc.Channel, key: str) -> None:
    admin = partial(ask, channel, key)
    providers = [
        beamline.AdminProvider(id="fast", weight=0.8),
        beamline.AdminProvider(id="careful", weight=0.2),
    ]
    policy = beamline.AdminPolicy(policy_id="mine", providers=providers, fallback="local")
    written = admin("RouterAdmin/UpsertPolicy", beamline.UpsertPolicyRequest(tenant_id=TENANT, policy=policy))
    print("written:", written.policy.policy_id, "(new)" if written.created else "(changed)")
    listed = admin("RouterAdmin/ListPolicies", beamline.ListPoliciesRequest(tenant_id=TENANT))
    print("there are:", ", ".join(one.policy_id for one in listed.policies))
    dry = admin("RouterAdmin/DryRunPipeline", beamline.DryRunPipelineRequest(tenant_id=TENANT, policy_id="mine"))
    for step in dry.steps:
        print(f"dry run: {step.name}: {step.outcome}")
    cost = beamline.GetPipelineComplexityRequest(tenant_id=TENANT, policy_id="mine")
    print("complexity:", admin("RouterAdmin/GetPipelineComplexity", cost).level)
    message = beamline.Message(tenant_id=TENANT, message_type="text.generate", payload=b"{}")
    decision = admin("Router/Decide", beamline.RouteRequest(message=message, policy_id="mine"))
    print("decided:", decision.provider_id, f"({decision.reason})")
    breakers = admin("RouterAdmin/GetCircuitBreakerStates", beamline.GetCircuitBreakerStatesRequest())
    print("its breakers:", ", ".join(sorted({f"{one.provider_id} {one.state}" for one in breakers.states})))
    gone = admin("RouterAdmin/DeletePolicy", beamline.DeletePolicyRequest(tenant_id=TENANT, policy_id="mine"))
    print("deleted:", gone.deleted)
    for given, method, request in (
        (key, "RouterAdmin/GetPolicy", beamline.GetPolicyRequest(tenant_id=TENANT, policy_id="mine")),
        ("not-the-key", "RouterAdmin/ListPolicies", beamline.ListPoliciesRequest(tenant_id=TENANT)),
    ):
        try:
            ask(channel, given, method, request)
        except grpc.RpcError as error:
            print("refused:", error.code().name, error.details())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sidecar", default="127.0.0.1:7071", help="its grpc listener (127.0.0.1:7071)")
    parser.add_argument("--key", default="beamline-demo-key", help="the stand-in Router's own (beamline-demo-key)")
    asked = parser.parse_args()
    # grpcio would take the environment's proxy, for localhost too.
    with grpc.insecure_channel(asked.sidecar, options=[("grpc.enable_http_proxy", 0)]) as channel:
        story(channel, asked.key)


if __name__ == "__main__":
    main()
