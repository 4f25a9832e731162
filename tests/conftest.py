"""What every test may use.

`@pytest.mark.virtual_time` runs an async test, and its async fixtures, on a
`VirtualTimeLoop`; `virtual_loop` gives that loop to a test that wants to move or
read its clock, and needs the mark beside it. `@pytest.mark.both_loops` runs it on asyncio's loop
and on uvloop. All other async tests run on the loop that asyncio makes.

`node` runs a module on Node with the providers' SDKs at hand: `await node(script, env)`.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import signal
from typing import TYPE_CHECKING

import pytest
import uvloop
from hypothesis import settings

from tests.kit.node import Node, node_with_sdks
from tests.kit.virtual_loop import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def pytest_configure(config: pytest.Config) -> None:
    # Programs that are started from here hear Ctrl-C, even where this run does not: a shell's `&` has it ignored.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # No test fails because its machine is busy.
    settings.register_profile("untimed", settings.default, deadline=None)
    settings.load_profile("untimed")
    config.addinivalue_line(
        "markers", "virtual_time: run this async test on a loop whose clock jumps to the next timer"
    )
    config.addinivalue_line("markers", "both_loops: run this async test on asyncio's own loop and on uvloop")
    gc.disable()  # until all is collected: nothing of that goes away, and to look at it again and again is 5 s


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """After they were shuffled: those that may take long begin first, lest one worker ends alone with one of them."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.enable()
    _forget_the_living()


def pytest_runtest_logfinish(nodeid: str) -> None:
    if next(_ended) % 500 == 0:
        _forget_the_living()


_ended = itertools.count(1)


def _forget_the_living() -> None:
    """The garbage collector leaves alone what lives now: modules, tests, reports, half a million objects.

    Else each full collection looks at them again, for 0.3 s: those that tests ask for, and those that come in the
    middle of a timer of 50 ms.
    """
    gc.collect()
    gc.freeze()


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.get_closest_marker("virtual_time"):
        return {"virtual": VirtualTimeLoop}
    if item.get_closest_marker("both_loops"):
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"real": asyncio.new_event_loop}


@pytest.fixture
async def virtual_loop() -> VirtualTimeLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop), "the test needs @pytest.mark.virtual_time"
    return loop


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """Skipped where there is no Node, no npm, or no way to the packages; where CI is set it fails."""
    return node_with_sdks(tmp_path_factory.getbasetemp().parent)
