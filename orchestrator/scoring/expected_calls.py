"""The calls that a task expects, and which arguments each accepts.

A target `{"calls": [{"name": …, "arguments": {parameter: [accepted values]}}], "order": "strict" | "any"}` says it in full: inside an
accepted object every field is again a list of accepted values, and "" among the accepted values lets a parameter be left out that the
tool's schema does not require. A task with a plan (`metadata.plan`: a list of `{"tool", "arguments"}`) and no such target expects the
plan's calls, in its order, with exactly its values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeGuard

from providers.messages import JSON
from sharding.tasks.task import Task

Order = Literal["strict", "any"]
LEFT_OUT = ""
"""Among the accepted values: the parameter may be left out."""
_UNIMPORTANT = re.compile(r"[\s,./_*^'’\"-]")
"""Signs in which two spellings of one value differ (the rule of the Berkeley Function-Calling Leaderboard)."""


@dataclass(frozen=True, slots=True)
class ExpectedCall:
    name: str
    arguments: Mapping[str, Sequence[JSON]]
    """The accepted values of every parameter."""
    required: frozenset[str] = frozenset()
    """Parameters that the tool's schema demands, whatever is accepted."""

    def accepts(self, name: str, arguments: Mapping[str, JSON]) -> bool:
        return name == self.name and self.fault(arguments) is None

    def fault(self, arguments: Mapping[str, JSON]) -> str | None:
        """The first parameter that is wrong, missing or not expected; None where all are right."""
        for parameter, accepted in self.arguments.items():
            if parameter not in arguments:
                if LEFT_OUT not in accepted or parameter in self.required:
                    return parameter
            elif not any(is_accepted(arguments[parameter], one) for one in accepted):
                return parameter
        return next((parameter for parameter in arguments if parameter not in self.arguments), None)


@dataclass(frozen=True, slots=True)
class ExpectedCalls:
    calls: Sequence[ExpectedCall]
    order: Order


def expectation_of(task: Task) -> ExpectedCalls | None:
    """What the task expects; None where it does not say. Raises ValueError in words where what it says cannot be read."""
    target = task.target
    if isinstance(target, Mapping) and "calls" in target:
        required = _required_parameters(task)
        calls = [_target_call(one, required) for one in _objects(target, "calls")]
        return ExpectedCalls(calls, _order(target))
    if task.metadata and "plan" in task.metadata:
        return ExpectedCalls([_plan_call(one) for one in _objects(task.metadata, "plan")], "strict")
    return None


def _order(target: Mapping[str, JSON]) -> Order:
    order = target.get("order", "strict")
    if order == "strict" or order == "any":
        return order
    raise ValueError(f"the order of its calls is {order!r}; say strict or any")


def _target_call(said: Mapping[str, JSON], required: Mapping[str, frozenset[str]]) -> ExpectedCall:
    name = _name(said, "name")
    return ExpectedCall(name, _fields(_arguments(said)), required.get(name, frozenset()))


def _plan_call(said: Mapping[str, JSON]) -> ExpectedCall:
    return ExpectedCall(_name(said, "tool"), {name: [_exactly(value)] for name, value in _arguments(said).items()})


def _exactly(value: JSON) -> JSON:
    """A plain value in the form of accepted ones: a list for every field of an object."""
    if isinstance(value, Mapping):
        return {name: [_exactly(inner)] for name, inner in value.items()}
    return [_exactly(inner) for inner in value] if _is_list(value) else value


def _fields(accepted: Mapping[str, JSON]) -> dict[str, Sequence[JSON]]:
    return {name: values if _is_list(values) else [values] for name, values in accepted.items()}


def _is_list(value: JSON) -> TypeGuard[Sequence[JSON]]:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _objects(holder: Mapping[str, JSON], key: str) -> list[Mapping[str, JSON]]:
    found = holder[key]
    if _is_list(found) and all(isinstance(one, Mapping) for one in found):
        return [one for one in found if isinstance(one, Mapping)]
    raise ValueError(f"its {key} are not a list of objects")


def _name(said: Mapping[str, JSON], key: str) -> str:
    name = said.get(key)
    if isinstance(name, str) and name:
        return name
    raise ValueError(f"a call that it expects has no {key}")


def _arguments(said: Mapping[str, JSON]) -> Mapping[str, JSON]:
    arguments = said.get("arguments", {})
    if isinstance(arguments, Mapping):
        return arguments
    raise ValueError(f"the arguments of a call that it expects are {arguments!r:.40}, not an object")


def _required_parameters(task: Task) -> dict[str, frozenset[str]]:
    """By tool, from the schemas that the task offers."""
    found = {}
    for tool in task.tools:
        function = tool.get("function")
        if isinstance(function, Mapping) and isinstance(parameters := function.get("parameters"), Mapping):
            required = parameters.get("required")
            found[str(function.get("name"))] = frozenset(map(str, required)) if _is_list(required) else frozenset()
    return found


def is_accepted(value: JSON, accepted: JSON) -> bool:
    """Equal: numbers by value, texts but for case, spaces and the signs that spellings differ in, lists item by item."""
    if isinstance(accepted, Mapping):
        return isinstance(value, Mapping) and ExpectedCall("", _fields(accepted)).fault(value) is None
    if isinstance(accepted, str) or isinstance(value, str):
        return isinstance(value, str) and isinstance(accepted, str) and _plain(value) == _plain(accepted)
    if isinstance(accepted, Sequence):
        return isinstance(value, Sequence) and len(value) == len(accepted) and all(map(is_accepted, value, accepted))
    return isinstance(value, bool) == isinstance(accepted, bool) and value == accepted


def _plain(text: str) -> str:
    return _UNIMPORTANT.sub("", text).casefold() or text.strip()
