"""Builds the plan: the samples, the start and the workers of every instance, decided before anything is sent.

Every ordinal is in exactly one shard, and the shards of one model in one stage differ by at most one sample.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, repeat

import orjson

from providers.errors import InputError
from providers.instance import Instance
from providers.messages import JSON

from .plan import Sample, Shard
from .sweep import Sweep

Instances = Mapping[str, Sequence[Instance]]
"""A model's instances, in the order of the file."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Options of the plan. Only `extra_parts` affects the meaning of the results and thus the fingerprint."""

    stagger_s: Sequence[float]
    """Seconds between the starts of consecutive shards of a model; a shorter list repeats its last value."""
    remaining: Callable[[int], bool] | None = None
    """For a resume: returns true for unfinished ordinals. None: all ordinals."""
    extra_parts: Mapping[str, str] = field(default_factory=dict)
    """Further parts of the fingerprint: generation, solver, scorer, tools."""

    def __post_init__(self) -> None:
        if any(not delay >= 0 for delay in self.stagger_s):
            raise InputError("stagger_s must not be negative")


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """The plan of a sweep; implements Plan."""

    sweep: Sweep
    stages: Sequence[Sequence[Shard]]
    parts: Mapping[str, str]
    """The values that the fingerprint covers, to show the difference when a resume is refused."""
    fingerprint: str

    def sample(self, ordinal: int) -> Sample:
        """Read the task of an ordinal and build its sample."""
        return self.sweep.sample(ordinal)

    def __len__(self) -> int:
        """Count the planned samples; a resume plans only the unfinished ones."""
        return sum(len(shard) for stage in self.stages for shard in stage)


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A shard as a row of the displayed plan."""

    stage: int
    tool_success_rate: float
    model: str
    instance: str
    samples: int
    workers: int | None
    """None: no limit other than the limiter's."""
    qps: float | None
    start_after_s: float

    def to_json(self) -> dict[str, JSON]:
        """Convert the row to a dict."""
        return asdict(self)


def build_plan(sweep: Sweep, instances: Instances, layout: Layout) -> SweepPlan:
    """Distribute the samples of each model evenly over its instances. Raises InputError where a model has no instance."""
    for model in sweep.spec.models:
        if not instances.get(model):
            raise InputError(f"the model {model} has no instance; give it a provider with a deployment or key")
    parts = {**sweep.fingerprint_parts, **layout.extra_parts}
    return SweepPlan(sweep, _deal_stages(sweep, instances, layout), parts, fingerprint(parts))


def plan_remaining(plan: SweepPlan, instances: Instances, layout: Layout) -> SweepPlan:
    """Deal out evenly what `layout` says remains of a plan; what its results belong to stays the same."""
    return replace(plan, stages=_deal_stages(plan.sweep, instances, layout))


def _deal_stages(sweep: Sweep, instances: Instances, layout: Layout) -> Sequence[Sequence[Shard]]:
    return tuple(
        tuple(
            shard
            for model in sweep.spec.models
            for shard in _split(sweep.block(stage, model), instances[model], layout)
        )
        for stage in range(len(sweep.stages))
    )


def fingerprint(parts: Mapping[str, str]) -> str:
    """Compute one digest of all parts, independent of their order."""
    return hashlib.sha256(orjson.dumps(sorted(parts.items()))).hexdigest()


def _split(block: range, instances: Sequence[Instance], layout: Layout) -> Iterator[Shard]:
    """Distribute the ordinals round-robin, so that every cell is spread over all instances and sizes differ by at most one."""
    delay_s = 0.0
    unfinished = None if layout.remaining is None else array("Q", filter(layout.remaining, block))
    for position, (instance, stagger_s) in enumerate(zip(instances, _repeat_last(layout.stagger_s), strict=False)):
        delay_s += stagger_s
        ordinals = _share(block if unfinished is None else unfinished, position, len(instances))
        if ordinals:
            yield Shard(instance.name, ordinals, delay_s)


def _share(ordinals: range | array[int], position: int, shards: int) -> Sequence[range]:
    share = ordinals[position::shards]
    if isinstance(share, range):
        return (share,) if share else ()
    return tuple(compress(share))


def _repeat_last(delays_s: Sequence[float]) -> Iterator[float]:
    return chain(delays_s, repeat(delays_s[-1] if delays_s else 0.0))


def compress(ordinals: Sequence[int]) -> Iterator[range]:
    """Compress ascending ordinals to a few strided ranges, greedily: each continues as long as its first step does."""
    start = 0
    while start < len(ordinals):
        step = ordinals[start + 1] - ordinals[start] if start + 1 < len(ordinals) else 1
        end = start + 1
        while end < len(ordinals) and ordinals[end] - ordinals[end - 1] == step:
            end += 1
        yield range(ordinals[start], ordinals[end - 1] + 1, step)
        start = end


def describe(plan: SweepPlan, instances: Instances) -> list[PlanRow]:
    """List every shard with its instance's workers and rate, in the order of the plan."""
    by_name = {instance.name: instance for model_instances in instances.values() for instance in model_instances}
    return [
        _describe_shard(plan, stage, shard, by_name[shard.instance])
        for stage, shards in enumerate(plan.stages)
        for shard in shards
    ]


def _describe_shard(plan: SweepPlan, stage: int, shard: Shard, instance: Instance) -> PlanRow:
    return PlanRow(
        stage,
        plan.sweep.stages[stage],
        instance.model,
        instance.name,
        len(shard),
        instance.workers,
        instance.qps,
        shard.start_after_s,
    )
