"""Methods that an upstream tells of: known while it runs, and no call notices that it was asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from sidecar.upstreams.reflection_answers import V1, V1_ALPHA
from tests.kit.reflecting import FOUR_KINDS, LIST, EndsError, Reflecting, by_file, file_of, reflecting, scripted
from tests.kit.rpc import channel_to, routed
from tests.kit.rpc_caller import ask, ask_unary
from tests.kit.running import running, until

if TYPE_CHECKING:
    from tests.kit.running import Running

GET = "/test.S/Get"
WATCH = "/test.S/Watch"


def takes_the_unary_way(sidecar: Running, method: str) -> bool:
    """By the handler that the listener gives to grpcio."""
    assert sidecar.daemon._listening is not None
    (door,) = sidecar.daemon._listening._rpc_doors()
    handler = door.rpc.service(SimpleNamespace(method=method))
    return handler.unary_unary is not None


async def asked(server: Reflecting, sidecar: Running, times: int) -> None:
    """Until it has been asked so often, and the answer to the last question is there."""
    reflections = [client.reflection for _, client in sidecar.runtime.parts.of("grpc")]
    await until(lambda: len(server.asked) >= times and all(each._task.done() for each in reflections))


@pytest.mark.both_loops
async def test_a_method_takes_the_unary_way_once_its_upstream_has_told() -> None:
    async with reflecting(by_file(FOUR_KINDS)) as server, running(routed(server.url)) as sidecar:
        assert not takes_the_unary_way(sidecar, GET)
        await asked(server, sidecar, 2)
        assert takes_the_unary_way(sidecar, GET)
        assert not takes_the_unary_way(sidecar, WATCH)
        assert not takes_the_unary_way(sidecar, "/test.S/Unheard")
        assert sidecar.runtime.methods.name(WATCH.encode()) == "test.S/Watch"
        async with channel_to(sidecar) as channel:
            assert (await ask_unary(channel, method=GET)).short == ("OK", [b"hi"])
            assert (await ask(channel, b"a", b"b", method=WATCH)).short == ("OK", [b"a", b"b"])


@pytest.mark.parametrize("respond", [None, scripted(EndsError("UNAVAILABLE")), scripted(b"\xff")])
async def test_who_tells_nothing_is_called_as_well_and_not_blamed(respond: object) -> None:
    async with (
        reflecting(respond) as server,  # type: ignore[arg-type]
        running(routed(server.url)) as sidecar,
        channel_to(sidecar) as channel,
    ):
        await until(lambda: len(server.asked) >= 1)
        assert (await ask_unary(channel, method=GET)).short == ("OK", [b"hi"])
        breaker = sidecar.runtime.breakers()["a"].snapshot()
        assert (breaker["total_calls"], breaker["recent_failures"]) == (1, 0)
        assert [line for line in sidecar.log.lines if line["level"] not in ("info", "INFO")] == []


async def test_the_questions_carry_the_upstream_s_credential() -> None:
    policy = routed("URL", upstream='headers = { authorization = "Bearer of-ours" }\ndefault_headers = { x-a = "1" }')
    async with (
        reflecting(by_file(FOUR_KINDS)) as server,
        running(policy.replace("URL", server.url)) as sidecar,
    ):
        await asked(server, sidecar, 2)
    assert {("authorization", "Bearer of-ours"), ("x-a", "1")} <= set(server.metadata)


async def test_what_was_learned_outlives_a_reload_that_keeps_the_client() -> None:
    async with reflecting(by_file(FOUR_KINDS)) as server, running(routed(server.url)) as sidecar:
        await asked(server, sidecar, 2)
        before = sidecar.runtime
        with sidecar.file.open("a") as file:
            file.write('deadline = "9s"\n')
        await sidecar.daemon.reload()
        assert sidecar.runtime is not before
        assert takes_the_unary_way(sidecar, GET)
    assert server.asked == [(V1, LIST), (V1, "test.S")]


async def test_another_client_asks_anew() -> None:
    async with reflecting(by_file(FOUR_KINDS)) as server, running(routed(server.url)) as sidecar:
        await asked(server, sidecar, 2)
        server.respond = by_file(file_of("S", methods="Watch"))
        policy = sidecar.file.read_text()
        sidecar.file.write_text(policy.replace(f'url = "{server.url}"', f'url = "{server.url}"\nvia = false'))
        await sidecar.daemon.reload()
        await asked(server, sidecar, 4)
        assert takes_the_unary_way(sidecar, WATCH)
        assert not takes_the_unary_way(sidecar, GET)


async def test_a_router_is_not_asked_since_its_methods_are_known() -> None:
    async with reflecting(None) as server:
        policy = routed(server.url).replace('protocol = "grpc"', 'protocol = "router"')
        async with running(policy) as sidecar, channel_to(sidecar) as channel:
            assert (await ask_unary(channel, method=GET)).code == "OK"
    assert server.asked == []


async def test_who_may_not_know_the_first_version_is_asked_by_the_draft() -> None:
    async with reflecting(by_file(FOUR_KINDS), V1_ALPHA) as server, running(routed(server.url)) as sidecar:
        await asked(server, sidecar, 3)
        assert takes_the_unary_way(sidecar, GET)
