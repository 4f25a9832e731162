"""`GET /live` of calls of every kind: each appears as what it is."""

from __future__ import annotations

from typing import Any

from tests.kit.caller import PATIENCE
from tests.kit.live import LISTEN, hearing
from tests.kit.llm_raw import chats, streamed
from tests.kit.llm_stage import CLAUDE_ONLY, GPT_ONLY, stage
from tests.kit.peer import listening
from tests.kit.rpc import channel_to, fail, rpc_service
from tests.kit.rpc_caller import ask
from tests.kit.running import one, request, running

RPC = '[listen]\nhttp = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\ngrpc = "127.0.0.1:0"\n'
UPGRADE = ("Connection: Upgrade", "Upgrade: raw")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"


def channels(pulses: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Of each upstream, as they were told last; a pulse tells what has changed."""
    told = {name: upstream["channels"] for pulse in pulses for name, upstream in pulse["upstreams"].items()}
    assert {state for each in told.values() for state in each} <= {"idle", "connecting", "ready"}
    return told


async def test_grpc_calls_have_codes_and_their_upstream_channels() -> None:
    async with rpc_service(fail("INTERNAL", "no")) as service:
        policy = one(service.url, more=RPC, upstream='protocol = "grpc"').replace('path = "/*"', 'grpc = "shop.v1.*"')
        async with running(policy) as sidecar, channel_to(sidecar) as channel, hearing(sidecar) as live:
            assert (await ask(channel, b"x", method="/shop.v1.Cart/Add")).code == "INTERNAL"
            assert (await ask(channel, b"x", method="/no.Such/Method")).code == "UNIMPLEMENTED"
            pulses = [await live.pulse()]
            while sum(pulse["total"]["calls"] for pulse in pulses) < 2 or channels(pulses)["a"] != ["ready"]:
                pulses.append(await live.pulse())
    calls = {call["path"]: call for pulse in pulses for call in pulse["calls"]}
    known, unknown = calls["/shop.v1.Cart/Add"], calls["/no.Such/Method"]
    assert (known["protocol"], known["code"], known["route"], known["upstream"]) == ("grpc", "INTERNAL", "r", "a")
    assert (unknown["code"], unknown["route"], unknown["outcome"]) == ("UNIMPLEMENTED", "_none", "no_route")
    assert sum(pulse["routes"]["r"]["errors"] for pulse in pulses if "r" in pulse["routes"]) == 1
    assert sum(pulse["total"]["refused"] for pulse in pulses) == 1
    assert sum(pulse["total"]["errors"] for pulse in pulses) == 1


async def test_llm_calls_have_the_model_s_target_and_the_time_to_the_first_token() -> None:
    async with stage(more=LISTEN) as s, hearing(s.sidecar) as live:
        state = await live.state()
        chains = {model["name"]: model["chain"] for model in state["models"]}
        assert chains["gpt-only"] == ["openai/gpt-4o"]
        first = await live.pulse()
        assert set(chains["claude-first"]) <= set(first["targets"])
        assert {"openai/gpt-4o", "anthropic/claude-sonnet-4-6"} <= set(first["breakers"])
        await chats(s.sidecar, GPT_ONLY)
        assert b"[DONE]" in await streamed(s.sidecar, CLAUDE_ONLY)
        pulses = [await live.pulse()]
        while sum(pulse["total"]["calls"] for pulse in pulses) < 2:
            pulses.append(await live.pulse())
    calls = [call for pulse in pulses for call in pulse["calls"]]
    assert [call["upstream"] for call in calls] == ["openai/gpt-4o", "anthropic/claude-sonnet-4-6"]
    assert all(0 < call["ttfb"] <= call["seconds"] < PATIENCE for call in calls)
    assert pulses[-1]["routes"]["llm"]["ttfb_p50"] is not None
    serving: dict[str, int] = {}
    for pulse in pulses:
        serving |= pulse["routes"].get("llm", {}).get("serving", {})
    assert serving == {"openai/gpt-4o": 1, "anthropic/claude-sonnet-4-6": 1}
    models: dict[str, Any] = {}
    for pulse in pulses:
        models |= pulse["models"]
    assert models == {
        "gpt-only": {"serving": {"openai/gpt-4o": 1}},
        "claude-only": {"serving": {"anthropic/claude-sonnet-4-6": 1}},
    }
    assert "hi there" not in str(pulses)


async def test_a_tunnel_is_under_way_until_it_ends_and_then_no_latency() -> None:
    async with (
        listening() as upstream,
        running(one(upstream.url, more=LISTEN)) as sidecar,
        hearing(sidecar) as live,
    ):
        caller = await sidecar.caller()
        caller.send(request("/", *UPGRADE))
        peer = await upstream.accept()
        await peer.request()
        peer.say(SWITCH)
        await caller.head()
        told = await live.pulse(lambda pulse: pulse["total"]["inflight"] == 1)
        assert told["total"]["calls"] == 0
        caller.writer.write_eof()
        peer.end()
        told = await live.pulse(lambda pulse: pulse["total"]["calls"] == 1)
    [call] = told["calls"]
    assert (call["status"], call["outcome"], told["total"]["p50"], told["total"]["errors"]) == (101, "ok", None, 0)
    assert told["total"]["ttfb_p50"] is not None
