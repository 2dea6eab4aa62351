"""Every flaw changes its one thing, and refuses where there is nothing to change."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from providers.errors import InputError
from providers.messages import JSON, Tool
from sharding.prompts.flaws import FLAWS, damage, damaged
from sharding.prompts.templates import PromptTemplate, load_prompt_types
from sharding.tasks.task import Task
from sharding.tasks.tool_plan import PlanStep, ToolPlan, plan_of

STEPS: list[JSON] = [
    {"tool": "find", "arguments": {"what": "room", "day": "2026-03-01"}, "description": "Find a room."},
    {"tool": "book", "arguments": {"room": 7}, "description": "Book it."},
    {"tool": "tell", "arguments": {"who": ["ann", "bob"], "soon": True}, "description": "Tell them."},
]
ASKED = ({"role": "user", "content": "Book {plan} {goal} a room."},)


def a_task(number: int = 0, steps: list[JSON] = STEPS) -> Task:
    return Task(f"t{number}", ASKED, metadata={"goal": "A room is booked.", "plan": steps})


def right_plan(task: Task) -> ToolPlan:
    plan = plan_of(task)
    assert plan is not None
    return plan


def steps_of(flaw: str, number: int) -> tuple[list[PlanStep], list[PlanStep]]:
    task = a_task(number)
    spoilt = damage(right_plan(task), flaw, task)
    assert spoilt.goal == "A room is booked."
    return list(right_plan(task).steps), list(spoilt.steps)


MANY = range(40)


@pytest.mark.parametrize("number", MANY)
def test_sequence_disorder_swaps_two_steps(number: int) -> None:
    right, spoilt = steps_of("sequence_disorder", number)
    assert sum(a != b for a, b in zip(right, spoilt, strict=True)) == 2
    assert Counter(map(str, right)) == Counter(map(str, spoilt))


@pytest.mark.parametrize("number", MANY)
def test_tool_misuse_changes_the_tool_of_one_step_alone(number: int) -> None:
    right, spoilt = steps_of("tool_misuse", number)
    ((a, b),) = [(a, b) for a, b in zip(right, spoilt, strict=True) if a != b]
    assert a.tool != b.tool
    assert replace(b, tool=a.tool) == a


@pytest.mark.parametrize("number", MANY)
def test_parameter_error_changes_one_value_alone(number: int) -> None:
    right, spoilt = steps_of("parameter_error", number)
    ((a, b),) = [(a, b) for a, b in zip(right, spoilt, strict=True) if a != b]
    assert list(a.arguments) == list(b.arguments)
    assert sum(a.arguments[name] != b.arguments[name] for name in a.arguments) == 1
    assert replace(b, arguments=a.arguments) == a


@pytest.mark.parametrize("number", MANY)
def test_a_missing_step_leaves_the_others_in_order(number: int) -> None:
    right, spoilt = steps_of("missing_step", number)
    assert len(spoilt) == 2
    assert [step for step in right if step in spoilt] == spoilt


@pytest.mark.parametrize("number", MANY)
def test_a_redundant_step_is_one_of_the_plan_done_again(number: int) -> None:
    right, spoilt = steps_of("redundant_operations", number)
    assert len(spoilt) == 4
    assert list(dict.fromkeys(map(str, spoilt))) == [str(step) for step in right]


@pytest.mark.parametrize("number", MANY)
def test_a_logical_inconsistency_stands_in_one_description(number: int) -> None:
    right, spoilt = steps_of("logical_inconsistency", number)
    ((a, b),) = [(a, b) for a, b in zip(right, spoilt, strict=True) if a != b]
    assert replace(b, description=a.description) == a
    assert b.description.startswith(a.description + " ")


def test_semantic_drift_changes_the_goal_alone() -> None:
    task = a_task()
    spoilt = damage(right_plan(task), "semantic_drift", task)
    assert spoilt.steps == right_plan(task).steps
    assert spoilt.goal != "A room is booked."


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flaw_is_the_tasks_own_and_always_the_same(flaw: str) -> None:
    tasks = [a_task(number) for number in MANY]
    spoilt = [damage(right_plan(task), flaw, task) for task in tasks]
    assert spoilt == [damage(right_plan(task), flaw, task) for task in tasks]
    assert len({repr(plan) for plan in spoilt}) > 2, "not one canned text"


@pytest.mark.parametrize(
    ("flaw", "steps", "reason"),
    [
        ("sequence_disorder", STEPS[:1], "no two different steps"),
        ("sequence_disorder", [STEPS[0], STEPS[0]], "no two different steps"),
        ("missing_step", STEPS[:1], "a single step"),
        ("tool_misuse", STEPS[:1], "no second tool"),
        ("parameter_error", [{"tool": "a"}, {"tool": "b"}], "no step of its plan has an argument"),
    ],
)
def test_a_flaw_that_cannot_be_made_is_refused(flaw: str, steps: list[JSON], reason: str) -> None:
    task = a_task(0, steps)
    with pytest.raises(InputError, match=reason):
        damage(right_plan(task), flaw, task)


VALUES: list[JSON] = [0, 1, -2, 0.5, True, False, None, "", "a", "Paris", "2026-03-01", "9", [], [1], {}, {"a": "b"}]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_damaged_value_is_another_one(value: JSON) -> None:
    assert damaged(value) != value


# ------------------------------------------------------------------ as prompts
NAMES = [f"flawed_{flaw}" for flaw in FLAWS]


def asked(name: str, task: Task) -> str:
    return str(load_prompt_types([name])[name].apply(task).messages[-1]["content"])


@pytest.mark.parametrize("name", NAMES)
def test_a_flawed_prompt_is_the_optimal_one_but_for_the_lines_of_its_flaw(name: str) -> None:
    task = a_task()
    right, spoilt = asked("optimal", task).splitlines(), asked(name, task).splitlines()
    allowed = {
        *str(right_plan(task)).splitlines(),
        "A room is booked.",
        *str(damage(right_plan(task), name[7:], task)).splitlines(),
    }
    goal = damage(right_plan(task), name[7:], task).goal
    assert right != spoilt
    assert {line for line in right if line not in spoilt} <= allowed
    assert {line for line in spoilt if line not in right} <= allowed | {goal}


@pytest.mark.parametrize("name", ["optimal", *NAMES])
def test_braces_in_the_task_are_safe_beside_a_plan(name: str) -> None:
    assert "Book {plan} {goal} a room." in asked(name, a_task())


def test_the_seven_have_seven_digests_of_their_own() -> None:
    assert len({prompt.digest for prompt in load_prompt_types(["optimal", *NAMES]).values()}) == 8


@pytest.mark.parametrize("name", NAMES)
def test_a_task_without_a_plan_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError) as caught:
        asked(name, Task("gsm8k-4", ASKED))
    assert str(caught.value) == (
        f"task gsm8k-4 has no tool plan, which the prompt type {name} shows; write it as metadata.plan = "
        "[{tool, arguments, description}], or exclude such tasks with task_types"
    )


def test_optimal_and_baseline_ask_tasks_without_a_plan_as_ever() -> None:
    task = Task("t", ASKED)
    assert "# Plan" not in asked("optimal", task)
    assert load_prompt_types(["baseline"])["baseline"].apply(a_task()).messages == ASKED


def test_people_spoil_plans_in_words_of_their_own() -> None:
    own = load_prompt_types(
        ["mine"], {"mine": {"user": "{input} So: {plan}", "system": "{goal}", "flaw": "missing_step"}}
    )["mine"]
    system, user = own.apply(a_task()).messages
    assert system["content"] == "A room is booked."
    assert str(user["content"]).startswith("Book {plan} {goal} a room. So: 1. ")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ({"user": "{input} {plan}", "flaw": "typo"}, 'unknown flaw "typo"'),
        ({"user": "{input}", "flaw": "missing_step"}, "a flaw needs a plan; put"),
        ({"user_with_plan": "{plan}"}, "user_with_plan must contain {input}"),
        ({"like": "optimla"}, 'like names the unknown prompt type "optimla"'),
        ({"like": "flawed_missing_step"}, "is itself like optimal; name that one"),
    ],
)
def test_a_template_that_cannot_be_meant_is_refused(source: dict[str, str], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        load_prompt_types(["p"], {"p": source})


def test_a_prompt_type_that_may_show_a_plan_does_not_need_one() -> None:
    assert not PromptTemplate("p", user="{input}", user_with_plan="{input} {plan}").needs_plan
    assert load_prompt_types(["flawed_missing_step"])["flawed_missing_step"].needs_plan


def test_where_a_plan_leaves_all_arguments_open_a_parameter_gets_a_value_of_another_type() -> None:
    schema: JSON = {"type": "object", "properties": {"what": {"type": "string"}}}
    tools: list[Tool] = [{"type": "function", "function": {"name": "find", "parameters": schema}}]
    steps: list[JSON] = [{"tool": "find", "arguments": None}, {"tool": "tell", "arguments": None}]
    task = replace(a_task(steps=steps), tools=tools)
    assert str(damage(right_plan(task), "parameter_error", task)) == "1. find(what=0)\n2. tell"
    with pytest.raises(InputError, match="no step of its plan has an argument to damage"):
        damage(right_plan(task), "parameter_error", replace(task, tools=()))


@pytest.mark.parametrize("flaw", FLAWS)
def test_every_flaw_applies_to_a_plan_of_names(flaw: str) -> None:
    schema: JSON = {"type": "object", "properties": {"what": {"type": "string"}}}
    tools: list[Tool] = [{"name": name, "parameters": schema} for name in ("find", "book", "tell")]
    task = replace(a_task(steps=[{"tool": name, "arguments": None} for name in ("find", "book")]), tools=tools)
    assert damage(right_plan(task), flaw, task) != right_plan(task)
