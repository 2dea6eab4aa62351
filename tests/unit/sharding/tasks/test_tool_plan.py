"""Plans as they stand in tasks, and how they are shown."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from providers.messages import JSON
from sharding.tasks.task import Task
from sharding.tasks.tool_plan import PlanStep, expected_tools, plan_of, tool_name

ASKED: tuple[Mapping[str, JSON]] = ({"role": "user", "content": [{"type": "text", "text": "Weather?"}]},)


def test_a_plan_stands_in_the_metadata() -> None:
    steps: list[JSON] = [
        {"tool": "look", "arguments": {"city": "Paris", "days": 2}, "description": "Look."},
        {"tool": "tell"},
    ]
    plan = plan_of(Task("t", ASKED, metadata={"goal": "Know.", "plan": steps}))
    assert plan is not None
    assert (plan.goal, str(plan)) == ("Know.", '1. look(city="Paris", days=2): Look.\n2. tell()')


def test_a_step_may_leave_its_arguments_open() -> None:
    plan = plan_of(Task("t", ASKED, metadata={"plan": [{"tool": "look", "arguments": None}]}))
    assert plan is not None
    assert (plan.steps, str(plan)) == ([PlanStep("look", {}, takes_any=True)], "1. look")


def test_without_a_goal_it_is_what_was_asked() -> None:
    plan = plan_of(Task("t", ASKED, metadata={"plan": [{"tool": "look"}]}))
    assert plan is not None
    assert plan.goal == "Weather?"


def test_a_plan_follows_from_the_accepted_calls_of_the_target() -> None:
    calls: list[JSON] = [{"name": "look", "arguments": {"city": ["Paris", "paris"], "unit": ["", "C"], "days": [0]}}]
    plan = plan_of(Task("t", ASKED, target={"calls": calls, "order": "any"}))
    assert plan is not None
    assert plan.steps == [PlanStep("look", {"city": "Paris", "days": 0})]


@pytest.mark.parametrize(
    "plan", ["premium", [], [1], [{"tool": ""}], [{"tool": "a"}, {"name": "b"}], [{"tool": "a", "arguments": 3}], 7]
)
def test_metadata_that_is_no_plan_is_none_and_no_error(plan: JSON) -> None:
    task = Task("t", ASKED, metadata={"plan": plan})
    assert plan_of(task) is None
    assert expected_tools(task) == frozenset()


def test_expected_tools_are_named_once() -> None:
    task = Task("t", ASKED, metadata={"plan": [{"tool": "a"}, {"tool": "b"}, {"tool": "a"}]})
    assert expected_tools(task) == {"a", "b"}


def test_a_tool_is_named_with_or_without_its_envelope() -> None:
    assert tool_name({"type": "function", "function": {"name": "a"}}) == tool_name({"name": "a"}) == "a"
