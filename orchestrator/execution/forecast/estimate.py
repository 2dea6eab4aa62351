"""An estimate of a sweep before anything is sent: input tokens from its own tasks, output tokens up to max_tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from providers.messages import Usage
from providers.usage.estimates import TokenEstimator
from runners.calls.call import DEFAULT_OUTPUT_TOKENS
from sharding.planner import SweepPlan

from ..context import RunContext

READ = 100
"""Tasks of a model that are read for its mean: a million would take a minute, and the mean would be the same."""


@dataclass(frozen=True, slots=True)
class SweepEstimate:
    """Of one model's samples, at one turn each."""

    input_tokens: int
    most_output_tokens: int
    most_cost_usd: float | None
    """None if no price is known."""


def estimate(context: RunContext, plan: SweepPlan) -> dict[str, SweepEstimate]:
    """Estimate tokens and cost by model; only some of its tasks are read."""
    price_usd = context.price_usd
    estimates = {}
    for model, instances in context.instances.items():
        most = context.config.generation_of(model).as_generation().output_limit
        names = {instance.name for instance in instances}
        parts = [part for stage in plan.stages for shard in stage if shard.instance in names for part in shard.ordinals]
        samples = sum(map(len, parts))
        usage = Usage(round(samples * _mean_input(plan, parts, samples)), samples * (most or DEFAULT_OUTPUT_TOKENS))
        estimates[model] = SweepEstimate(usage.input_tokens, usage.output_tokens, price_usd(model, usage))
    return estimates


def _mean_input(plan: SweepPlan, parts: Sequence[range], samples: int) -> float:
    estimator = TokenEstimator()
    read = [_input(plan, ordinal, estimator) for ordinal in _spread(parts, samples)]
    return sum(read) / len(read) if read else 0.0


def _input(plan: SweepPlan, ordinal: int, estimator: TokenEstimator) -> int:
    task = plan.sample(ordinal).task
    return estimator.estimate(task.messages, task.tools)


def _spread(parts: Sequence[range], samples: int) -> Iterator[int]:
    for part in parts:
        yield from part[:: max(1, samples // READ)]
