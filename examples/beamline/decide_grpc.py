"""Decides over gRPC, one after the other. No retry, no breaker, no second address: that is the sidecar's business.

python examples/beamline/decide_grpc.py --count 20
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from typing import Any

import grpc

from sidecar.pb.beamline.flow.v1.flow_pb2 import Message, RouteDecision, RouteRequest

DECIDE = RouteRequest(
    message=Message(tenant_id="demo", message_type="text.generate", payload=b'{"text": "Hello, world!"}'),
    policy_id="demo-policy",
)


def decide(method: Any) -> tuple[str, str, str]:
    """Status, who answered, and what: the provider, or the status's text."""
    try:
        decision, call = method.with_call(DECIDE, timeout=30)
    except grpc.RpcError as error:
        told: Any = error.trailing_metadata() or ()
        return error.code().name, dict(told).get("x-sidecar-upstream", "sidecar"), error.details() or ""
    return "OK", dict(call.initial_metadata())["x-sidecar-upstream"], decision.provider_id


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sidecar", default="127.0.0.1:7071", help="its grpc listener (127.0.0.1:7071)")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between two (0.05)")
    asked = parser.parse_args()
    tally: Counter[str] = Counter()
    # grpcio would take the environment's proxy, for localhost too.
    with grpc.insecure_channel(asked.sidecar, options=[("grpc.enable_http_proxy", 0)]) as channel:
        method = channel.unary_unary(
            "/beamline.flow.v1.Router/Decide", RouteRequest.SerializeToString, RouteDecision.FromString
        )
        for _ in range(asked.count):
            status, by, said = decide(method)
            print(status, by, said, flush=True)
            tally[f"{status} by {by}"] += 1
            time.sleep(asked.pause)
    print("all in all:", ", ".join(f"{count} times {what}" for what, count in tally.items()))


if __name__ == "__main__":
    main()
