"""The simulator's tool calls: those that a task expects, or the same with one known corruption.

Right calls are derived from the task; the scorer is never called here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from providers.messages import JSON, ToolCall
from providers.seeded_draws import draw_name, draw_uniform
from providers.simulator.answers.source import SimulatedAnswer
from runners.tools.names import name_on_the_wire
from sharding.tasks.task import Task

from ..scoring.expected_calls import LEFT_OUT, ExpectedCall, ExpectedCalls

NO_CALL = "I can do that without a tool."
UNKNOWN_TOOL, UNKNOWN_PARAMETER = "no_such_tool", "no_such_parameter"


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call that the simulated model makes."""

    name: str
    arguments: Mapping[str, JSON]
    is_broken: bool = False
    """Whether its arguments are written as invalid JSON."""


Calls = Sequence[PlannedCall]


@dataclass(frozen=True, slots=True)
class ToolDraw:
    """The random choices of one answer, which depend on (seed, sample, turn) only."""

    seed: int
    key: str

    def choose(self, purpose: str, count: int) -> int:
        """Draw an index below `count`."""
        return min(int(draw_uniform(self.seed, purpose, self.key) * count), count - 1)


@dataclass(frozen=True, slots=True)
class ToolTask:
    """A task and the calls that it expects."""

    task: Task
    expected: ExpectedCalls

    def answer(self, draw: ToolDraw, corruption: str | None, *, is_right: bool) -> SimulatedAnswer:
        """Return the calls with the given corruption where it applies; else right calls, or any corruption where `is_right` is false."""
        calls = right_calls(self.expected, draw)
        if corruption and (corrupted := self._corrupted(corruption, calls)) is not None:
            return self._written_out(corrupted, draw, corruption)
        applicable = [] if is_right else [name for name in CORRUPTIONS if self._corrupted(name, calls) is not None]
        if not applicable:
            return self._written_out(calls, draw, None)
        chosen = applicable[draw.choose("way", len(applicable))]
        return self._written_out(self._corrupted(chosen, calls) or (), draw, chosen)

    def _written_out(self, calls: Calls, draw: ToolDraw, corruption: str | None) -> SimulatedAnswer:
        """Write the calls as a server sends them; a text where there is none."""
        named = [replace(call, name=name_on_the_wire(call.name, self.task.tools)) for call in calls]
        wire = [_wire(call, draw, index) for index, call in enumerate(named)]
        return SimulatedAnswer("" if wire else NO_CALL, wire, right=corruption is None, corruption=corruption)

    def _corrupted(self, corruption: str, calls: Calls) -> Calls | None:
        corrupt = CORRUPTIONS.get(corruption)
        return None if corrupt is None else corrupt(calls, self)


def right_calls(expected: ExpectedCalls, draw: ToolDraw) -> Calls:
    """Return every expected call, with one of the accepted values of every parameter."""
    return [PlannedCall(call.name, dict(_arguments(call, draw, index))) for index, call in enumerate(expected.calls)]


def _arguments(call: ExpectedCall, draw: ToolDraw, index: int) -> Iterator[tuple[str, JSON]]:
    for name, accepted in call.arguments.items():
        values = [value for value in accepted if value != LEFT_OUT]
        may_be_left_out = len(values) < len(accepted) and name not in call.required
        chosen = draw.choose(f"value {index} {name}", len(values) + may_be_left_out)
        if chosen < len(values):
            yield name, _plain(values[chosen])


def _plain(accepted: JSON) -> JSON:
    """Convert an accepted value to a plain one: the fields of an accepted object are lists of accepted values."""
    if isinstance(accepted, Mapping):
        return {name: _plain(_first(values)) for name, values in accepted.items()}
    if isinstance(accepted, Sequence) and not isinstance(accepted, str):
        return [_plain(item) for item in accepted]
    return accepted


def _first(values: JSON) -> JSON:
    return values[0] if isinstance(values, Sequence) and not isinstance(values, str) and values else values


# ------------------------------------------------------------------ corruptions; each returns None where it does not apply
def _other_tool(calls: Calls, tool_task: ToolTask) -> Calls | None:
    if not calls:
        return None
    wanted = {call.name for call in tool_task.expected.calls}
    offered = (
        str(function.get("name"))
        for tool in tool_task.task.tools
        if isinstance(function := tool.get("function"), Mapping)
    )
    other = next((name for name in offered if name not in wanted), UNKNOWN_TOOL)
    return [replace(calls[0], name=other), *calls[1:]]


def _wrong_argument(calls: Calls, tool_task: ToolTask) -> Calls | None:
    if not calls:
        return None
    first = calls[0]
    accepted = [
        values for call in tool_task.expected.calls if call.name == first.name for values in call.arguments.values()
    ]
    for name, value in first.arguments.items():
        wrong = _wrong_value(value)
        if not any(wrong in values for values in accepted):
            return [replace(first, arguments={**first.arguments, name: wrong}), *calls[1:]]
    return [replace(first, arguments={**first.arguments, UNKNOWN_PARAMETER: True}), *calls[1:]]


def _wrong_value(value: JSON) -> JSON:
    if isinstance(value, bool) or value is None:
        return "neither"
    if isinstance(value, int | float):
        return value + 100_003
    return f"{value} by mistake" if isinstance(value, str) else ["by mistake"]


def _swapped(calls: Calls, tool_task: ToolTask) -> Calls | None:
    if tool_task.expected.order != "strict":
        return None
    for index in range(len(calls) - 1):
        if calls[index].name != calls[index + 1].name:
            return [*calls[:index], calls[index + 1], calls[index], *calls[index + 2 :]]
    return None


def _broken(calls: Calls, _tool_task: ToolTask) -> Calls | None:
    return [replace(calls[0], is_broken=True), *calls[1:]] if calls else None


CORRUPTIONS: Mapping[str, Callable[[Calls, ToolTask], Calls | None]] = {
    "tool_selection": _other_tool,
    "parameter": _wrong_argument,
    "sequence_order": _swapped,
    "missing": lambda calls, _tool_task: calls[:-1] if calls else None,
    "redundant": lambda calls, _tool_task: [*calls, calls[-1]] if calls else None,
    "format": _broken,
}


def _wire(call: PlannedCall, draw: ToolDraw, index: int) -> ToolCall:
    arguments = orjson.dumps(call.arguments).decode()
    function = {"name": call.name, "arguments": arguments[:-1] if call.is_broken else arguments}
    return {"id": "call_" + draw_name(draw.seed, f"call {index}", draw.key), "type": "function", "function": function}
