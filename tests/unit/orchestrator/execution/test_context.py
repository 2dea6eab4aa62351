"""The plan of what is left comes from the plan of all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.config.loading import LoadedConfig
from orchestrator.execution.components import no_key
from orchestrator.execution.context import RunContext
from orchestrator.execution.prepare import prepare
from runners.samples.bitmap import Bitmap
from sharding.planner import SweepPlan

Load = Callable[..., LoadedConfig]
TOTAL = 8


@pytest.fixture
def context(load: Load) -> RunContext:
    sections = {
        "providers": {"sim": {"type": "simulator", "deployments": {"m-1": {}, "m-2": {}}}},
        "models": {"m": {"provider": "sim", "deployments": ["m-1", "m-2"]}},
    }
    return prepare(load(sections), no_key)


def marked(*ordinals: int) -> Bitmap:
    bitmap = Bitmap(TOTAL)
    for ordinal in ordinals:
        bitmap.add(ordinal)
    return bitmap


def dealt(plan: SweepPlan) -> list[list[int]]:
    """Ordinals by shard."""
    return [[n for part in shard.ordinals for n in part] for stage in plan.stages for shard in stage]


def test_where_nothing_is_done_the_plan_is_the_whole_one(context: RunContext) -> None:
    assert context.plan() is context.plan(Bitmap(TOTAL)) is context.whole_plan
    assert dealt(context.whole_plan) == [[0, 2, 4, 6], [1, 3, 5, 7]]


def test_what_is_left_is_dealt_out_evenly_and_belongs_to_the_same_results(context: RunContext) -> None:
    left = context.plan(marked(0, 2, 4))
    assert dealt(left) == [[1, 5, 7], [3, 6]]
    assert (left.fingerprint, left.parts) == (context.whole_plan.fingerprint, context.whole_plan.parts)


def test_what_is_asked_for_wins_over_what_is_left(context: RunContext) -> None:
    assert dealt(context.plan(marked(0, 2, 4), asked=marked(3, 6))) == [[3], [6]]


def test_where_all_is_done_nothing_is_planned(context: RunContext) -> None:
    assert dealt(context.plan(marked(*range(TOTAL)))) == []
