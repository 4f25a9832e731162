"""Many reloads in a row under traffic of every kind, whatever the way: nothing is lost, and nothing is left.

`way` makes a policy live, and returns its generation.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.kit.inventory import held, more_than
from tests.kit.lasting import lasting
from tests.kit.reload_stage import CHANGES
from tests.kit.running import until
from tests.kit.traffic import KINDS, traffic

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from tests.kit.reload_stage import Policy, Stage
    from tests.kit.traffic import Steady

    Way = Callable[[Stage, Policy], Awaitable[int]]


async def nothing_lost(
    stage: Stage, way: Way, policies: Iterable[Policy], kinds: Sequence[type[Steady]] = KINDS
) -> None:
    """These reloads under traffic, and under streams that began before them: no call fails, none meets two policies."""
    before, texts = stage.generation, list(policies)
    async with lasting(stage) as streams, traffic(stage.sidecar, kinds) as callers:
        callers.live(before)
        for policy in texts:
            callers.live(await way(stage, policy))
            await callers.turn()
            await streams.beat()
        await streams.end()
        assert streams.generations == dict.fromkeys(("sse", "websocket", "bidi", "upload"), str(before))
    assert stage.generation == before + len(texts)  # each text was taken once
    assert not callers.failures(), "\n".join(callers.failures())
    assert callers.mixed(stage.generations) == []
    assert callers.calls().keys() == {kind.kind for kind in kinds}


async def nothing_left(stage: Stage, way: Way, times: int) -> None:
    """So many reloads without loss, after which no more is held than before them."""
    await nothing_lost(stage, by_post, stage.policies(len(CHANGES)))  # what is made once is made
    before, series = await at_rest(stage), await stage.metrics()
    await nothing_lost(stage, way, stage.policies(times))
    await at_rest(stage)
    more = await more_than(before)
    assert not more, more
    others = set(await stage.metrics()) ^ set(series)
    assert not others, others
    assert await stage.metric("sidecar_config_reload_failed") == 0
    assert await stage.values("sidecar_inflight") == {0}


async def by_post(stage: Stage, policy: Policy) -> int:
    """The quickest way."""
    return await stage.post(policy)


async def at_rest(stage: Stage) -> Counter[str]:
    """What is held when nobody calls, on a generation that nobody has called yet; no series is left of calls.

    Its gRPC upstream has been asked by reflection, and the connection for that is there.
    """
    await stage.post(stage.policy("other names of all"))
    await stage.post(stage.policy())
    await until(lambda: not any(task.get_name().startswith("reflection of") for task in asyncio.all_tasks()))
    stage.rpc.seen.clear()
    return held()
