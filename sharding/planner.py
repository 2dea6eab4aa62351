"""The plan: which instance takes which samples, when it starts and with how many workers, decided before anything is sent.

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
    """How samples are laid out over instances; only `extra_parts` is part of what the results mean."""

    stagger_s: Sequence[float]
    """Seconds after the shard before of the same model; a shorter list repeats its last value."""
    remaining: Callable[[int], bool] | None = None
    """For a resume: true for ordinals that still need doing. None: all of them."""
    extra_parts: Mapping[str, str] = field(default_factory=dict)
    """What else belongs to the fingerprint: generation, solver, scorer, tools."""

    def __post_init__(self) -> None:
        if any(not delay >= 0 for delay in self.stagger_s):
            raise InputError("stagger_s must not be negative")


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """Implements Plan for a sweep."""

    sweep: Sweep
    stages: Sequence[Sequence[Shard]]
    parts: Mapping[str, str]
    """What the fingerprint is made of, to show the difference when a resume is refused."""
    fingerprint: str

    def sample(self, ordinal: int) -> Sample:
        return self.sweep.sample(ordinal)

    def __len__(self) -> int:
        """Planned samples: fewer than the sweep's where a resume plans what is left."""
        return sum(len(shard) for stage in self.stages for shard in stage)


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One shard, as people read it."""

    stage: int
    tool_success_rate: float
    model: str
    instance: str
    samples: int
    workers: int | None
    """None: as many as the limiter allows."""
    qps: float | None
    start_after_s: float

    def to_json(self) -> dict[str, JSON]:
        return asdict(self)


def build_plan(sweep: Sweep, instances: Instances, layout: Layout) -> SweepPlan:
    """Split the sweep evenly. Raises InputError where a model has no instance."""
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
    """One value for all parts, whatever their order."""
    return hashlib.sha256(orjson.dumps(sorted(parts.items()))).hexdigest()


def _split(block: range, instances: Sequence[Instance], layout: Layout) -> Iterator[Shard]:
    """Deal the block out like cards: every cell is spread over all instances, and sizes differ by at most one."""
    delay_s = 0.0
    left = None if layout.remaining is None else array("Q", filter(layout.remaining, block))
    for place, (instance, stagger_s) in enumerate(zip(instances, _repeat_last(layout.stagger_s), strict=False)):
        delay_s += stagger_s
        ordinals = _dealt(block if left is None else left, place, len(instances))
        if ordinals:
            yield Shard(instance.name, ordinals, delay_s)


def _dealt(ordinals: range | array[int], place: int, players: int) -> Sequence[range]:
    own = ordinals[place::players]
    if isinstance(own, range):
        return (own,) if own else ()
    return tuple(compress(own))


def _repeat_last(delays_s: Sequence[float]) -> Iterator[float]:
    return chain(delays_s, repeat(delays_s[-1] if delays_s else 0.0))


def compress(ordinals: Sequence[int]) -> Iterator[range]:
    """Write ascending ordinals as few strided ranges, greedily: each runs as far as its first step holds."""
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
    known = {instance.name: instance for own in instances.values() for instance in own}
    return [
        _describe_shard(plan, stage, shard, known[shard.instance])
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
