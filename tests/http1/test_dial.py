"""From a name to a socket: the race between addresses, and names that move."""

from __future__ import annotations

import asyncio
import socket

import pytest

from sidecar.http1.connect import Connector, Origin
from sidecar.http1.dial import Name, dial
from sidecar.http1.failures import ConnectFailed
from sidecar.http1.pool import Pool, PoolLimits
from tests.kit.addresses import FakeDns, black_hole, free_port
from tests.kit.caller import PATIENCE
from tests.kit.peer import listening

pytestmark = pytest.mark.both_loops


async def test_the_first_address_that_answers_wins() -> None:
    async with listening() as upstream:
        with black_hole() as silent:
            ports = [free_port(), silent, upstream.port, silent]
            loop = asyncio.get_running_loop()
            began = loop.time()
            winner = await dial([(socket.AF_INET, ("127.0.0.1", port)) for port in ports])
            # The refusal goes on to the black hole at once, and 250 ms of silence to the next.
            assert loop.time() - began > 0.2
            assert winner.getpeername()[1] == upstream.port
            winner.close()


async def test_families_take_turns() -> None:
    async with listening(host="::1") as upstream:
        refusing = free_port()
        four = (socket.AF_INET, ("127.0.0.1", refusing))
        winner = await dial([four, four, (socket.AF_INET6, ("::1", upstream.port, 0, 0))])
        assert winner.family == socket.AF_INET6
        winner.close()


async def test_when_no_address_answers_each_reason_is_told_once() -> None:
    refusing = (socket.AF_INET, ("127.0.0.1", free_port()))
    with pytest.raises(ConnectFailed, match=r"^connection refused$"):
        await dial([refusing, refusing, refusing])


async def test_a_race_that_is_cancelled_leaves_no_socket() -> None:
    with black_hole() as silent:
        racing = asyncio.create_task(dial([(socket.AF_INET, ("127.0.0.1", silent))] * 3))
        await asyncio.wait({racing}, timeout=0.3)
        racing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await racing  # a socket left open would be a ResourceWarning, and that an error


async def test_a_name_is_looked_up_once_for_many_connections() -> None:
    async with listening() as upstream:
        dns = FakeDns("127.0.0.1")
        origin = Origin.parse(f"http://service.test:{upstream.port}")
        connector = Connector(origin, name=Name(origin.host, origin.port, lookup=dns))
        connections = await asyncio.gather(*(connector.connect(PATIENCE) for _ in range(5)))
        assert dns.asked == 1
        for connection in connections:
            connection.close()


async def test_connections_to_an_address_that_vanished_are_not_reused() -> None:
    async with listening() as old, listening(host="::1") as new:
        dns = FakeDns("127.0.0.1")
        origin = Origin.parse(f"http://service.test:{old.port}")
        pool = Pool(Connector(origin, name=Name(origin.host, origin.port, lookup=dns, lifetime=0)), PoolLimits())
        first, second, busy = [await pool.acquire(PATIENCE) for _ in range(3)]
        peers = [await old.accept() for _ in range(3)]
        pool.release(first)
        pool.release(second)
        dns.hosts = ("::1",)
        taken = pool.try_acquire()  # notices that it is time to ask; the answer comes a little later
        assert taken is second
        assert await peers[0].ended(), "idle"
        assert pool.stats().idle == 0
        pool.release(second)
        pool.release(busy)
        assert pool.stats().idle == 0
        assert await peers[1].ended()
        assert await peers[2].ended()
        assert new.pending() == 0
        await pool.aclose()


async def test_new_connections_go_where_the_name_moved() -> None:
    async with listening(host="::1") as new:
        dns = FakeDns("127.0.0.1")
        origin = Origin.parse(f"http://service.test:{new.port}")
        connector = Connector(origin, name=Name(origin.host, origin.port, lookup=dns, lifetime=0))
        with pytest.raises(ConnectFailed, match="connection refused"):
            await connector.connect(PATIENCE)
        dns.hosts = ("::1",)
        connection = await connector.connect(PATIENCE)
        assert isinstance(connection.peer, tuple)
        assert connection.peer[0] == "::1"
        connection.close()


@pytest.mark.parametrize("hang", [False, True])
async def test_old_addresses_serve_on_while_the_name_does_not_resolve(hang: bool) -> None:
    async with listening() as upstream:
        dns = FakeDns("127.0.0.1")
        origin = Origin.parse(f"http://service.test:{upstream.port}")
        connector = Connector(origin, name=Name(origin.host, origin.port, lookup=dns, lifetime=0))
        (await connector.connect(PATIENCE)).close()
        dns.hosts, dns.hang = (), hang
        (await connector.connect(PATIENCE)).close()
        assert dns.asked == 2
        await connector.aclose()


async def test_a_name_that_did_not_resolve_is_asked_again() -> None:
    async with listening() as upstream:
        dns = FakeDns()
        origin = Origin.parse(f"http://service.test:{upstream.port}")
        connector = Connector(origin, name=Name(origin.host, origin.port, lookup=dns))
        with pytest.raises(ConnectFailed):
            await connector.connect(PATIENCE)
        dns.hosts = ("127.0.0.1",)
        (await connector.connect(PATIENCE)).close()
