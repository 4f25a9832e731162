"""Secrets and certificates in files of their own, renewed under traffic: the next call has them, and no call fails."""

from __future__ import annotations

import shutil
import ssl
from typing import TYPE_CHECKING

import pytest

from sidecar import watching
from tests.kit import edits
from tests.kit.caller import Caller
from tests.kit.certificates import make_certificates
from tests.kit.lasting import lasting
from tests.kit.peer import listening
from tests.kit.reload_stage import BASE, reload_stage
from tests.kit.running import QUICK, one, request, running
from tests.kit.scripted import OK, reply
from tests.kit.traffic import Bidi, Events, Fresh, Http, Rpc, traffic

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.certificates import Certificates
    from tests.kit.reload_stage import Stage
    from tests.kit.traffic import Steady

WAYS = [
    edits.in_place, edits.moved_over, edits.with_a_backup, edits.by_sed, edits.deleted_first,
    edits.in_a_config_map, edits.behind_a_link, edits.moved_behind_a_link,
]  # fmt: skip


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are looked at often, and what they hold counts soon."""
    monkeypatch.setattr(watching, "_STEP", 10)
    monkeypatch.setattr(watching, "STILL", 0.02)
    monkeypatch.setattr(edits, "PAUSE", 0.05)


async def renewed(stage: Stage, way: edits.Way, secret: Path, value: str) -> int:
    """The generation of which the secret is this."""
    since = len(stage.sidecar.log.lines)
    await way(secret, value + "\n")
    generation = int((await stage.told("the policy file was taken", since=since))["generation"])
    stage.generations[generation] = value
    return generation


async def test_a_renewed_key_reaches_the_upstream_with_the_next_call(tmp_path: Path) -> None:
    secret = tmp_path / "secrets" / "key"
    secret.parent.mkdir()
    secret.write_text("first\n")
    policy = BASE.replace('"first"', f'{{ file = "{secret}" }}')
    async with reload_stage(policy, watched=True) as stage:
        async with lasting(stage) as streams, traffic(stage.sidecar) as callers:
            for number, way in enumerate(WAYS * 2):
                callers.live(await renewed(stage, way, secret, f"key-{number}"))
                await callers.turn()
                await streams.beat()
            await streams.end()
            assert set(streams.generations.values()) == {"1"}
        assert not callers.failures(), "\n".join(callers.failures())
        assert callers.mixed(stage.generations) == []
        assert stage.generation == 1 + 2 * len(WAYS)
        assert (await stage.ask("/health"))["checks"]["config"] == "ok"
        assert "key-" not in str(await stage.ask("/config")) + str(stage.sidecar.log.lines)


async def test_a_call_under_way_keeps_its_key_for_the_next_try(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("old")
    key = f'headers = {{ X-API-Key = {{ file = "{secret}" }} }}'
    async with listening() as upstream, running(one(upstream.url, upstream=key, more=QUICK), watched=True) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/"))
        peer = await upstream.accept()
        assert b"X-API-Key: old" in await peer.request()
        secret.write_text("new")
        await sidecar.log.saying("the policy file was taken")
        peer.say(reply("503 No"))
        peer.end()
        again = await upstream.accept()
        assert b"X-API-Key: old" in await again.request()
        again.say(OK)
        assert (await caller.answer()).fields["x-sidecar-config"] == "1"
        caller.send(request("/"))
        after = await upstream.accept()
        assert b"X-API-Key: new" in await after.request()
        after.say(OK)
        assert (await caller.answer()).fields["x-sidecar-config"] == "2"


# Certificates.


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Certificates]:
    """Two servers' certificates, each of an authority of its own."""
    return [make_certificates(tmp_path_factory.mktemp(name)) for name in ("one", "other")]


def placed(certificates: Certificates, folder: Path) -> None:
    """Certificate and key, one after the other: in between they do not belong together."""
    for file in certificates.pair("server"):
        shutil.copy(file, folder)


async def test_a_renewed_certificate_is_shown_to_who_comes_and_costs_no_call(
    tmp_path: Path, made: list[Certificates]
) -> None:
    placed(made[0], tmp_path)
    cert, key = tmp_path / "server.pem", tmp_path / "server.key"
    policy = BASE.replace('grpc = "', f'http_tls = {{ cert = "{cert}", key = "{key}" }}\ngrpc = "', 1)
    trusting = ssl.create_default_context(cafile=made[0].ca)
    trusting.load_verify_locations(made[1].ca)
    kinds: list[type[Steady]] = [Http, Http, Fresh, Fresh, Events, Rpc, Bidi]
    async with reload_stage(policy, watched=True) as stage:
        stage.sidecar.client_tls = trusting
        async with traffic(stage.sidecar, kinds) as callers:
            for certificates in (made[1], made[0], made[1]):
                since = len(stage.sidecar.log.lines)
                placed(certificates, tmp_path)
                await stage.told("the policy file was taken", since=since)
                await callers.turn()
                only = await Caller.connect(stage.sidecar.port, tls=certificates.caller())
                await only.close()
        assert not callers.failures(), "\n".join(callers.failures())


async def test_an_upstreams_new_authority_is_trusted_by_the_next_call(tmp_path: Path, made: list[Certificates]) -> None:
    authority = tmp_path / "ca.pem"
    shutil.copy(made[0].ca, authority)
    async with listening(context=made[1].server()) as upstream:
        url = upstream.url.replace("http://127.0.0.1", "https://localhost")
        tls = f'tls = {{ ca = "{authority}" }}\ncircuit_breaker = false'
        async with running(one(url, upstream=tls, more=QUICK), watched=True) as sidecar:
            assert (await sidecar.ask("/")).status == 502
            shutil.copy(made[1].ca, authority)
            await sidecar.log.saying("the policy file was taken")
            caller = await sidecar.caller()
            caller.send(request("/"))
            peer = await upstream.accept()
            await peer.request()
            peer.say(OK)
            assert (await caller.answer()).status == 200
