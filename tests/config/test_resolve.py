"""What wins: own table, policy, `policies.default`, protocol, built-in."""

from __future__ import annotations

import pytest

from sidecar.config.resolve import Layer, ResolvedRoute, ResolvedUpstream, origin, resolve, route_layers, stack
from sidecar.settings import Settings

Tables = dict[str, object]


def file(**tables: object) -> Settings:
    return Settings.model_validate(tables)


def upstream(own: Tables | None = None, policies: Tables | None = None) -> ResolvedUpstream:
    settings = file(upstreams={"a": {"url": "http://a", **(own or {})}}, policies=policies or {})
    return resolve(settings).upstreams["a"]


def route(own: Tables | None = None, policies: Tables | None = None, **tables: object) -> ResolvedRoute:
    upstreams = {"a": {"url": "http://a"}, "c": {"url": "http://c", "protocol": "c-gateway"}}
    settings = file(
        upstreams={**upstreams, "llm": {"url": "http://l", "protocol": "openai"}},
        routes={"r": {"match": {"path": "/*"}, "chain": ["a"], **(own or {})}},
        policies=policies or {},
        **tables,
    )
    (only,) = resolve(settings).routes
    return only


def test_the_own_table_beats_the_policy_which_beats_the_default_key_by_key() -> None:
    policies: Tables = {
        "default": {"timeout": {"connect": 1, "attempt": 11, "idle": 111}},
        "slow": {"timeout": {"attempt": 22, "idle": 222}},
    }
    found = upstream({"policy": "slow", "timeout": {"idle": 333}}, policies).timeout
    assert (found.connect, found.attempt, found.idle) == (1, 22, 333)


def test_an_upstream_without_a_policy_takes_the_default_one() -> None:
    assert upstream(policies={"default": {"timeout": {"connect": 7}}}).timeout.connect == 7


def test_a_policy_that_is_not_named_says_nothing() -> None:
    assert upstream(policies={"slow": {"timeout": {"connect": 7}}}).timeout.connect == 2


def test_a_merged_table_remembers_what_the_file_set() -> None:
    found = upstream({"timeout": {"idle": 5}}, {"default": {"timeout": {"connect": 1}}}).timeout
    assert found.model_fields_set == {"idle", "connect"}


@pytest.mark.parametrize(
    ("protocol", "times", "deadline"),
    [
        ("http", (2, 20, 0, 300), 300),
        ("c-gateway", (2, 20, 0, 0), 60),
        ("router", (2, 20, 0, 0), 60),
        ("grpc", (2, 0, 0, 0), 0),
        ("openai", (5, 0, 60, 300), 600),
        ("anthropic", (5, 0, 60, 300), 600),
    ],
)
def test_times_that_nothing_sets(protocol: str, times: tuple[float, ...], deadline: float) -> None:
    found = resolve(
        file(
            upstreams={"a": {"url": "http://a", "protocol": protocol}},
            routes={"r": {"match": {"path": "/*"}, "chain": ["a"]}},
        )
    )
    timeout = found.upstreams["a"].timeout
    assert (timeout.connect, timeout.attempt, timeout.first_token, timeout.idle) == times
    assert found.routes[0].deadline == deadline


def test_the_default_policy_beats_the_protocol() -> None:
    own: Tables = {"protocol": "openai"}
    assert upstream(own, {"default": {"timeout": {"connect": 1}}}).timeout.connect == 1


def test_first_token_is_known_to_be_set() -> None:
    assert "first_token" not in upstream({"protocol": "openai"}).timeout.model_fields_set
    set_in_the_file = upstream(
        {"protocol": "openai"}, {"default": {"timeout": {"first_token": 9}}}
    ).timeout.model_fields_set
    assert "first_token" in set_in_the_file


def test_a_c_gateway_is_called_one_at_a_time_on_a_connection_of_its_own() -> None:
    found = upstream({"protocol": "c-gateway"})
    assert (found.settings.reuse, found.settings.finish, found.settings.via) == (False, True, False)
    assert found.concurrency is not None
    assert (found.concurrency.max, found.concurrency.queue, found.concurrency.max_wait) == (1, 64, 5)


