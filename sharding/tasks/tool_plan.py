"""A task's tool plan: its goal and its tool calls, in order. Prompts show it, and scorers compare calls with it.

It is read from `metadata: {goal, plan: [{tool, arguments, description}]}` of the task, where `arguments: null` means any, or from the
calls of the target, `{calls: [{name, arguments: {parameter: [accepted values]}}]}`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from providers.messages import JSON, Tool

from ..conversation import text_of
from .task import Task

_Reading = Callable[[Mapping[str, JSON]], Mapping[str, JSON]]

HOW_TO_PLAN = "write it as metadata.plan = [{tool, arguments, description}], or exclude such tasks with task_types"


def _as_given(arguments: Mapping[str, JSON]) -> Mapping[str, JSON]:
    return arguments


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One tool call of a plan."""

    tool: str
    arguments: Mapping[str, JSON]
    description: str = ""
    takes_any: bool = False
    """Whether the plan leaves the arguments open."""

    @property
    def in_words(self) -> str:
        """The description; the call where there is none."""
        return self.description or str(self)

    def __str__(self) -> str:
        return f"{self.call}: {self.description}" if self.description else self.call

    @property
    def call(self) -> str:
        """The tool with its arguments; the tool alone where the plan leaves them open."""
        return self.tool if self.takes_any and not self.arguments else f"{self.tool}({self.shown_arguments})"

    @property
    def shown_arguments(self) -> str:
        """The arguments as text: `name="value", …`."""
        return ", ".join(f"{name}={_shown(value)}" for name, value in self.arguments.items())


@dataclass(frozen=True, slots=True)
class ToolPlan:
    """The goal of a task and the tool calls that reach it."""

    goal: str
    steps: Sequence[PlanStep]

    def __str__(self) -> str:
        """Format the steps as a numbered list."""
        return "\n".join(f"{number}. {step}" for number, step in enumerate(self.steps, start=1))


def plan_of(task: Task) -> ToolPlan | None:
    """Read the task's plan; None where there is no valid one. Metadata is free-form, so an invalid plan is not an error."""
    if not task.metadata and (task.target is None or isinstance(task.target, str)):
        return None
    metadata = task.metadata or {}
    steps = read_steps(metadata.get("plan"))
    if not steps and isinstance(task.target, Mapping):
        steps = read_steps(task.target.get("calls"), "name", _first_accepted)
    if not steps:
        return None
    return ToolPlan(goal_of(task), steps)


def goal_of(task: Task) -> str:
    """Return the task's goal; the text of its last user message where it has none."""
    goal = (task.metadata or {}).get("goal")
    return goal if isinstance(goal, str) and goal else last_user_text(task)


def read_steps(listed: JSON, name: str = "tool", arguments_of: _Reading = _as_given) -> list[PlanStep]:
    """Read all steps; return an empty list where one is invalid."""
    steps: list[PlanStep] = []
    for entry in listed if isinstance(listed, list | tuple) else ():
        tool = entry.get(name) if isinstance(entry, Mapping) else None
        arguments = entry.get("arguments", {}) if isinstance(entry, Mapping) else ""
        takes_any = arguments is None
        arguments = {} if arguments is None else arguments
        if not isinstance(tool, str) or not tool or not isinstance(arguments, Mapping):
            return []
        assert isinstance(entry, Mapping)
        steps.append(PlanStep(tool, arguments_of(arguments), str(entry.get("description") or ""), takes_any))
    return steps


def _first_accepted(arguments: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """Return the first accepted value of every parameter; a parameter whose first accepted value is "" is left out."""
    firsts = {
        name: accepted[0] if isinstance(accepted, list) else accepted
        for name, accepted in arguments.items()
        if accepted
    }
    return {name: value for name, value in firsts.items() if value != ""}


def last_user_text(task: Task) -> str:
    """Return the text of the last user message."""
    last = next((message for message in reversed(task.messages) if message.get("role") == "user"), {})
    return text_of(last.get("content"))


def _shown(value: JSON) -> str:
    return orjson.dumps(value).decode()


def tool_name(tool: Tool) -> str:
    """Return the name of an OpenAI tool or of a function schema without wrapper."""
    function = tool.get("function")
    return str((function if isinstance(function, Mapping) else tool).get("name", ""))


def parameter_types(tool: Tool) -> Mapping[str, JSON]:
    """Return the type of every parameter that the tool's schema declares; None for one without a type."""
    function = tool.get("function")
    schema = (function if isinstance(function, Mapping) else tool).get("parameters")
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    declared = properties.items() if isinstance(properties, Mapping) else ()
    return {name: entry.get("type") if isinstance(entry, Mapping) else None for name, entry in declared}


def expected_tools(task: Task) -> frozenset[str]:
    """Return every tool that the task's plan calls; an empty set where there is no plan."""
    plan = plan_of(task)
    return frozenset(step.tool for step in plan.steps) if plan else frozenset()
