from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import pytest

from providers.errors import InputError
from sharding.plan import Cell
from sharding.prompts.templates import load_prompt_types
from sharding.sweep import Sweep, SweepSpec
from sharding.tasks.sources import TaskPool


@pytest.fixture
def tasks(open_rows: Callable[..., TaskPool]) -> TaskPool:
    return open_rows([{"id": f"t{number}", "input": f"{number}?", "difficulty": "easy"} for number in range(5)])


def sweep_of(tasks: TaskPool, **changes: Any) -> Sweep:
    axes: Mapping[str, Any] = {"models": ["m1", "m2"], "prompt_types": ["baseline", "cot"], **changes}
    spec = SweepSpec(**axes)
    return Sweep(spec, tasks, load_prompt_types(spec.prompt_types))


def test_ordinals_run_stage_model_prompt_type_epoch_task(tasks: TaskPool) -> None:
    sweep = sweep_of(tasks, tool_success_rates=[0.9, 0.8], epochs=3)
    expected = list(product([0.9, 0.8], ["m1", "m2"], ["baseline", "cot"], range(3), range(5)))
    assert len(sweep) == len(expected) == 120
    for ordinal, (rate, model, prompt_type, epoch, row) in enumerate(expected):
        sample = sweep.sample(ordinal)
        assert sample.ordinal == ordinal
        assert sample.cell == sweep.cell(ordinal) == Cell(model, prompt_type, rate)
        assert (sample.epoch, sample.task.task_id, sweep.row(ordinal)) == (epoch, f"t{row}", row)


def test_a_block_is_one_model_in_one_stage(tasks: TaskPool) -> None:
    sweep = sweep_of(tasks, tool_success_rates=[0.9, 0.8])
    assert [sweep.block(stage, model) for stage in range(2) for model in ("m1", "m2")] == [
        range(10),
        range(10, 20),
        range(20, 30),
        range(30, 40),
    ]
    assert {sweep.cell(ordinal).model for ordinal in sweep.block(1, "m2")} == {"m2"}
    assert sweep.stages == (0.9, 0.8)


def test_the_prompt_type_is_applied(tasks: TaskPool) -> None:
    sweep = sweep_of(tasks)
    assert sweep.sample(0).task.messages[0]["content"] == "0?"
    assert str(sweep.sample(5).task.messages[0]["content"]).startswith("0?\n\nThink step by step")


def test_ids_are_unique_and_do_not_depend_on_what_else_is_swept(tasks: TaskPool) -> None:
    wide = sweep_of(tasks, tool_success_rates=[0.9, 0.8], epochs=2)
    ids = {wide.sample(ordinal).sample_id for ordinal in range(len(wide))}
    assert len(ids) == len(wide)
    assert all(len(sample_id) == 32 for sample_id in ids)
    narrow = sweep_of(tasks, models=["m2"], prompt_types=["cot"], tool_success_rates=[0.8], limit=3, seed=9)
    assert {narrow.sample(ordinal).sample_id for ordinal in range(3)} <= ids


def test_ids_and_seeds_are_the_same_in_every_version(tasks: TaskPool) -> None:
    """Runs are resumed and compared across versions: these values must never change."""
    sample = sweep_of(tasks, seed=7).sample(6)
    assert (sample.sample_id, sample.seed) == ("c5881459ef7a269f22a82d054932784e", 7_489_573_787_376_243_082)


def test_seeds_are_equal_across_models_and_prompt_types_and_differ_by_task_epoch_and_seed(tasks: TaskPool) -> None:
    sweep = sweep_of(tasks, epochs=2)
    seeds = [sweep.sample(ordinal).seed for ordinal in range(len(sweep))]
    assert seeds[:10] * 4 == seeds
    assert len(set(seeds[:10])) == 10
    assert all(0 <= seed < 1 << 63 for seed in seeds)
    assert sweep_of(tasks, seed=1).sample(0).seed != seeds[0]


def test_an_ordinal_that_is_not_there_is_an_index_error(tasks: TaskPool) -> None:
    sweep = sweep_of(tasks)
    for ordinal in (-1, 20):
        with pytest.raises(IndexError):
            sweep.sample(ordinal)


def test_the_index_finds_every_sample_by_its_id(tasks: TaskPool) -> None:
    sweep = sweep_of(tasks, epochs=2)
    index = sweep.index_ids()
    ordinals = range(len(sweep))
    assert {digest.hex(): index[digest] for digest in index} == {sweep.sample(n).sample_id: n for n in ordinals}


def test_the_selection_is_part_of_the_sweep(tasks: TaskPool) -> None:
    sweep = sweep_of(tasks, limit=2, difficulties=["easy"])
    assert len(sweep) == 8
    with pytest.raises(InputError, match='no task has the difficulty "hard"'):
        sweep_of(tasks, difficulties=["hard"])


@pytest.mark.parametrize(
    "change",
    [
        {"models": ["m1"]},
        {"prompt_types": ["cot", "baseline"]},
        {"tool_success_rates": [0.9]},
        {"difficulties": ["easy"]},
        {"num_instances": 2},
        {"limit": 2},
        {"epochs": 2},
        {"seed": 1},
    ],
)
def test_every_axis_shows_in_the_fingerprint_parts(tasks: TaskPool, change: Mapping[str, Any]) -> None:
    before, after = sweep_of(tasks).fingerprint_parts, sweep_of(tasks, **change).fingerprint_parts
    name = next(iter(change))
    assert before[name] != after[name]
    assert all(before[other] == after[other] for other in before if other not in {name, "task_count"})


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"models": []}, "models is empty"),
        ({"models": ["m", "m"]}, "models names m twice"),
        ({"prompt_types": []}, "prompt_types is empty"),
        ({"tool_success_rates": [0.8, 0.8]}, "tool_success_rates names 0.8 twice"),
        ({"tool_success_rates": [1.5]}, "between 0 and 1, not 1.5"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"limit": 0}, "limit must be at least 1"),
    ],
)
def test_axes_that_cannot_be_meant_are_refused(tasks: TaskPool, wrong: Mapping[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        sweep_of(tasks, **wrong)
