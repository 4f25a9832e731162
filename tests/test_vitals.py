"""What runs now, and what of it has changed."""

from __future__ import annotations

from sidecar.vitals import Vitals
from tests.kit.live import LISTEN
from tests.kit.running import one, running
from tests.kit.scripted import OK, scripted


async def test_only_what_has_changed_is_told() -> None:
    async with scripted(OK) as upstream, running(one(upstream.url, more=LISTEN)) as sidecar:
        view = sidecar.daemon.view
        assert view is not None
        vitals = Vitals(view.clock)
        all_of_it = await vitals.look(view.runtime)
        assert {section: list(named) for section, named in all_of_it.items()} == {
            "targets": ["a"], "breakers": ["a"], "limits": [], "upstreams": ["a"],
        }  # fmt: skip
        assert await vitals.look(view.runtime) == {"targets": {}, "breakers": {}, "limits": {}, "upstreams": {}}