def test_what_an_upstream_says_itself_beats_its_preset() -> None:
    found = upstream({"protocol": "c-gateway", "via": True, "concurrency": {"max": 4}})
    assert (found.settings.via, found.settings.reuse) == (True, False)
    assert found.concurrency is not None
    assert (found.concurrency.max, found.concurrency.queue) == (4, 64)


def test_a_preset_table_can_be_switched_off() -> None:
    assert upstream({"protocol": "c-gateway", "concurrency": False}).concurrency is None


def test_providers_have_no_limit_on_connections_and_slower_retries() -> None:
    assert upstream({"protocol": "openai"}).pool.max == 0
    (target,) = route({"chain": ["llm"]}).targets
    assert (target.retry.backoff, target.retry.max_backoff, target.retry.replay_buffer) == (0.5, 8, 32 * 1024**2)


def test_retry_is_taken_per_target_where_protocols_differ() -> None:
    http, llm = route({"chain": ["a", "llm"]}).targets
    assert (http.retry.backoff, llm.retry.backoff) == (0.1, 0.5)


def test_what_the_file_says_of_retry_holds_for_every_target() -> None:
    targets = route({"chain": ["a", "llm"], "retry": {"backoff": 1}}, {"default": {"retry": {"tries": 9}}}).targets
    assert [(target.retry.backoff, target.retry.tries) for target in targets] == [(1, 9), (1, 9)]


def test_a_breaker_is_on_by_itself() -> None:
    breaker = upstream().circuit_breaker
    assert breaker is not None
    assert breaker.failure_threshold == 5


@pytest.mark.parametrize("policies", [{"default": {"circuit_breaker": False}}, {}])
def test_false_switches_a_breaker_off(policies: Tables) -> None:
    own: Tables = {} if policies else {"circuit_breaker": False}
    assert upstream(own, policies).circuit_breaker is None


def test_a_table_of_its_own_switches_it_on_again() -> None:
    breaker = upstream({"circuit_breaker": {"window": 9}}, {"default": {"circuit_breaker": False}}).circuit_breaker
    assert breaker is not None
    assert (breaker.window, breaker.failure_threshold) == (9, 5)


def test_a_limit_in_a_policy_is_for_its_routes_and_not_for_its_upstreams() -> None:
    policies: Tables = {"default": {"rate_limit": {"per_minute": 50}, "concurrency": {"max": 3}}}
    found = route(policies=policies)
    assert found.rate_limit is not None
    assert found.rate_limit.per_minute == 50
    assert found.concurrency is not None
    assert upstream(policies=policies).rate_limit is None
    assert upstream(policies=policies).concurrency is None


def test_a_route_overrides_its_policys_limit_key_by_key() -> None:
    found = route({"rate_limit": {"key": "ip"}}, {"default": {"rate_limit": {"per_minute": 50}}}).rate_limit
    assert found is not None
    assert (found.per_minute, found.key) == (50, "ip")


def test_a_route_switches_its_policys_limit_off() -> None:
    assert route({"rate_limit": False}, {"default": {"rate_limit": {"per_minute": 50}}}).rate_limit is None


def test_no_limit_is_there_unless_the_file_says_so() -> None:
    assert (route().rate_limit, route().concurrency, upstream().rate_limit) == (None, None, None)


def test_a_route_takes_the_longest_deadline_of_its_chain() -> None:
    assert route({"chain": ["c"]}).deadline == 60
    assert route({"chain": ["c", "a"]}).deadline == 300


SMART = {"smart": {"chain": ["llm/gpt-4o", {"upstream": "llm", "model": "o1", "max_tokens": 9, "prefill": True},
                             "static/sorry"]}}  # fmt: skip


