"""From profiles to workers, rates and start delays; every instance once; every provider with its keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.sweeps.plan_view import plan_document
from orchestrator.config.environment import Environment
from orchestrator.config.loading import LoadedConfig
from orchestrator.execution.components import no_key, open_providers, simulator_keys, used_providers
from orchestrator.execution.context import RunContext
from orchestrator.execution.prepare import prepare
from providers.errors import InputError
from providers.messages import Adaptation
from providers.simulator.settings.provider import SimulatorSettings
from providers.transport.network import DIRECT

Load = Callable[..., LoadedConfig]

PROVIDERS = {
    "azure-east": {"type": "azure", "endpoint": "https://east.example", "api_key_env": "AZURE_KEY"},
    "ideallab": {"type": "gateway", "base_url": "https://g.example/v1", "api_key_envs": ["KEY_0", "KEY_1", "KEY_2"]},
    "local": {"type": "openai", "base_url": "http://127.0.0.1:8000/v1"},
}
DEEPSEEK = ["DeepSeek-V3-0324", "DeepSeek-V3-0324-2", "DeepSeek-V3-0324-3"]
MODELS: dict[str, dict[str, Any]] = {
    "DeepSeek-V3-0324": {"provider": "azure-east", "deployments": DEEPSEEK, "profile": "azure-open"},
    "qwen2.5-72b-instruct": {"provider": "ideallab", "profile": "gateway-open"},
    "gpt-4o-mini": {"provider": "azure-east", "profile": "azure-closed"},
    "o3-0416-global": {"provider": "ideallab", "keys": ["KEY_0"], "profile": "gateway-closed"},
    "llama": {"provider": "local"},
}
THREE = ["baseline", "cot", "optimal"]


@pytest.fixture
def prepared(load: Load) -> Callable[..., RunContext]:
    def made(models: Mapping[str, Any], prompt_types: list[str], **run: Any) -> RunContext:
        sections = {"providers": PROVIDERS, "models": models, "sweep": {"prompt_types": prompt_types}, "run": run}
        return prepare(load(sections), no_key)

    return made


@pytest.mark.parametrize(
    ("model", "prompt_types", "mode", "per_instance", "in_all"),
    [
        ("DeepSeek-V3-0324", ["baseline"], "adaptive", 100, 300),
        ("DeepSeek-V3-0324", THREE, "adaptive", 300, 900),
        ("DeepSeek-V3-0324", ["baseline"], "fixed", 50, 150),
        ("qwen2.5-72b-instruct", ["baseline"], "adaptive", 5, 15),
        ("qwen2.5-72b-instruct", THREE, "adaptive", 5, 15),
        ("qwen2.5-72b-instruct", THREE, "fixed", 3, 9),
        ("gpt-4o-mini", ["baseline"], "adaptive", 200, 200),
        ("gpt-4o-mini", THREE, "adaptive", 600, 600),
        ("gpt-4o-mini", ["baseline"], "fixed", 100, 100),
        ("gpt-4o-mini", THREE, "fixed", 300, 300),
        ("o3-0416-global", THREE, "adaptive", 1, 1),
        ("o3-0416-global", THREE, "fixed", 1, 1),
        ("llama", THREE, "adaptive", 32, 32),
    ],
)
def test_workers_follow_from_profile_mode_and_prompt_types(
    prepared: Callable[..., RunContext], model: str, prompt_types: list[str], mode: str, per_instance: int, in_all: int
) -> None:
    found = prepared({model: MODELS[model]}, prompt_types, rate_mode=mode)
    assert {instance.workers for instance in found.instances[model]} == {per_instance}
    assert plan_document(found)["models"][model]["workers"] == in_all


@pytest.mark.parametrize(
    ("model", "fixed_qps"),
    [
        ("DeepSeek-V3-0324", 200),
        ("gpt-4o-mini", 200),
        ("qwen2.5-72b-instruct", 10),
        ("o3-0416-global", 5),
        ("llama", None),
    ],
)
def test_only_fixed_mode_sets_a_rate(prepared: Callable[..., RunContext], model: str, fixed_qps: float | None) -> None:
    fixed = prepared({model: MODELS[model]}, THREE, rate_mode="fixed")
    adaptive = prepared({model: MODELS[model]}, THREE)
    assert {instance.qps for instance in fixed.instances[model]} == {fixed_qps}
    assert {instance.qps for instance in adaptive.instances[model]} == {None}


def test_a_models_own_workers_and_rate_win_and_are_not_multiplied(prepared: Callable[..., RunContext]) -> None:
    model = {**MODELS["gpt-4o-mini"], "workers": 7, "qps": 2}
    (instance,) = prepared({"gpt-4o-mini": model}, THREE, rate_mode="fixed").instances["gpt-4o-mini"]
    assert (instance.workers, instance.qps) == (7, 2)


def test_max_workers_bounds_every_instance_and_auto_lifts_the_bound(prepared: Callable[..., RunContext]) -> None:
    bounded = prepared(MODELS, THREE, max_workers=4)
    assert [i.workers for its in bounded.instances.values() for i in its] == [4, 4, 4, 4, 4, 4, 4, 1, 4]
    auto = prepared({"gpt-4o-mini": {**MODELS["gpt-4o-mini"], "workers": "auto"}}, THREE)
    assert auto.instances["gpt-4o-mini"][0].workers is None


def test_instances_are_named_by_deployment_and_by_the_keys_place(prepared: Callable[..., RunContext]) -> None:
    found = prepared(MODELS, THREE).instances
    assert [i.name for i in found["DeepSeek-V3-0324"]] == [f"azure-east/{name}" for name in DEEPSEEK]
    assert [i.name for i in found["qwen2.5-72b-instruct"]] == [
        f"ideallab/key{n}/qwen2.5-72b-instruct" for n in range(3)
    ]
    assert [i.name for i in found["o3-0416-global"]] == ["ideallab/key0/o3-0416-global"]


@pytest.mark.parametrize(("stagger", "starts"), [((0, 30, 20), [0, 30, 50]), ((0,), [0, 0, 0]), ((5, 1), [5, 6, 7])])
def test_shards_start_one_after_the_other(
    prepared: Callable[..., RunContext], stagger: tuple[float, ...], starts: list[float]
) -> None:
    found = prepared({"DeepSeek-V3-0324": MODELS["DeepSeek-V3-0324"]}, ["baseline"], stagger_s=stagger)
    assert [shard["start_after_s"] for shard in plan_document(found)["shards"]] == starts


def test_the_stagger_is_thirty_and_twenty_seconds_where_nobody_says(prepared: Callable[..., RunContext]) -> None:
    found = prepared({"DeepSeek-V3-0324": MODELS["DeepSeek-V3-0324"]}, ["baseline"])
    assert [shard["start_after_s"] for shard in plan_document(found)["shards"]] == [0, 30, 50]


def test_shards_are_even_and_hold_every_sample_once(prepared: Callable[..., RunContext]) -> None:
    plan = prepared(MODELS, THREE).plan()
    ordinals = sorted(n for shard in plan.stages[0] for part in shard.ordinals for n in part)
    assert ordinals == list(range(len(MODELS) * len(THREE) * 8))
    assert [len(shard) for shard in plan.stages[0]][:3] == [8, 8, 8]


def test_a_model_may_be_reached_over_two_providers(prepared: Callable[..., RunContext]) -> None:
    routes = [
        {"provider": "azure-east", "deployments": ["llama-a", "llama-b"]},
        {"provider": "ideallab", "keys": ["KEY_1"]},
    ]
    instances = prepared({"llama": {"routes": routes}}, THREE).instances["llama"]
    assert [(i.name, i.model, i.deployment, i.workers) for i in instances] == [
        ("azure-east/llama-a", "llama", "llama-a", 300),
        ("azure-east/llama-b", "llama", "llama-b", 300),
        ("ideallab/key1/llama", "llama", "llama", 5),
    ]


@pytest.mark.parametrize(
    "models",
    [
        {"a": {"routes": [{"provider": "azure-east", "deployments": ["d"]}] * 2}},
        {"a": {"routes": [{"provider": "ideallab"}, {"provider": "ideallab", "keys": ["KEY_1"]}]}},
    ],
)
def test_an_instance_that_is_named_twice_is_an_error(
    prepared: Callable[..., RunContext], models: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match=r"models: the instance \S+ is named by two routes"):
        prepared(models, ["baseline"])


def test_two_models_of_one_deployment_are_two_instances_with_one_limiter(prepared: Callable[..., RunContext]) -> None:
    route = {"provider": "azure-east", "deployments": ["d"]}
    found = prepared({"a": route, "b": route}, ["baseline"]).instances
    assert [one.name for group in found.values() for one in group] == ["azure-east/d", "azure-east/d@b"]
    assert {one.limiter_group for group in found.values() for one in group} == {"azure-east/d"}


def test_results_belong_to_the_operation_that_a_model_is_asked_for(prepared: Callable[..., RunContext]) -> None:
    route = {"provider": "azure-east", "deployments": ["d"]}
    chat, spelt_out, responses = (
        prepared({"a": {**route, **more}}, ["baseline"]).plan().parts
        for more in ({}, {"operation": "chat"}, {"operation": "responses"})
    )
    assert chat == spelt_out
    assert {name for name in responses if responses[name] != chat.get(name)} == {"operations"}


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ({"provider": "azure-east", "profile": "azure-opn"}, 'models.m.profile: unknown profile "azure-opn"; did you'),
        ({"provider": "ideallab", "keys": ["KEY_9"]}, "ideallab has no key 'KEY_9'; did you mean \"KEY_2\""),
    ],
)
def test_a_wrong_profile_or_key_is_named(prepared: Callable[..., RunContext], model: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        prepared({"m": model}, ["baseline"])
    assert says in str(caught.value)


def test_a_missing_key_of_the_environment_is_named_before_anything_is_made(load: Load) -> None:
    loaded = load({"providers": PROVIDERS, "models": MODELS})
    with pytest.raises(InputError, match=r"the environment variables AZURE_KEY, .* are not set"):
        prepare(loaded, Environment({}).key)


def test_a_simulator_that_has_not_started_cannot_be_asked(load: Load) -> None:
    link = open_providers(load(), no_key, DIRECT).simulators["sim"]
    with pytest.raises(InputError, match="the simulator sim has not started"):
        link.address()


def test_a_secret_header_of_a_simulator_is_a_variable_like_any_other(load: Load) -> None:
    loaded = load({}, flags={"providers.sim.header_envs": {"X-Team": "TEAM_TOKEN"}})
    open_providers(loaded, Environment({"TEAM_TOKEN": "secret-of-the-team"}).key, DIRECT)
    with pytest.raises(InputError, match="the environment variable TEAM_TOKEN is not set"):
        open_providers(loaded, Environment({}).key, DIRECT)


async def test_what_instances_refuse_is_told_to_whoever_listens_while_they_are_asked(load: Load) -> None:
    told: list[tuple[str, Adaptation]] = []
    providers = open_providers(load({"providers": PROVIDERS, "models": {"llama": MODELS["llama"]}}), no_key, DIRECT)
    adaptation = Adaptation(renamed={}, dropped=["seed"], words="no seed here")
    async with providers.serving(Environment({}), on_adapted=lambda *news: told.append(news)):
        providers.adaptation_listener("local/llama", adaptation)
    assert told == [("local/llama", adaptation)]


def test_only_providers_of_the_swept_models_need_their_keys(load: Load) -> None:
    loaded = load({"providers": PROVIDERS, "models": MODELS, "sweep": {"models": ["llama"]}})
    assert used_providers(loaded.config) == ["local"]
    assert list(prepare(loaded, Environment({}).key).instances) == ["llama"]


@pytest.mark.parametrize(
    ("run", "says"),
    [
        ({"solver": "single_trun"}, "run.solver: no solver 'single_trun'; known: single_turn"),
        ({"solver": "no_such_module:f"}, "cannot import no_such_module for the solver no_such_module:f"),
        ({"solver": "json:no_function"}, "json has no function no_function for the solver json:no_function"),
        ({"solver": ":f"}, "cannot import a module without a name for the solver :f"),
        ({"debug_process_num": 2}, "DEBUG_PROCESS_NUM is 2, but the plan has 1 shards"),
    ],
)
def test_a_wrong_method_is_found_while_preparing(load: Load, run: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        prepare(load({"run": run}), no_key)
    assert says in str(caught.value)


def test_a_wrong_scorer_is_found_while_preparing(load: Load, tmp_path: Path) -> None:
    tasks = [{"path": str(tmp_path / "tasks.jsonl"), "scorer": "numerc"}]
    with pytest.raises(InputError, match=r"no scorer 'numerc'; did you mean \"numeric\"\?"):
        prepare(load({"tasks": tasks}), no_key)


def test_a_simulators_secrets_are_the_environments_or_new_ones_each_time() -> None:
    settings = SimulatorSettings.model_validate({"deployments": {"m": {}}, "keys": {"K0": {}}})
    environment = Environment({"K0": "said"})
    first, second = simulator_keys(settings, environment), simulator_keys(settings, environment)
    assert first["K0"].secret == second["K0"].secret == "said"
    assert first["SIMULATOR_KEY"].secret != second["SIMULATOR_KEY"].secret
