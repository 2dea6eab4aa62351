from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from providers.errors import InputError
from providers.instance import Instance
from sharding.plan import Plan, Shard
from sharding.planner import Layout, SweepPlan, build_plan, compress, describe, fingerprint
from sharding.prompts.templates import load_prompt_types
from sharding.sweep import Sweep, SweepSpec
from sharding.tasks.sources import TaskPool


def instances_of(model: str, count: int) -> list[Instance]:
    return [
        Instance(f"azure/{model}-{number}", model, model, "azure", f"azure/{model}-{number}", workers=100)
        for number in range(count)
    ]


@pytest.fixture
def sweep(open_rows: Callable[..., TaskPool]) -> Sweep:
    tasks = open_rows([{"input": f"{number}?"} for number in range(5)])
    spec = SweepSpec(["m1", "m2"], ["baseline", "cot"], tool_success_rates=[0.9, 0.8])
    return Sweep(spec, tasks, load_prompt_types(spec.prompt_types))


STAGGER = (0.0, 30.0, 20.0)
INSTANCES = {"m1": instances_of("m1", 3), "m2": instances_of("m2", 1)}


def delays(shards: Sequence[Shard]) -> list[float]:
    return [shard.start_after_s for shard in shards]


def test_a_models_samples_are_dealt_out_to_its_instances(sweep: Sweep) -> None:
    plan = build_plan(sweep, INSTANCES, Layout(STAGGER))
    assert plan.stages[0] == (
        Shard("azure/m1-0", (range(0, 10, 3),), 0.0),
        Shard("azure/m1-1", (range(1, 10, 3),), 30.0),
        Shard("azure/m1-2", (range(2, 10, 3),), 50.0),
        Shard("azure/m2-0", (range(10, 20, 1),), 0.0),
    )
    assert plan.stages[1][0] == Shard("azure/m1-0", (range(20, 30, 3),), 0.0)
    assert len(plan) == len(sweep) == 40


def test_a_plan_is_a_plan(sweep: Sweep) -> None:
    plan: Plan = build_plan(sweep, INSTANCES, Layout(STAGGER))
    assert plan.sample(7) == sweep.sample(7)


@pytest.mark.parametrize(
    ("stagger_s", "expected"),
    [((0, 30, 20), [0, 30, 50, 70, 90]), ((0,), [0] * 5), ((), [0] * 5), ((5, 1), [5, 6, 7, 8, 9])],
)
def test_delays_follow_the_shard_before_and_repeat_the_last(
    sweep: Sweep, stagger_s: Sequence[float], expected: list[float]
) -> None:
    instances = {**INSTANCES, "m1": instances_of("m1", 5)}
    plan = build_plan(sweep, instances, Layout(stagger_s))
    assert delays(plan.stages[0][:5]) == expected


def test_instances_without_samples_are_left_out(sweep: Sweep) -> None:
    plan = build_plan(sweep, {**INSTANCES, "m1": instances_of("m1", 12)}, Layout(STAGGER))
    assert [len(shard) for shard in plan.stages[0]] == [1] * 10 + [10]


def test_a_resume_splits_what_is_left_evenly(sweep: Sweep) -> None:
    plan = build_plan(sweep, INSTANCES, Layout(STAGGER, remaining=lambda ordinal: ordinal in {1, 2, 3, 4, 9, 25}))
    assert plan.stages[0] == (
        Shard("azure/m1-0", (range(1, 5, 3),), 0.0),
        Shard("azure/m1-1", (range(2, 10, 7),), 30.0),
        Shard("azure/m1-2", (range(3, 4),), 50.0),
    )
    assert plan.stages[1] == (Shard("azure/m1-0", (range(25, 26),), 0.0),)
    assert len(plan) == 6


def test_the_fingerprint_ignores_instances_stagger_and_what_is_left(sweep: Sweep) -> None:
    plan = build_plan(sweep, INSTANCES, Layout(STAGGER, extra_parts={"solver": "single"}))
    elsewhere = {"m1": instances_of("m1", 1), "m2": instances_of("m2", 7)}
    other = build_plan(sweep, elsewhere, Layout((0,), lambda ordinal: ordinal > 3, {"solver": "single"}))
    assert other.fingerprint == plan.fingerprint == fingerprint(plan.parts)
    assert build_plan(sweep, INSTANCES, Layout(STAGGER)).fingerprint != plan.fingerprint
    assert plan.parts["solver"] == "single"


def test_the_order_of_the_parts_does_not_matter() -> None:
    assert fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"})
    assert fingerprint({"a": "1b"}) != fingerprint({"a1": "b"})


def test_a_model_without_instances_is_refused(sweep: Sweep) -> None:
    with pytest.raises(InputError, match="the model m2 has no instance"):
        build_plan(sweep, {"m1": instances_of("m1", 1)}, Layout(STAGGER))
    with pytest.raises(InputError, match="the model m2 has no instance"):
        build_plan(sweep, {"m1": instances_of("m1", 1), "m2": []}, Layout(STAGGER))


def test_a_negative_stagger_is_refused() -> None:
    with pytest.raises(InputError, match="stagger_s must not be negative"):
        Layout((0, -1))


def test_the_plan_can_be_printed(sweep: Sweep) -> None:
    plan: SweepPlan = build_plan(sweep, INSTANCES, Layout(STAGGER))
    rows = describe(plan, INSTANCES)
    assert len(rows) == 8
    assert json.loads(json.dumps(rows[1].to_json())) == {
        "stage": 0,
        "tool_success_rate": 0.9,
        "model": "m1",
        "instance": "azure/m1-1",
        "samples": 3,
        "workers": 100,
        "qps": None,
        "start_after_s": 30.0,
    }


@pytest.mark.parametrize(
    ("ordinals", "ranges"),
    [
        ([], []),
        ([4], [range(4, 5)]),
        ([0, 3, 6], [range(0, 7, 3)]),
        ([0, 3, 6, 7, 10, 13], [range(0, 7, 3), range(7, 14, 3)]),
        ([1, 2, 9], [range(1, 3), range(9, 10)]),
    ],
)
def test_ordinals_are_written_as_strided_ranges(ordinals: list[int], ranges: list[range]) -> None:
    assert list(compress(ordinals)) == ranges
