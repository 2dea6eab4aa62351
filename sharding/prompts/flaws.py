"""Seven flaws that can be added to a tool plan. Each makes one change, derived from the plan, always the same one for the same task.

A flaw that does not apply to a plan (a single step cannot be out of order) raises InputError with the reason only; the caller adds the
task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeVar

from providers.errors import InputError
from providers.messages import JSON, Tool
from providers.seeded_draws import draw_uniform

from ..tasks.task import Task
from ..tasks.tool_plan import PlanStep, ToolPlan, parameter_types, tool_name

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FlawedPlan:
    """A plan to be damaged, the task's tools, and the seed of the task's random choices."""

    plan: ToolPlan
    offered: Sequence[Tool]
    seed: str

    @property
    def tools(self) -> Sequence[str]:
        """The names of the task's tools."""
        return [tool_name(tool) for tool in self.offered]

    def choose(self, options: Sequence[T], purpose: str) -> T:
        """Choose an option at random, the same for the same task and purpose."""
        return options[int(draw_uniform(0, purpose, self.seed) * len(options))]

    def with_step(self, place: int, step: PlanStep) -> ToolPlan:
        """Replace the step at index `place`."""
        steps = self.plan.steps
        return replace(self.plan, steps=(*steps[:place], step, *steps[place + 1 :]))


def damage(plan: ToolPlan, flaw: str, task: Task) -> ToolPlan:
    """Add one flaw, a key of FLAWS, to a plan. Raises InputError where the flaw does not apply to the plan."""
    return FLAWS[flaw](FlawedPlan(plan, task.tools, task.task_id))


def _disorder(flawed: FlawedPlan) -> ToolPlan:
    """Swap two steps."""
    steps = list(flawed.plan.steps)
    pairs = [(a, b) for a, b in combinations(range(len(steps)), 2) if steps[a] != steps[b]]
    if not pairs:
        raise InputError("its plan has no two different steps to swap")
    a, b = flawed.choose(pairs, "disorder")
    steps[a], steps[b] = steps[b], steps[a]
    return replace(flawed.plan, steps=tuple(steps))


def _misuse(flawed: FlawedPlan) -> ToolPlan:
    """Give a step another of the task's tools, with the arguments of the right one."""
    tools = [*flawed.tools, *(step.tool for step in flawed.plan.steps)]
    place = flawed.choose(range(len(flawed.plan.steps)), "misuse")
    step = flawed.plan.steps[place]
    others = sorted({name for name in tools if name != step.tool})
    if not others:
        raise InputError("it offers no second tool that could be taken for the right one")
    return flawed.with_step(place, replace(step, tool=flawed.choose(others, "misused")))


def _wrong_parameter(flawed: FlawedPlan) -> ToolPlan:
    """Change the value of one argument of one step; where the plan leaves all open, give a parameter a value of another type."""
    places = [(place, name) for place, step in enumerate(flawed.plan.steps) for name in step.arguments]
    if not places:
        return _mistyped_parameter(flawed)
    place, name = flawed.choose(places, "parameter")
    step = flawed.plan.steps[place]
    return flawed.with_step(place, replace(step, arguments={**step.arguments, name: damaged(step.arguments[name])}))


def _mistyped_parameter(flawed: FlawedPlan) -> ToolPlan:
    types = {tool_name(tool): parameter_types(tool) for tool in flawed.offered}
    places = [
        (place, name)
        for place, step in enumerate(flawed.plan.steps)
        for name in types.get(step.tool, ())
        if step.takes_any
    ]
    if not places:
        raise InputError("no step of its plan has an argument to damage")
    place, name = flawed.choose(places, "parameter")
    step = flawed.plan.steps[place]
    wrong: JSON = 0 if types[step.tool][name] == "string" else "unknown"
    return flawed.with_step(place, replace(step, arguments={name: wrong}))


def _missing(flawed: FlawedPlan) -> ToolPlan:
    """Remove one step."""
    steps = flawed.plan.steps
    if len(steps) == 1:
        raise InputError("its plan has a single step: none can be left out")
    place = flawed.choose(range(len(steps)), "missing")
    return replace(flawed.plan, steps=(*steps[:place], *steps[place + 1 :]))


def _redundant(flawed: FlawedPlan) -> ToolPlan:
    """Repeat one step later."""
    steps = flawed.plan.steps
    place = flawed.choose(range(len(steps)), "redundant")
    after = flawed.choose(range(place + 1, len(steps) + 1), "again")
    return replace(flawed.plan, steps=(*steps[:after], steps[place], *steps[after:]))


def _contradiction(flawed: FlawedPlan) -> ToolPlan:
    """Add a contradiction to a step: it depends on a later step, requires that an earlier one was not done, or must not be done."""
    steps = flawed.plan.steps
    place = flawed.choose(range(len(steps)), "contradicted")
    step = steps[place]
    forms = [f"Do this without calling {step.tool}."]
    if place + 1 < len(steps):
        later = flawed.choose(range(place + 1, len(steps)), "later") + 1
        forms += [f"Use the result of step {later} for this.", f"Do this only after step {later} is finished."]
    if place:
        earlier = flawed.choose(range(place), "earlier") + 1
        forms += [f"Do this only if step {earlier} was not done."]
    contradiction = flawed.choose(forms, "contradiction")
    return flawed.with_step(place, replace(step, description=f"{step.description} {contradiction}".strip()))


def _drift(flawed: FlawedPlan) -> ToolPlan:
    """Replace the goal by another one that is derived from one step of the plan."""
    goals = [
        form.format(step=step.in_words, tool=step.tool)
        for step in flawed.plan.steps
        for form in (
            "Find out as much as possible about this one point, the rest does not matter: {step}",
            "Explain to the user how {tool} works, with this as the example: {step}",
            "Compare several alternatives to the following and recommend one: {step}",
        )
    ]
    return replace(flawed.plan, goal=flawed.choose(goals, "drift"))


FLAWS: Mapping[str, Callable[[FlawedPlan], ToolPlan]] = {
    "sequence_disorder": _disorder,
    "tool_misuse": _misuse,
    "parameter_error": _wrong_parameter,
    "missing_step": _missing,
    "redundant_operations": _redundant,
    "logical_inconsistency": _contradiction,
    "semantic_drift": _drift,
}


def damaged(value: JSON) -> JSON:
    """Return another value of the same type that could be a mistake."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value * 10 if value else 1
    if isinstance(value, str):
        return _damaged_text(value)
    if isinstance(value, Mapping):
        return {**value, (name := next(iter(value))): damaged(value[name])} if value else {"unknown": True}
    if value is None:
        return 0
    return [*value[:-1], damaged(value[-1])] if value else [0]


def _damaged_text(text: str) -> str:
    """Increment the last digit of a text; remove the second half where there is none."""
    index = max((index for index, sign in enumerate(text) if sign in "0123456789"), default=None)
    if index is not None:
        return f"{text[:index]}{(int(text[index]) + 1) % 10}{text[index + 1 :]}"
    return text[: (len(text) + 1) // 2] if len(text) > 1 else f"{text}?"
