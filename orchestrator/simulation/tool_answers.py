"""The simulator's calls of tools: those that a task expects, or spoilt in one way that is known.

What is right is read from the task here; whether it is accepted is the scorer's business, which this never asks.
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
    name: str
    arguments: Mapping[str, JSON]
    is_broken: bool = False
    """Its arguments are no JSON."""


Calls = Sequence[PlannedCall]


@dataclass(frozen=True, slots=True)
class ToolDraw:
    """One answer's randomness: a function of (seed, sample, turn)."""

    seed: int
    key: str

    def choose(self, purpose: str, count: int) -> int:
        return min(int(draw_uniform(self.seed, purpose, self.key) * count), count - 1)


@dataclass(frozen=True, slots=True)
class ToolTask:
    """A task and the calls that it expects."""

    task: Task
    expected: ExpectedCalls

    def answer(self, draw: ToolDraw, corruption: str | None, *, is_right: bool) -> SimulatedAnswer:
        """The calls: spoilt as asked where there is room for it, else in any way where they are not to be right."""
        calls = right_calls(self.expected, draw)
        if corruption and (spoilt := self._spoilt(corruption, calls)) is not None:
            return self._written_out(spoilt, draw, corruption)
        ways = [] if is_right else [name for name in CORRUPTIONS if self._spoilt(name, calls) is not None]
        if not ways:
            return self._written_out(calls, draw, None)
        way = ways[draw.choose("way", len(ways))]
        return self._written_out(self._spoilt(way, calls) or (), draw, way)

    def _written_out(self, calls: Calls, draw: ToolDraw, corruption: str | None) -> SimulatedAnswer:
        """The calls as a server sends them; words where there is none."""
        named = [replace(call, name=name_on_the_wire(call.name, self.task.tools)) for call in calls]
        wire = [_wire(call, draw, place) for place, call in enumerate(named)]
        return SimulatedAnswer("" if wire else NO_CALL, wire, right=corruption is None, corruption=corruption)

    def _spoilt(self, corruption: str, calls: Calls) -> Calls | None:
        spoil = CORRUPTIONS.get(corruption)
        return None if spoil is None else spoil(calls, self)


def right_calls(expected: ExpectedCalls, draw: ToolDraw) -> Calls:
    """Every expected call, each with one of the accepted values of every parameter."""
    return [PlannedCall(call.name, dict(_arguments(call, draw, place))) for place, call in enumerate(expected.calls)]


def _arguments(call: ExpectedCall, draw: ToolDraw, place: int) -> Iterator[tuple[str, JSON]]:
    for name, accepted in call.arguments.items():
        values = [value for value in accepted if value != LEFT_OUT]
        may_be_left_out = len(values) < len(accepted) and name not in call.required
        chosen = draw.choose(f"value {place} {name}", len(values) + may_be_left_out)
        if chosen < len(values):
            yield name, _plain(values[chosen])


def _plain(accepted: JSON) -> JSON:
    """One value out of an accepted one: an object's fields are lists of theirs."""
    if isinstance(accepted, Mapping):
        return {name: _plain(_first(values)) for name, values in accepted.items()}
    if isinstance(accepted, Sequence) and not isinstance(accepted, str):
        return [_plain(one) for one in accepted]
    return accepted


def _first(values: JSON) -> JSON:
    return values[0] if isinstance(values, Sequence) and not isinstance(values, str) and values else values


# ------------------------------------------------------------------ ways to be wrong; None where there is no room for it
def _other_tool(calls: Calls, asked: ToolTask) -> Calls | None:
    if not calls:
        return None
    wanted = {call.name for call in asked.expected.calls}
    offered = (
        str(function.get("name")) for tool in asked.task.tools if isinstance(function := tool.get("function"), Mapping)
    )
    other = next((name for name in offered if name not in wanted), UNKNOWN_TOOL)
    return [replace(calls[0], name=other), *calls[1:]]


def _wrong_argument(calls: Calls, asked: ToolTask) -> Calls | None:
    if not calls:
        return None
    first = calls[0]
    accepted = [
        values for call in asked.expected.calls if call.name == first.name for values in call.arguments.values()
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


def _swapped(calls: Calls, asked: ToolTask) -> Calls | None:
    if asked.expected.order != "strict":
        return None
    for place in range(len(calls) - 1):
        if calls[place].name != calls[place + 1].name:
            return [*calls[:place], calls[place + 1], calls[place], *calls[place + 2 :]]
    return None


def _broken(calls: Calls, _asked: ToolTask) -> Calls | None:
    return [replace(calls[0], is_broken=True), *calls[1:]] if calls else None


CORRUPTIONS: Mapping[str, Callable[[Calls, ToolTask], Calls | None]] = {
    "tool_selection": _other_tool,
    "parameter": _wrong_argument,
    "sequence_order": _swapped,
    "missing": lambda calls, _asked: calls[:-1] if calls else None,
    "redundant": lambda calls, _asked: [*calls, calls[-1]] if calls else None,
    "format": _broken,
}


def _wire(call: PlannedCall, draw: ToolDraw, place: int) -> ToolCall:
    arguments = orjson.dumps(call.arguments).decode()
    function = {"name": call.name, "arguments": arguments[:-1] if call.is_broken else arguments}
    return {"id": "call_" + draw_name(draw.seed, f"call {place}", draw.key), "type": "function", "function": function}
