"""A task's tool plan: what it is for and which calls it takes, in order. Prompts show it, scorers count against it.

It stands in the task as `metadata: {goal, plan: [{tool, arguments, description}]}`, or follows from the calls of the target,
`{calls: [{name, arguments: {parameter: [accepted values]}}]}`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from providers.messages import JSON, Message, Tool

from ..conversation import text_of
from .task import Task

_Reading = Callable[[Mapping[str, JSON]], Mapping[str, JSON]]

HOW_TO_PLAN = "write it as metadata.plan = [{tool, arguments, description}], or leave such tasks out with task_types"


@dataclass(frozen=True, slots=True)
class PlanStep:
    tool: str
    arguments: Mapping[str, JSON]
    description: str = ""

    @property
    def in_words(self) -> str:
        """Its description where it has one; the call, where not."""
        return self.description or str(self)

    def __str__(self) -> str:
        said = f": {self.description}" if self.description else ""
        return f"{self.tool}({', '.join(f'{name}={_shown(value)}' for name, value in self.arguments.items())}){said}"


@dataclass(frozen=True, slots=True)
class ToolPlan:
    goal: str
    steps: Sequence[PlanStep]

    def __str__(self) -> str:
        """The steps, numbered."""
        return "\n".join(f"{number}. {step}" for number, step in enumerate(self.steps, start=1))


def plan_of(task: Task) -> ToolPlan | None:
    """The task's plan; None where it has none that can be read. Metadata is the person's own: what is no plan is no error."""
    metadata = task.metadata or {}
    steps = _steps(metadata.get("plan"), "tool", lambda arguments: arguments)
    if not steps and isinstance(task.target, Mapping):
        steps = _steps(task.target.get("calls"), "name", _first_accepted)
    if not steps:
        return None
    goal = metadata.get("goal")
    return ToolPlan(goal if isinstance(goal, str) and goal else _asked(task.messages), steps)


def _steps(listed: JSON, name: str, arguments_of: _Reading) -> list[PlanStep]:
    """All of them, or none where one is no step."""
    found: list[PlanStep] = []
    for one in listed if isinstance(listed, list | tuple) else ():
        tool = one.get(name) if isinstance(one, Mapping) else None
        arguments = one.get("arguments", {}) if isinstance(one, Mapping) else None
        if not isinstance(tool, str) or not tool or not isinstance(arguments, Mapping):
            return []
        assert isinstance(one, Mapping)
        found.append(PlanStep(tool, arguments_of(arguments), str(one.get("description") or "")))
    return found


def _first_accepted(arguments: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """The first accepted value of every parameter; one whose first accepted value is to say nothing stays out."""
    firsts = {
        name: accepted[0] if isinstance(accepted, list) else accepted
        for name, accepted in arguments.items()
        if accepted
    }
    return {name: value for name, value in firsts.items() if value != ""}


def _asked(messages: Sequence[Message]) -> str:
    """The last user message's text."""
    asked = next((message for message in reversed(messages) if message.get("role") == "user"), {})
    return text_of(asked.get("content"))


def _shown(value: JSON) -> str:
    return orjson.dumps(value).decode()


def tool_name(tool: Tool) -> str:
    """Of an OpenAI tool, or of a bare function schema."""
    function = tool.get("function")
    return str((function if isinstance(function, Mapping) else tool).get("name", ""))


def expected_tools(task: Task) -> frozenset[str]:
    """Every tool that the task's plan calls; empty where there is no plan."""
    plan = plan_of(task)
    return frozenset(step.tool for step in plan.steps) if plan else frozenset()
