"""A static link behind a gRPC route: a status, its text, and what may be told as metadata."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest

from sidecar.pb.beamline.flow.v1.flow_pb2 import RouteDecision, RouteRequest
from tests.kit.addresses import free_port
from tests.kit.caller import PATIENCE
from tests.kit.rpc import channel_to, fail, routed, rpc_service
from tests.kit.running import running

SORRY = """
[policies.default.circuit_breaker]
failure_threshold = 1
failure_rate = 0
[static.sorry]
grpc_code = "RESOURCE_EXHAUSTED"
grpc_message = "all are away: später"
headers = { content-type = "application/json", grpc-status = "0", X-Place = "file", X-Word = "später", "x!" = "1" }
body = '{"sorry": true}'
"""


def policy(url: str, sorry: str = SORRY) -> str:
    return routed(url, more=sorry).replace('chain = ["a"]', 'chain = ["a", "static/sorry"]')


async def refused(channel: grpc.aio.Channel, method: str = "/p.S/Any") -> grpc.aio.AioRpcError:
    """By a unary client: one of a stream puts INTERNAL in the place of a status that comes while it sends."""
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call(b"hi", timeout=PATIENCE)
    return error.value


async def test_it_answers_with_its_status_where_nobody_else_does() -> None:
    async with running(policy(f"grpc://127.0.0.1:{free_port()}")) as sidecar, channel_to(sidecar) as channel:
        for attempts in ("1", "0"):  # the second one finds the breaker open
            error = await refused(channel)
            assert (error.code(), error.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "all are away: später")
            told = {str(name): value for name, value in error.trailing_metadata() or ()}
            assert (told["x-sidecar-upstream"], told["x-sidecar-attempts"]) == ("static", attempts)
            assert told["x-sidecar-error-category"] == "rate_limit"


async def test_fields_that_metadata_can_have_stand_behind_the_status() -> None:
    async with running(policy(f"grpc://127.0.0.1:{free_port()}")) as sidecar, channel_to(sidecar) as channel:
        told = {str(name): value for name, value in (await refused(channel)).trailing_metadata() or ()}
    assert told["x-place"] == "file"
    assert told.keys().isdisjoint({"content-type", "grpc-status", "x-word", "x!"})


async def test_without_a_word_of_its_own_it_is_unavailable() -> None:
    silent = policy(f"grpc://127.0.0.1:{free_port()}", "[static.sorry]")
    async with running(silent) as sidecar, channel_to(sidecar) as channel:
        assert (await refused(channel)).code() is grpc.StatusCode.UNAVAILABLE


async def test_an_answer_that_must_not_be_repeated_stands() -> None:
    async with (
        rpc_service(fail("NOT_FOUND", "no such thing")) as service,
        running(policy(service.url)) as sidecar,
        channel_to(sidecar) as channel,
    ):
        error = await refused(channel)
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "no such thing")


DECISION = """
[static.sorry]
status = 200
body = '{"provider_id": "spare", "reason": "default"}'
"""


@pytest.mark.parametrize(
    ("sorry", "said"),
    [
        (DECISION, "spare default"),
        (DECISION.replace("200", "503"), "UNAVAILABLE"),
        (DECISION + 'grpc_code = "ABORTED"', "ABORTED"),
        (DECISION.replace("provider_id", "provider"), "UNAVAILABLE"),
    ],
)
async def test_a_body_that_is_a_decision_answers_decides(sorry: str, said: str) -> None:
    decide: grpc.aio.UnaryUnaryMultiCallable[RouteRequest, RouteDecision]
    async with (
        running(policy(f"grpc://127.0.0.1:{free_port()}", sorry)) as sidecar,
        channel_to(sidecar) as channel,
    ):
        decide = channel.unary_unary(
            "/beamline.flow.v1.Router/Decide", RouteRequest.SerializeToString, RouteDecision.FromString
        )
        try:
            decision = await decide(RouteRequest(), timeout=20)
            answer = f"{decision.provider_id} {decision.reason}"
        except grpc.aio.AioRpcError as error:
            answer = error.code().name
        assert answer == said
        assert (await refused(channel)).code().name in ("UNAVAILABLE", "ABORTED")
