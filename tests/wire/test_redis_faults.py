"""Redis down, silent, back again: callers are answered at once, and the sidecar says what it does."""

from __future__ import annotations

import time

import pytest

from sidecar.stores import redis_store
from tests.kit.addresses import free_port
from tests.kit.caller import PATIENCE
from tests.kit.certificates import Certificates, make_certificates
from tests.kit.redis_server import redis_server
from tests.kit.refused import refusal
from tests.kit.running import running
from tests.kit.shared_limit import health, metric, passed, patient, shared, statuses, until_redis

pytestmark = pytest.mark.timeout(90)

LOCAL = 'sidecar_store_decisions_total{store="redis",result="local"}'
SHARED = 'sidecar_store_decisions_total{store="redis",result="shared"}'
REJECTED = 'sidecar_store_decisions_total{store="redis",result="rejected"}'
UP = 'sidecar_store_up{store="redis"}'


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    patient(monkeypatch)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


async def test_begun_without_redis_each_counts_for_itself_until_it_comes() -> None:
    async with redis_server() as redis:
        await redis.stop()
        policy = shared(redis.url, "per_hour = 5")
        async with running(policy) as a, running(policy) as b:
            told = await until_redis(a, "unreachable")
            assert told == "unreachable: Connection refused; counting locally"
            assert (await health(a))[0] == "degraded"
            assert await statuses(a, 6) == [200] * 5 + [429]
            assert await statuses(b, 3) == [200] * 3
            assert (await metric(a, LOCAL), await metric(a, UP)) == (6, 0)
            await redis.start()
            await until_redis(a, "ok")
            await until_redis(b, "ok")
            assert (await health(a))[0] == "healthy"
            assert await statuses(b, 2) == [200, 200]
            assert await statuses(a, 1) == [429]
            assert await statuses(b, 1) == [429], "what the other counted alone has been brought along"
            assert await metric(a, UP) == 1
            said = [line["message"] for line in b.log.lines if "shared" in line["message"]]  # one process, one log
            assert sorted(said) == ["limits are not shared"] * 2 + ["limits are shared again"] * 2


async def test_where_it_is_said_so_calls_are_refused() -> None:
    async with redis_server() as redis, running(shared(redis.url, on_failure="reject")) as sidecar:
        assert (await sidecar.ask("/api/x")).status == 200
        await redis.stop()
        answer = await sidecar.ask("/api/x")
        assert refusal(answer) == (503, "overloaded")
        assert int(answer.fields["retry-after"]) >= 1
        assert "redis" not in answer.body.decode().lower(), "where limits are counted is no caller's business"
        assert (await until_redis(sidecar, "unreachable")).endswith("; refusing")
        assert await metric(sidecar, REJECTED) == 1
        assert await metric(sidecar, 'rate_limit_exceeded_total{endpoint="r",identifier="global"}') == 0
        await redis.start()
        await until_redis(sidecar, "ok")
        assert (await sidecar.ask("/api/x")).status == 200


async def test_silence_hangs_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async with redis_server() as redis, running(shared(redis.url, "per_hour = 1000")) as sidecar:
        assert await statuses(sidecar, 1) == [200]
        monkeypatch.setattr(redis_store, "PATIENCE", 0.5)
        redis.freeze()
        began = time.monotonic()
        assert await statuses(sidecar, 100) == [200] * 100
        assert time.monotonic() - began < 2 * PATIENCE, "a hundred waits of 0.5 s would be as long"
        assert "no answer within 500 ms" in await until_redis(sidecar, "unreachable")
        redis.thaw()
        await until_redis(sidecar, "ok")


async def test_under_load_a_restart_of_redis_fails_no_call() -> None:
    async with redis_server() as redis, running(shared(redis.url, "per_hour = 100000")) as sidecar:
        assert await passed(sidecar, 20) == 20
        await redis.stop()
        assert await passed(sidecar, 20) == 20
        await redis.start()
        assert await passed(sidecar, 20) == 20
        await until_redis(sidecar, "ok")


async def test_the_quotas_are_told_as_of_a_local_limit() -> None:
    async with redis_server() as redis:
        policy = shared(redis.url, "per_minute = 2")
        async with running(policy) as a, running(policy) as b:
            first = await a.ask("/api/x")
            assert "r=1" in first.fields["ratelimit"]
            assert first.fields["x-ratelimit-remaining-minute"] == "1"
            second = await b.ask("/api/x")
            assert second.fields["x-ratelimit-remaining-minute"] == "0"
            refused = await a.ask("/api/x")
            assert refusal(refused) == (429, "rate_limited")
            assert 0 < int(refused.fields["retry-after"]) <= 30
            assert refused.fields["x-ratelimit-limit-minute"] == "2"


async def test_who_waits_for_a_place_gets_the_next_one() -> None:
    async with redis_server() as redis:
        policy = shared(redis.url, 'per_second = 10, burst = 1, max_wait = "5s"')
        async with running(policy) as a, running(policy) as b:
            began = time.monotonic()
            assert await statuses(a, 2) == [200, 200]
            assert await statuses(b, 2) == [200, 200]
            assert time.monotonic() - began > 0.29


async def test_secrets_are_told_nowhere() -> None:
    async with (
        redis_server("--requirepass", "right") as redis,
        running(shared(redis.url.replace("//", "//me:hunter2@"))) as sidecar,
    ):
        told = await until_redis(sidecar, "unreachable")
        view = sidecar.daemon.view
        assert view is not None
        shown = [told, await view.config(), sidecar.log.lines, sidecar.runtime.settings.redis]
        assert "hunter2" not in repr(shown)


async def test_by_tls_the_server_is_held_to_its_certificate(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's authorities are asked, or those that `SSL_CERT_FILE` names."""
    cert, key = certificates.pair("server")
    port = free_port()
    options = ("--tls-port", str(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no")
    url = f"rediss://localhost:{port}"
    async with redis_server(*options):
        async with running(shared(url)) as sidecar:
            assert "certificate verify failed" in await until_redis(sidecar, "unreachable")
        monkeypatch.setenv("SSL_CERT_FILE", certificates.ca)
        async with running(shared(url)) as sidecar:
            await until_redis(sidecar, "ok")
            assert await statuses(sidecar, 2) == [200, 200]
            assert await metric(sidecar, SHARED) == 2
