"""What holds for every sweep and every set of instances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from providers.instance import Instance
from sharding.plan import Shard
from sharding.planner import Layout, SweepPlan, build_plan, compress
from sharding.prompts.templates import PromptTemplate
from sharding.sweep import Sweep, SweepSpec
from sharding.tasks.task import Task

STAGGER = (0.0, 30.0, 20.0)


@dataclass(frozen=True)
class GivenTasks:
    """A task set of so many tasks, made up as they are asked for."""

    length: int
    fingerprint: str = "given"

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, row: int) -> Task:
        return Task(f"t{row}", ({"role": "user", "content": str(row)},))

    def kind(self, row: int) -> tuple[str, str]:
        return "default", "default"

    is_bound = False
    declares_results = False
    notes: Sequence[str] = ()

    def models(self, row: int) -> Sequence[str] | None:
        return None

    def kinds(self) -> Iterator[tuple[str, str]]:
        return map(self.kind, range(self.length))

    def scorer(self, row: int) -> str | None:
        return None

    def unusual_targets(self) -> range:
        return range(len(self))

    def origin(self, row: int) -> str:
        return f"row {row}"

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Case:
    sweep: Sweep
    instances: Mapping[str, Sequence[Instance]]

    def plan(self, remaining: frozenset[int] | None = None) -> SweepPlan:
        return build_plan(
            self.sweep,
            self.instances,
            Layout(STAGGER, remaining=remaining.__contains__ if remaining is not None else None),
        )


def sweep_of(tasks: int, models: int, prompt_types: int, stages: int, epochs: int) -> Sweep:
    prompts = {f"p{number}": PromptTemplate(f"p{number}", user=f"{number} {{input}}") for number in range(prompt_types)}
    spec = SweepSpec(
        models=[f"m{number}" for number in range(models)],
        prompt_types=list(prompts),
        tool_success_rates=[1 - number / 10 for number in range(stages)],
        epochs=epochs,
    )
    return Sweep(spec, GivenTasks(tasks), prompts)


def instances_of(model: str, count: int) -> list[Instance]:
    return [Instance(f"{model}-{number}", model, model, "p", f"{model}-{number}") for number in range(count)]


small = st.integers(1, 3)
sweeps = st.builds(sweep_of, st.integers(1, 40), small, small, small, small)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    sweep = draw(sweeps)
    return Case(sweep, {model: instances_of(model, draw(st.integers(1, 7))) for model in sweep.spec.models})


def ordinals_of(shards: Sequence[Shard]) -> list[int]:
    return [ordinal for shard in shards for part in shard.ordinals for ordinal in part]


def sizes_by_model(case: Case, shards: Sequence[Shard]) -> Iterator[list[int]]:
    sizes = {shard.instance: len(shard) for shard in shards}
    for own in case.instances.values():
        yield [sizes.get(instance.name, 0) for instance in own]


def assert_even(case: Case, plan: SweepPlan) -> None:
    for shards in plan.stages:
        for sizes in sizes_by_model(case, shards):
            assert max(sizes) - min(sizes) <= 1


@given(cases())
def test_every_ordinal_is_in_exactly_one_shard(case: Case) -> None:
    plan = case.plan()
    assert sorted(chain.from_iterable(map(ordinals_of, plan.stages))) == list(range(len(case.sweep)))
    assert all(len(shard) > 0 for shards in plan.stages for shard in shards)


@given(cases())
def test_a_shard_holds_only_samples_of_its_instances_model_and_its_stage(case: Case) -> None:
    for rate, shards in zip(case.sweep.stages, case.plan().stages, strict=True):
        for shard in shards:
            cells = {case.sweep.cell(ordinal) for ordinal in ordinals_of([shard])}
            assert {(cell.model, cell.tool_success_rate) for cell in cells} == {
                (shard.instance.rsplit("-", 1)[0], rate)
            }


@given(cases())
def test_shards_of_a_model_differ_by_at_most_one_sample(case: Case) -> None:
    assert_even(case, case.plan())


@given(cases(), st.data())
def test_what_is_left_of_a_run_is_planned_once_and_evenly(case: Case, data: st.DataObject) -> None:
    remaining = data.draw(st.frozensets(st.integers(0, len(case.sweep) - 1)))
    plan = case.plan(remaining)
    assert sorted(chain.from_iterable(map(ordinals_of, plan.stages))) == sorted(remaining)
    assert plan.fingerprint == case.plan().fingerprint
    assert_even(case, plan)


@given(cases())
def test_a_plan_is_deterministic(case: Case) -> None:
    assert case.plan() == case.plan()


@given(cases())
def test_prompt_types_are_spread_over_all_instances(case: Case) -> None:
    """Within a model and stage, an instance gets its share of every prompt type, give or take one."""
    for shards in case.plan().stages:
        for shard in shards:
            counts = dict.fromkeys(case.sweep.spec.prompt_types, 0)
            for ordinal in ordinals_of([shard]):
                counts[case.sweep.cell(ordinal).prompt_type] += 1
            assert max(counts.values()) - min(counts.values()) <= 1


@given(sweeps)
def test_sample_ids_are_unique_and_lead_back(sweep: Sweep) -> None:
    index = sweep.index_ids()
    samples = [sweep.sample(ordinal) for ordinal in range(len(sweep))]
    assert len({sample.sample_id for sample in samples}) == len(sweep)
    assert [index[bytes.fromhex(sample.sample_id)] for sample in samples] == list(range(len(sweep)))


@given(cases(), st.data())
def test_a_sample_is_the_same_whatever_the_instances(case: Case, data: st.DataObject) -> None:
    ordinal = data.draw(st.integers(0, len(case.sweep) - 1))
    elsewhere = {model: instances_of(model, 1) for model in case.instances}
    assert build_plan(case.sweep, elsewhere, Layout(STAGGER)).sample(ordinal) == case.plan().sample(ordinal)


@given(sweeps, st.data())
def test_an_ordinal_and_its_cell_lead_to_each_other(sweep: Sweep, data: st.DataObject) -> None:
    ordinal = data.draw(st.integers(0, len(sweep) - 1))
    cell, sample = sweep.cell(ordinal), sweep.sample(ordinal)
    block = sweep.block(sweep.stages.index(cell.tool_success_rate), cell.model)
    per_prompt = len(block) // len(sweep.spec.prompt_types)
    in_cell = sample.epoch * (per_prompt // sweep.spec.epochs) + sweep.row(ordinal)
    assert block[list(sweep.spec.prompt_types).index(cell.prompt_type) * per_prompt + in_cell] == ordinal


@given(st.frozensets(st.integers(0, 300)).map(sorted))
def test_compression_loses_nothing(ordinals: list[int]) -> None:
    parts = list(compress(ordinals))
    assert list(chain.from_iterable(parts)) == ordinals
    assert len(parts) <= max(1, (len(ordinals) + 1) // 2)
