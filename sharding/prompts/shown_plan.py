"""How a prompt shows a plan: the form of one step, and plans of the user's own from a column of the task."""

from __future__ import annotations

import re

from providers.errors import InputError
from providers.suggestion import suggestion

from ..tasks.dotted import value_at
from ..tasks.task import Task
from ..tasks.tool_plan import PlanStep, ToolPlan, goal_of, read_steps
from ..tasks.tool_registry import listed_steps

_PLACE = re.compile(r"\{(\w+)\}")
PLACES = ("number", "tool", "arguments", "call", "description")
"""The placeholders of a step: its number, its tool, its arguments as text, both together, and its description."""


def show_plan(plan: ToolPlan, step_form: str | None) -> str:
    """Write every step in the form, one per line; without a form, as a numbered list."""
    if step_form is None:
        return str(plan)
    return "\n".join(_show_step(number, step, step_form) for number, step in enumerate(plan.steps, start=1))


def _show_step(number: int, step: PlanStep, step_form: str) -> str:
    shown = {
        "number": str(number),
        "tool": step.tool,
        "arguments": step.shown_arguments,
        "call": step.call,
        "description": step.description,
    }
    return _PLACE.sub(lambda match: shown[match[1]], step_form)


def check_step(step_form: str, where: str) -> None:
    """Raise InputError if a form has an unknown placeholder or does not name the tool."""
    names = _PLACE.findall(step_form)
    for name in names:
        if name not in PLACES:
            raise InputError(f'{where}: step has the unknown placeholder "{name}"; {suggestion(name, PLACES)}')
    if not {"tool", "call", "description"} & set(names):
        raise InputError(f"{where}: step must show {{tool}}, {{call}} or {{description}}")


def plan_in(task: Task, column: str) -> ToolPlan | None:
    """Read the plan in a column; None where it is empty. Raises InputError where it is no plan."""
    try:
        steps = read_steps(listed_steps(value_at(task.columns, column), column))
    except InputError as error:
        raise InputError(f"task {task.task_id}: {error}") from error
    return ToolPlan(goal_of(task), steps) if steps else None
