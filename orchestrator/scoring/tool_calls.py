"""Calls of tools against what the task expects: which tool, which arguments, in which order, none missing, none too many.

An answer is worth the share of calls that are right, of those expected or those made, whichever are more. Its class is that of its
worst fault, from the top of FAULTS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from providers.messages import JSON, ToolCall
from runners.answer import Answer, Score, Scorer, UserCodeError
from runners.client import ModelClient
from sharding.plan import Sample

from .expected_calls import Expectation, ExpectedCall, expectation_of

FAULTS: Mapping[str, str] = {
    "max_turns": "the solver's turns were used up before the calls were made",
    "format": "a call whose arguments are no JSON object, or without a name",
    "tool_selection": "another tool than any that was still to be called",
    "parameter": "the right tool with a wrong, missing or unknown argument",
    "sequence_order": "the right calls in another order than the one that is demanded",
    "missing": "fewer calls than expected",
    "redundant": "more calls than expected",
}


@dataclass(frozen=True, slots=True)
class MadeCall:
    name: str
    arguments: Mapping[str, JSON] | None
    """None where they are no JSON object."""

    @property
    def is_well_formed(self) -> bool:
        return bool(self.name) and self.arguments is not None


def tool_calls() -> Scorer:
    """Score what `answer.tool_calls` holds, over all turns."""

    async def score(sample: Sample, answer: Answer, model: ModelClient) -> Score:  # noqa: ARG001 - the calls say it all
        try:
            expected = expectation_of(sample.task)
        except ValueError as error:
            raise UserCodeError(f"the tool_calls scorer cannot read task {sample.task.task_id}: {error}") from error
        if expected is None:
            raise UserCodeError(
                f"the tool_calls scorer needs a target with calls, or metadata.plan: task {sample.task.task_id} has neither"
            )
        found = grade_calls(expected, [read_call(call) for call in answer.tool_calls])
        stopped = None if found.grade == "full" else answer.error_class
        return replace(found, error_class=stopped) if stopped else found

    return score


def read_call(call: ToolCall) -> MadeCall:
    """A call as it came over the wire, where arguments are JSON text."""
    function = call.get("function")
    if not isinstance(function, Mapping):
        return MadeCall("", None)
    name, arguments = function.get("name"), function.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = orjson.loads(arguments or "{}")
        except orjson.JSONDecodeError:
            arguments = None
    return MadeCall(name if isinstance(name, str) else "", arguments if isinstance(arguments, Mapping) else None)


def grade_calls(expected: Expectation, made: Sequence[MadeCall]) -> Score:
    """Full: every call is right and none is too many. Failed: none is right."""
    fits = [
        [call.is_well_formed and one.accepts(call.name, call.arguments or {}) for call in made]
        for one in expected.calls
    ]
    pairs = _paired(fits)
    right = _longest_common(fits) if expected.order == "strict" else len(pairs)
    wanted = max(len(expected.calls), len(made))
    if right == wanted:
        return Score(1.0, "full")
    open_calls = [call for place, call in enumerate(expected.calls) if place not in pairs]
    stray = [call for place, call in enumerate(made) if place not in pairs.values()]
    details = {"fault": _description(expected, open_calls, stray)}
    return Score(right / wanted, "partial" if right else "failed", _fault_class(open_calls, stray), details)


def _paired(fits: Sequence[Sequence[bool]]) -> dict[int, int]:
    """As many expected calls as can be, each with a made one that it accepts, in any order (augmenting paths)."""
    holder: dict[int, int] = {}

    def finds_place(number: int, tried: set[int]) -> bool:
        for place, is_fit in enumerate(fits[number]):
            if is_fit and place not in tried:
                tried.add(place)
                if place not in holder or finds_place(holder[place], tried):
                    holder[place] = number
                    return True
        return False

    for number in range(len(fits)):
        finds_place(number, set())
    return {number: place for place, number in holder.items()}


def _longest_common(fits: Sequence[Sequence[bool]]) -> int:
    """How many pairs there are at most where both sides keep their order (longest common subsequence)."""
    row = [0] * (len(fits[0]) + 1) if fits else [0]
    for accepts in fits:
        before, row = row, [0]
        for place, is_fit in enumerate(accepts):
            row.append(before[place] + 1 if is_fit else max(before[place + 1], row[place]))
    return row[-1]


def _fault_class(open_calls: Sequence[ExpectedCall], stray: Sequence[MadeCall]) -> str:
    if not all(call.is_well_formed for call in stray):
        return "format"
    if open_calls and stray:
        wanted = {call.name for call in open_calls}
        return "parameter" if all(call.name in wanted for call in stray[: len(open_calls)]) else "tool_selection"
    if open_calls:
        return "missing"
    return "redundant" if stray else "sequence_order"


def _description(expected: Expectation, open_calls: Sequence[ExpectedCall], stray: Sequence[MadeCall]) -> str:
    """The first fault in words, with the names that people gave."""
    own_name = expected.own_name
    if not stray:
        return f"{own_name(open_calls[0].name)} was not called" if open_calls else "the order is another"
    call = next((one for one in stray if not one.is_well_formed), stray[0])
    name, arguments = own_name(call.name) or "a call without a name", call.arguments
    if arguments is None:
        return f"the arguments of {name} are no JSON object"
    fault = next((one.fault(arguments) for one in open_calls if one.name == call.name), None)
    if fault is not None:
        said = orjson.dumps(arguments[fault]).decode()[:100] if fault in arguments else "left out"
        return f"{name}: {fault} is {said}"
    return f"{name} was called" + (f" in place of {own_name(open_calls[0].name)}" if open_calls else " besides")