def test_a_route_to_a_provider_has_the_chains_of_the_models() -> None:
    found = route({"chain": ["llm"], "retry": {"tries": 9}}, models=SMART, static={"sorry": {}})
    assert found.llm
    first, second, last = found.models["smart"]
    assert (first.upstream, first.model, first.max_tokens, first.prefill) == ("llm", "gpt-4o", None, False)
    assert (second.model, second.max_tokens, second.prefill) == ("o1", 9, True)
    assert (last.upstream, last.static, last.model) == ("sorry", True, "")
    assert [(one.retry.tries, one.retry.backoff) for one in found.models["smart"]] == [(9, 0.5), (9, 0.5), (9, 0.1)]
    assert found.deadline == 600


def test_a_route_to_no_provider_has_none_of_them() -> None:
    found = route(models=SMART, static={"sorry": {}})
    assert (found.llm, found.models, found.deadline) == (False, {}, 300)


def test_what_a_route_does_with_llm_answers() -> None:
    found = route({"chain": ["llm"]})
    told = (found.stream, found.on_break, found.translation, found.fallback_on_refusal)
    assert told == ("live", "error", "lenient", False)
    own: Tables = {"stream": "complete", "on_break": "continue", "translation": "strict", "fallback_on_refusal": True}
    found = route({"chain": ["a", "llm"], **own})
    told = (found.stream, found.on_break, found.translation, found.fallback_on_refusal)
    assert told == ("complete", "continue", "strict", True)


def test_no_deadline_is_the_longest() -> None:
    settings = file(
        upstreams={"g": {"url": "grpc://g", "protocol": "grpc"}, "a": {"url": "http://a"}},
        routes={"r": {"match": {"path": "/*"}, "chain": ["a", "g"]}},
    )
    assert resolve(settings).routes[0].deadline == 0


def test_a_deadline_in_the_file_wins_even_when_it_is_none() -> None:
    assert route({"deadline": 0}).deadline == 0
    assert route(policies={"default": {"deadline": "7s"}}).deadline == 7


def test_a_static_link_has_its_own_name_and_no_deadline() -> None:
    found = route({"chain": ["c", "static/sorry"]}, static={"sorry": {}})
    assert [(target.upstream, target.static) for target in found.targets] == [("c", False), ("sorry", True)]
    assert found.deadline == 60
    assert route({"chain": ["static/sorry"]}, static={"sorry": {}}).deadline == 300


def test_traffic_gives_targets_and_their_weights() -> None:
    own: Tables = {"chain": [], "traffic": [{"upstream": "a", "weight": 9}, {"upstream": "c", "weight": 1}]}
    found = route(own)
    assert [target.upstream for target in found.targets] == ["a", "c"]
    assert found.weights == (9, 1)
    assert route().weights is None


def test_a_route_takes_the_files_limits_where_it_has_none() -> None:
    found = route({"limits": {"max_body_bytes": 5}}, limits={"max_body_bytes": 9, "max_headers": 50}).limits
    assert (found.max_body_bytes, found.max_headers) == (5, 50)


def test_the_number_of_all_calls_is_not_a_limit_of_one_route() -> None:
    assert route(limits={"max_inflight": 9}).limits.max_inflight == 0
    assert route({"limits": {"max_inflight": 3}}, limits={"max_inflight": 9}).limits.max_inflight == 3


def test_one_url_or_several() -> None:
    assert upstream().urls == ("http://a",)
    assert upstream({"url": None, "urls": ["http://b", "http://c"]}).urls == ("http://b", "http://c")


def test_equal_files_resolve_to_equal_parts() -> None:
    assert upstream() == upstream()
    assert hash(upstream().circuit_breaker) == hash(upstream().circuit_breaker)


def test_the_origin_of_a_value_is_known() -> None:
    settings = file(
        routes={"r": {"policy": "p", "retry": {"tries": 1}}},
        policies={"p": {"retry": {"budget": 1}}, "default": {"retry": {"tries": 2, "jitter": 0}}},
    )
    layers: tuple[Layer, ...] = stack("retry", route_layers(settings, "r")) or ()
    assert origin("tries", layers) == ("routes", "r", "retry", "tries")
    assert origin("budget", layers) == ("policies", "p", "retry", "budget")
    assert origin("jitter", layers) == ("policies", "default", "retry", "jitter")
    assert origin("patience", layers) is None
