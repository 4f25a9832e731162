"""The process that people start, told by signals and by its file: no caller loses a call, and nothing is left."""

from __future__ import annotations

import signal
from collections import Counter
from typing import TYPE_CHECKING

import aiohttp

from tests.kit.edits import moved_over
from tests.kit.inventory import more_than
from tests.kit.process import sidecar_process
from tests.kit.reload_stage import BASE, CHANGES, Policies
from tests.kit.rpc import rpc_service
from tests.kit.telling import WebService, echo_and_tell
from tests.kit.traffic import traffic

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.reload_stage import Policy

QUIET = BASE + '[telemetry]\naccess_log = "errors"\n'


async def test_fifty_signals_and_ten_changes(tmp_path: Path) -> None:
    file = tmp_path / "sidecar.toml"
    async with WebService() as web, rpc_service(echo_and_tell) as rpc:
        policies = Policies(QUIET, {"WEB": web.url, "RPC": rpc.url})
        file.write_text(policies.one().text)
        async with sidecar_process(file) as sidecar, aiohttp.ClientSession(sidecar.admin) as admin:
            told = {1: "first"}

            async def live(policy: Policy) -> int:
                async with admin.get("/config", params={"wait": policy.hash}) as answer:
                    assert answer.status == 200, policy.name
                    generation = int((await answer.json())["generation"])
                told[generation] = policy.told
                return generation

            async def by_signal(policy: Policy) -> int:
                file.write_text(policy.text)
                sidecar.signal(signal.SIGHUP)
                return await live(policy)

            async def by_itself(policy: Policy) -> int:
                await moved_over(file, policy.text)
                return await live(policy)

            async with traffic(sidecar) as callers:
                for policy in policies.many(len(CHANGES)):  # what is made once is made
                    callers.live(await by_signal(policy))
                    await callers.turn()
            open_before = Counter(descriptors=sidecar.descriptors())
            async with traffic(sidecar) as callers:
                for policy in policies.many(50):
                    callers.live(await by_signal(policy))
                    await callers.turn()
                for policy in policies.many(10):
                    callers.live(await by_itself(policy))
                    await callers.turn()
            assert not callers.failures(), "\n".join(callers.failures())
            assert callers.mixed(told) == []
            assert max(told) == 1 + len(CHANGES) + 60  # each text was taken once
            await by_signal(policies.one("other names of all"))
            await by_signal(policies.one())
            assert await more_than(open_before, lambda: Counter(descriptors=sidecar.descriptors())) == {}
