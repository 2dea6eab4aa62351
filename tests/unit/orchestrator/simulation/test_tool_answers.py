"""Simulated calls: what is meant to be right is accepted, what is spoilt has the class that was asked for, whatever the seed."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.scoring.expected_calls import expectation_of
from orchestrator.scoring.registry import build_scorer
from orchestrator.simulation.tool_answers import CORRUPTIONS, ToolDraw, ToolTask
from providers.simulator.answers.source import SimulatedAnswer
from runners.calls.client import ModelClient
from runners.samples.answer import Answer, Score
from sharding.plan import Cell, Sample
from sharding.tasks.task import Task

VALUES: list[Any] = [1, 2.5, True, "Rome", "Oslo", [1, 2], {"a": [1, 2], "b": ["x", ""]}, None]
CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["find", "book", "pay"]),
            "arguments": st.dictionaries(
                st.sampled_from(["x", "y"]), st.lists(st.sampled_from([*VALUES, ""]), min_size=1, max_size=3)
            ),
        }
    ),
    max_size=4,
)


def a_task(calls: list[dict[str, Any]], order: str) -> ToolTask:
    tools: list[dict[str, Any]] = [
        {"type": "function", "function": {"name": name}} for name in ("find", "book", "pay", "sell")
    ]
    task = Task("t", [{"role": "user", "content": "?"}], {"calls": calls, "order": order}, tools=tools)
    expected = expectation_of(task)
    assert expected is not None
    return ToolTask(task, expected)


async def scored(asked: ToolTask, said: SimulatedAnswer) -> Score:
    sample = Sample(0, "s", asked.task, Cell("m", "baseline", 1.0), 0, 0)
    return await build_scorer("tool_calls")(
        sample, Answer(said.text, tool_calls=said.tool_calls), cast(ModelClient, None)
    )


@given(calls=CALLS, order=st.sampled_from(["strict", "any"]), seed=st.integers(0, 10**6))
async def test_right_calls_are_accepted_in_full(calls: list[dict[str, Any]], order: str, seed: int) -> None:
    asked = a_task(calls, order)
    said = asked.answer(ToolDraw(seed, "s/1"), None, is_right=True)
    assert (said.right, said.corruption) == (True, None)
    assert (await scored(asked, said)).grade == "full"


THREE = [
    {"name": "find", "arguments": {"x": ["Rome", "Roma"], "y": [1, ""]}},
    {"name": "book", "arguments": {"x": [True]}},
    {"name": "pay", "arguments": {}},
]


@pytest.mark.parametrize("corruption", CORRUPTIONS)
@pytest.mark.parametrize("seed", range(20))
async def test_a_corruption_is_scored_as_its_own_class(corruption: str, seed: int) -> None:
    asked = a_task(THREE, "strict")
    said = asked.answer(ToolDraw(seed, "s/1"), corruption, is_right=True)
    assert (said.right, said.corruption) == (False, corruption)
    assert (await scored(asked, said)).error_class == corruption


async def test_a_corruption_without_room_leaves_the_calls_right() -> None:
    asked = a_task(THREE, "any")
    said = asked.answer(ToolDraw(0, "s/1"), "sequence_order", is_right=True)
    assert (said.right, said.corruption) == (True, None)


async def test_a_model_that_is_wrong_is_wrong_in_every_way_and_says_which() -> None:
    asked = a_task(THREE, "strict")
    found = [asked.answer(ToolDraw(seed, "s/1"), None, is_right=False) for seed in range(100)]
    assert {one.corruption for one in found} == set(CORRUPTIONS)
    assert {(await scored(asked, one)).error_class == one.corruption for one in found} == {True}
