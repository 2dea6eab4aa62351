"""The scorer `tool_calls`: compares the calls of an answer with those that the task expects, by tool, arguments, order and number.

The score is the number of right calls divided by the number of expected or made calls, whichever is larger. The error class is that of the
first fault in the order of FAULTS. A right call whose tool failed counts neither as right nor as redundant: it is ignored where the call
was repeated with success, and missing where it was not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import orjson

from providers.messages import JSON, ToolCall
from runners.calls.client import ModelClient
from runners.samples.answer import UNGRADED, Answer, Score, Scorer
from runners.tools.arguments import plain_arguments
from runners.user_code_error import UserCodeError
from sharding.plan import Sample

from .expected_calls import ArgumentRule, ExpectedCall, ExpectedCalls, expectation_of

FAULTS: Mapping[str, str] = {
    "max_turns": "the solver's turns were used up before the calls were made",
    "format": "a call without a name, or with arguments that are not a JSON object",
    "tool_selection": "a tool that is not among the expected calls that remain",
    "parameter": "the right tool with a wrong, missing or unknown argument",
    "sequence_order": "the right calls in the wrong order",
    "tool_failure": "a right call whose tool failed and which was not repeated with success",
    "missing": "fewer calls than expected",
    "redundant": "more calls than expected",
}


@dataclass(frozen=True, slots=True)
class MadeCall:
    """A call that the model made."""

    name: str
    arguments: Mapping[str, JSON] | None
    """None where they are not a JSON object."""
    has_failed: bool = False
    """Whether the simulated tool failed on this call."""

    @property
    def is_well_formed(self) -> bool:
        """Whether the call has a name and an object of arguments."""
        return bool(self.name) and self.arguments is not None


def tool_calls(arguments: ArgumentRule = "exact") -> Scorer:
    """Build a scorer of `answer.tool_calls`, which holds the calls of all turns."""

    async def score(sample: Sample, answer: Answer, model: ModelClient) -> Score:  # noqa: ARG001 - only the calls are needed
        try:
            expected = expectation_of(sample.task)
        except ValueError as error:
            raise UserCodeError(f"the tool_calls scorer cannot read task {sample.task.task_id}: {error}") from error
        if expected is None:
            return UNGRADED
        graded = grade_calls(expected, [read_call(call) for call in answer.tool_calls], arguments)
        stopped = None if graded.grade == "full" else answer.error_class
        return replace(graded, error_class=stopped) if stopped else graded

    return score


def read_call(call: ToolCall) -> MadeCall:
    """Read a call in the format of the API, where arguments are JSON text."""
    function = call.get("function")
    if not isinstance(function, Mapping):
        return MadeCall("", None)
    name, arguments = function.get("name"), function.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = orjson.loads(plain_arguments(arguments))
        except orjson.JSONDecodeError:
            arguments = None
    return MadeCall(
        name if isinstance(name, str) else "",
        arguments if isinstance(arguments, Mapping) else None,
        has_failed=bool(call.get("failure")),
    )


def grade_calls(expected: ExpectedCalls, made: Sequence[MadeCall], rule: ArgumentRule = "exact") -> Score:
    """Grade calls: full where every call is right and none is redundant, failed where none is right, else partial."""
    failed_calls = [
        call for call in made if call.has_failed and any(_fits(target, call, rule) for target in expected.calls)
    ]
    made = [call for call in made if call not in failed_calls]
    fits = [[_fits(target, call, rule) for call in made] for target in expected.calls]
    pairs = _paired(fits)
    right = _longest_common(fits) if expected.order == "strict" else len(pairs)
    wanted = max(len(expected.calls), len(made))
    if right == wanted:
        return Score(1.0, "full")
    open_calls = [call for index, call in enumerate(expected.calls) if index not in pairs]
    stray = [call for index, call in enumerate(made) if index not in pairs.values()]
    grade: Literal["partial", "failed"] = "partial" if right else "failed"
    given_up = [target for target in open_calls if any(_fits(target, call, rule) for call in failed_calls)]
    if given_up and not stray:
        details = {"fault": f"{given_up[0].name} failed and was not made again"}
        return Score(right / wanted, grade, "tool_failure", details)
    details = {"fault": _description(open_calls, stray, rule)}
    return Score(right / wanted, grade, _fault_class(open_calls, stray), details)


def _fits(expected: ExpectedCall, call: MadeCall, rule: ArgumentRule) -> bool:
    return (call.is_well_formed or (rule == "ignore" and bool(call.name))) and expected.accepts(
        call.name, call.arguments or {}, rule
    )


def _paired(fits: Sequence[Sequence[bool]]) -> dict[int, int]:
    """Match as many expected calls as possible with made calls that they accept, in any order (augmenting paths)."""
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
    """Count the most pairs in which both sides keep their order (longest common subsequence)."""
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


def _description(open_calls: Sequence[ExpectedCall], stray: Sequence[MadeCall], rule: ArgumentRule) -> str:
    """Describe the first fault."""
    if not stray:
        return f"{open_calls[0].name} was not called" if open_calls else "the order is another"
    call = next((stray_call for stray_call in stray if not stray_call.is_well_formed), stray[0])
    name, arguments = call.name or "a call without a name", call.arguments
    if arguments is None:
        return f"the arguments of {name} are no JSON object"
    fault = next((target.fault(arguments, rule) for target in open_calls if target.name == call.name), None)
    if fault is not None:
        value = orjson.dumps(arguments[fault]).decode()[:100] if fault in arguments else "left out"
        return f"{name}: {fault} is {value}"
    return f"{name} was called" + (f" in place of {open_calls[0].name}" if open_calls else " besides")
