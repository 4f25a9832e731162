"""What the daemon tells of its parts when somebody scrapes: which targets of a route could be tried now."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.kit.running import Running, running

NOWHERE = "http://127.0.0.1:1"


async def ready(sidecar: Running) -> dict[tuple[str, str], float]:
    """`sidecar_target_ready`, by route and upstream."""
    text = (await sidecar.ask("/metrics")).body.decode()
    return {
        (sample.labels["route"], sample.labels["upstream"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "sidecar_target_ready"
    }


async def test_a_target_is_ready_until_its_breaker_opens_and_a_static_one_always() -> None:
    policy = f"""
[upstreams.shop]
url = "{NOWHERE}"
[routes.alone]
match = {{ path = "/alone" }}
chain = ["shop"]
[routes.shop]
match = {{ path = "/shop" }}
chain = ["shop", "static/away"]
[static.away]
status = 200
"""
    async with running(policy) as sidecar:
        all_is_well = {("alone", "shop"): 1.0, ("shop", "shop"): 1.0, ("shop", "static/away"): 1.0}
        assert await ready(sidecar) == all_is_well
        sidecar.runtime.breakers()["shop"].force_open()
        assert await ready(sidecar) == {**all_is_well, ("alone", "shop"): 0.0, ("shop", "shop"): 0.0}
        sidecar.runtime.breakers()["shop"].reset()
        assert await ready(sidecar) == all_is_well


async def test_a_target_that_rests_is_not_ready() -> None:
    policy = f'[upstreams.a]\nurl = "{NOWHERE}"\n[routes.r]\nmatch = {{ path = "/r" }}\nchain = ["a"]\n'
    async with running(policy) as sidecar:
        assert sidecar.daemon.view is not None
        sidecar.runtime.routes[0].targets[0].rest.rest(sidecar.daemon.view.clock() + 60, "throttled")
        assert await ready(sidecar) == {("r", "a"): 0.0}


async def test_a_provider_is_ready_while_one_of_its_models_is() -> None:
    policy = f"""
[upstreams.openai]
protocol = "openai"
url = "{NOWHERE}/v1"
api_key = "sk-1"
[routes.openai]
match = {{ path = "/v1/*" }}
chain = ["openai"]
[models.smart]
chain = ["openai/large"]
"""
    async with running(policy) as sidecar:
        breakers = sidecar.runtime.breakers()
        breakers["openai/large"].force_open()
        assert await ready(sidecar) == {("openai", "openai"): 1.0}  # other models may be asked for
        for breaker in breakers.values():
            breaker.force_open()
        assert await ready(sidecar) == {("openai", "openai"): 0.0}
