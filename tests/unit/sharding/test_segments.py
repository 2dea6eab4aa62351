"""Task files that are bound to models, and random selections."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from providers.errors import InputError
from sharding.prompts.templates import load_prompt_types
from sharding.segments import read_segments, write_segments
from sharding.selection import Selection, select_rows
from sharding.sweep import Sweep, SweepSpec
from sharding.tasks.sources import SourceSpec, TaskPool

Opened = Callable[..., TaskPool]


def write(path: Path, count: int) -> Path:
    path.write_text("".join(json.dumps({"id": f"{path.stem}{n}", "input": "?"}) + "\n" for n in range(count)))
    return path


@pytest.fixture
def pool(tmp_path: Path, active: Opened) -> TaskPool:
    files = [write(tmp_path / f"{name}.jsonl", count) for name, count in (("a", 3), ("b", 2), ("c", 4))]
    bound = (("m",), None, ("n", "m"))
    return active(*(SourceSpec(path, models=models) for path, models in zip(files, bound, strict=True)))


def test_every_model_gets_its_own_tasks_and_every_ordinal_leads_back(pool: TaskPool) -> None:
    spec = SweepSpec(["m", "n"], ["baseline", "cot"], epochs=2)
    sweep = Sweep(spec, pool, load_prompt_types(["baseline", "cot"]))
    assert len(sweep) == (9 + 6) * 2 * 2
    seen = [sweep.sample(ordinal) for ordinal in range(len(sweep))]
    assert len({sample.sample_id for sample in seen}) == len(sweep)
    assert {sample.task.task_id[0] for sample in seen if sample.cell.model == "n"} == {"b", "c"}
    assert sweep.block(0, "m") == range(36)
    assert sweep.block(0, "n") == range(36, 60)
    index = sweep.index_ids()
    assert all(index[bytes.fromhex(sample.sample_id)] == sample.ordinal for sample in seen)
    segments = read_segments(sweep.fingerprint_parts["task_models"])
    assert write_segments(segments) == '[[3,["m"]],[2,null],[4,["n","m"]]]'


def test_a_model_that_no_file_is_for_is_told(tmp_path: Path, active: Opened) -> None:
    only = active(SourceSpec(write(tmp_path / "a.jsonl", 2), models=("m",)))
    with pytest.raises(InputError, match="the model n gets no task: every task file names other models"):
        Sweep(SweepSpec(["m", "n"], ["baseline"]), only, load_prompt_types(["baseline"]))


def test_a_seeded_sample_is_the_same_again_and_grows(tmp_path: Path, active: Opened) -> None:
    tasks = active(SourceSpec(write(tmp_path / "a.jsonl", 100)))
    chosen = [list(select_rows(tasks, Selection(num_instances=count, sample_seed=1))) for count in (10, 10, 20)]
    assert chosen[0] == chosen[1] != list(range(10))
    assert len(chosen[0]) == 10
    assert set(chosen[0]) < set(chosen[2])
    assert list(select_rows(tasks, Selection(limit=10, sample_seed=1))) == chosen[0]
    assert list(select_rows(tasks, Selection(num_instances=10, sample_seed=2))) != chosen[0]
