"""The calls that a task expects, and the arguments that each call accepts.

A target `{"calls": [{"name": …, "arguments": {parameter: [accepted values]}}], "order": "strict" | "any"}` is the complete form: inside an
accepted object every field is again a list of accepted values, and "" among the accepted values means that the parameter is optional
unless the tool's schema requires it. A task with a plan (`metadata.plan`: a list of `{"tool", "arguments"}`) and no such target expects
the plan's calls, in its order, with exactly its values; a step with `arguments: null` accepts any.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeGuard

from providers.messages import JSON
from sharding.tasks.task import Task

Order = Literal["strict", "any"]
ArgumentRule = Literal["ignore", "exact", "subset"]
"""How the arguments of a call are compared: not at all, all of them, or only those that are expected."""
LEFT_OUT = ""
"""An accepted value which means that the parameter may be left out."""
_UNIMPORTANT = re.compile(r"[\s,./_*^'’\"-]")
"""Characters that are ignored in a comparison (the rule of the Berkeley Function-Calling Leaderboard)."""


@dataclass(frozen=True, slots=True)
class ExpectedCall:
    """A call that a task expects, with the accepted values of its parameters."""

    name: str
    arguments: Mapping[str, Sequence[JSON]]
    """The accepted values of every parameter."""
    required: frozenset[str] = frozenset()
    """Parameters that the tool's schema requires, even where they may be left out by the accepted values."""
    takes_any: bool = False
    """Whether all arguments are right."""

    def accepts(self, name: str, arguments: Mapping[str, JSON], rule: ArgumentRule = "exact") -> bool:
        """Return whether a call with this name and these arguments is right."""
        return name == self.name and self.fault(arguments, rule) is None

    def fault(self, arguments: Mapping[str, JSON], rule: ArgumentRule = "exact") -> str | None:
        """Return the first parameter that is wrong, missing or, with the rule "exact", not expected; None where all are right."""
        if rule == "ignore" or self.takes_any:
            return None
        for parameter, accepted in self.arguments.items():
            if parameter not in arguments:
                if LEFT_OUT not in accepted or parameter in self.required:
                    return parameter
            elif not any(is_accepted(arguments[parameter], value) for value in accepted):
                return parameter
        if rule == "subset":
            return None
        return next((parameter for parameter in arguments if parameter not in self.arguments), None)


@dataclass(frozen=True, slots=True)
class ExpectedCalls:
    """The calls that a task expects, and whether their order matters."""

    calls: Sequence[ExpectedCall]
    order: Order


def expectation_of(task: Task) -> ExpectedCalls | None:
    """Read the calls that a task expects; None where it names none. Raises ValueError with a reason where they are invalid."""
    target = task.target
    if isinstance(target, Mapping) and "calls" in target:
        required = _required_parameters(task)
        calls = [_target_call(call, required) for call in _objects(target, "calls")]
        return ExpectedCalls(calls, _order(target))
    if task.metadata and "plan" in task.metadata:
        return ExpectedCalls([_plan_call(step) for step in _objects(task.metadata, "plan")], "strict")
    return None


def _order(target: Mapping[str, JSON]) -> Order:
    order = target.get("order", "strict")
    if order == "strict" or order == "any":
        return order
    raise ValueError(f"the order of its calls is {order!r}; set it to strict or any")


def _target_call(call: Mapping[str, JSON], required: Mapping[str, frozenset[str]]) -> ExpectedCall:
    name = _name(call, "name")
    return ExpectedCall(name, _fields(_arguments(call)), required.get(name, frozenset()))


def _plan_call(step: Mapping[str, JSON]) -> ExpectedCall:
    if "arguments" in step and step["arguments"] is None:
        return ExpectedCall(_name(step, "tool"), {}, takes_any=True)
    return ExpectedCall(_name(step, "tool"), {name: [_exactly(value)] for name, value in _arguments(step).items()})


def _exactly(value: JSON) -> JSON:
    """Convert a plain value to the form of accepted values: a list for every field of an object."""
    if isinstance(value, Mapping):
        return {name: [_exactly(inner)] for name, inner in value.items()}
    return [_exactly(inner) for inner in value] if _is_list(value) else value


def _fields(accepted: Mapping[str, JSON]) -> dict[str, Sequence[JSON]]:
    return {name: values if _is_list(values) else [values] for name, values in accepted.items()}


def _is_list(value: JSON) -> TypeGuard[Sequence[JSON]]:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _objects(holder: Mapping[str, JSON], key: str) -> list[Mapping[str, JSON]]:
    items = holder[key]
    if _is_list(items) and all(isinstance(item, Mapping) for item in items):
        return [item for item in items if isinstance(item, Mapping)]
    raise ValueError(f"its {key} are not a list of objects")


def _name(call: Mapping[str, JSON], key: str) -> str:
    name = call.get(key)
    if isinstance(name, str) and name:
        return name
    raise ValueError(f"a call that it expects has no {key}")


def _arguments(call: Mapping[str, JSON]) -> Mapping[str, JSON]:
    arguments = call.get("arguments", {})
    if isinstance(arguments, Mapping):
        return arguments
    raise ValueError(f"the arguments of a call that it expects are {arguments!r:.40}, not an object")


def _required_parameters(task: Task) -> dict[str, frozenset[str]]:
    """Return the required parameters by tool, from the schemas of the task's tools."""
    by_tool = {}
    for tool in task.tools:
        function = tool.get("function")
        if isinstance(function, Mapping) and isinstance(parameters := function.get("parameters"), Mapping):
            required = parameters.get("required")
            by_tool[str(function.get("name"))] = frozenset(map(str, required)) if _is_list(required) else frozenset()
    return by_tool


def is_accepted(value: JSON, accepted: JSON) -> bool:
    """Compare numbers by value, texts without case, spaces and the ignored characters, and lists item by item."""
    if isinstance(accepted, Mapping):
        return isinstance(value, Mapping) and ExpectedCall("", _fields(accepted)).fault(value) is None
    if isinstance(accepted, str) or isinstance(value, str):
        return isinstance(value, str) and isinstance(accepted, str) and _plain(value) == _plain(accepted)
    if isinstance(accepted, Sequence):
        return isinstance(value, Sequence) and len(value) == len(accepted) and all(map(is_accepted, value, accepted))
    return isinstance(value, bool) == isinstance(accepted, bool) and value == accepted


def _plain(text: str) -> str:
    return _UNIMPORTANT.sub("", text).casefold() or text.strip()
