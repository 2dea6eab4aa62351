"""Simulated tools: they return the results that the task declares, and fail at the rate that the sweep sets.

Whether a call fails is one uniform draw per (task, epoch, tool, number of earlier calls of that tool in the sample). It is equal for every
model and prompt type, whatever other tools were called. A call fails if its draw is not below the success rate, so a call that fails at a
success rate of 0.8 also fails at 0.5. A `Reliability` lowers the rate of a call by the calls before it. No tool waits: a timeout is only a
result with that message.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from providers.messages import JSON, ToolCall
from providers.seeded_draws import draw_uniform
from sharding.plan import Sample
from sharding.tasks.tool_plan import tool_name
from sharding.tasks.tool_results import NOTHING_DECLARED, declared_results

from ..user_code_error import UserCodeError
from .arguments import plain_arguments
from .reliability import STEADY, CallHistory, Reliability, declared_dependencies

ToolFunction = Callable[[Mapping[str, JSON]], JSON | Awaitable[JSON]]
"""A tool that the user wrote. Its exceptions count as faults of that code; it returns errors that are meant for the model as results."""
LoadFunction = Callable[[str], ToolFunction]

FAILURE_KINDS = ("error", "timeout", "empty", "malformed", "stale")
"""The kinds of failure of a simulated tool, which are equally frequent."""
TIMEOUT_S = 30
"""The wait that the message of a timeout states."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of one tool call."""

    content: str
    """The text that the model gets."""
    failure: str | None = None
    """One of FAILURE_KINDS if the call was drawn to fail."""
    rejection: str | None = None
    """`unreadable`, `unknown_tool` or `bad_arguments`: the call reached no tool, and no failure was drawn."""

    def noted_on(self, call: ToolCall, turn: int) -> ToolCall:
        """Return `call` with its turn and its result, as an Answer holds it."""
        outcome = {"result": self.content, "failure": self.failure, "rejection": self.rejection}
        return {**call, "turn": turn, **outcome}


def no_function(name: str) -> ToolFunction:
    """Raise LookupError: the default where the user's tools cannot be imported."""
    raise LookupError(f"{name} cannot be imported here")


def draw_failure(sample_seed: int, tool: str, earlier: int, success_rate: float, kinds: Sequence[str]) -> str | None:
    """Draw how a call of `tool` fails after `earlier` calls of it; None if it succeeds."""
    call = f"{tool}/{earlier}"
    if draw_uniform(sample_seed, "tool", call) < success_rate:
        return None
    return kinds[int(draw_uniform(sample_seed, "tool failure", call) * len(kinds))]


class SimulatedTools:
    """The tools of one sample."""

    def __init__(
        self,
        sample: Sample,
        load: LoadFunction = no_function,
        kinds: Sequence[str] = FAILURE_KINDS,
        reliability: Reliability = STEADY,
    ) -> None:
        self._sample = sample
        self._load = load
        self._kinds = kinds
        self._reliability = reliability
        self._names = {tool_name(tool) for tool in sample.task.tools}
        self._declared = declared_results(sample.task)
        self._called: Counter[str] = Counter()
        self._history = CallHistory(declared_dependencies(sample.task.metadata))

    async def call(self, call: ToolCall, success_rate: float | None = None) -> ToolResult:
        """Answer one call of a reply; `success_rate` replaces the rate of the cell and of the `Reliability`.

        Raises UserCodeError if a tool of the user fails.
        """
        name, text = named(call)
        known = ", ".join(sorted(self._names)) or "none"
        if not name:
            return _rejected("unreadable", f"this is no call of a tool, write it again; the tools are: {known}")
        if name not in self._names:
            return _rejected("unknown_tool", f"there is no tool {name!r}; the tools are: {known}")
        try:
            arguments = orjson.loads(plain_arguments(text))
        except orjson.JSONDecodeError as error:
            return _rejected("bad_arguments", f"the arguments are not valid JSON ({error.msg}); call {name} again")
        if not isinstance(arguments, dict):
            return _rejected("bad_arguments", f"the arguments must be a JSON object; call {name} again")
        failure = self._draw(name, self._rate_of(name) if success_rate is None else success_rate)
        return await self._execute(name, arguments, failure)

    def _rate_of(self, name: str) -> float:
        history = self._history
        base = self._sample.cell.tool_success_rate
        return self._reliability.rate_of(base, history.missing(name), history.failures_in_a_row)

    def _draw(self, name: str, rate: float) -> str | None:
        """Draw how the next call of a tool fails, and note it."""
        failure = draw_failure(self._sample.seed, name, self._called[name], rate, self._kinds)
        self._called[name] += 1
        self._history.add(name, has_failed=failure is not None)
        return failure

    async def _execute(self, name: str, arguments: Mapping[str, JSON], failure: str | None) -> ToolResult:
        if failure in _BLIND:
            return ToolResult(_BLIND[failure](name), failure)
        result = await self._result(name, arguments)
        if failure in _SPOILT:
            return ToolResult(_SPOILT[failure](result), failure)
        return ToolResult(result if isinstance(result, str) else orjson.dumps(result).decode())

    async def _result(self, name: str, arguments: Mapping[str, JSON]) -> JSON:
        declared = self._declared.get(name, NOTHING_DECLARED)
        if declared.function is None:
            return declared.result_of(arguments)
        where = f"the tool {declared.function}"
        try:
            returned = self._load(declared.function)(arguments)
            result = await returned if inspect.isawaitable(returned) else returned
            orjson.dumps(result)
        except orjson.JSONEncodeError as error:
            message = f"{where} returned what JSON cannot hold on task {self._sample.task.task_id}: {error}"
            raise UserCodeError(message) from error
        except Exception as error:
            message = f"{where} raised {type(error).__name__} on task {self._sample.task.task_id}: {error}"
            raise UserCodeError(message) from error
        return result


def named(call: ToolCall) -> tuple[str, str]:
    """Return the name of a call's tool, and its arguments as the model wrote them."""
    function = call.get("function")
    function = function if isinstance(function, Mapping) else {}
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments or {}).decode()
    return str(function.get("name", "")), text


def _rejected(rejection: str, message: str) -> ToolResult:
    return ToolResult(_json({"error": message}), rejection=rejection)


def _json(value: JSON) -> str:
    return orjson.dumps(value).decode()


_BLIND: Mapping[str | None, Callable[[str], str]] = {
    "error": lambda name: _json({"error": f"{name} failed with an internal error"}),
    "timeout": lambda name: _json({"error": f"{name} timed out after {TIMEOUT_S} s"}),
    "empty": lambda _: "{}",
}
"""Failures that replace the result."""
_SPOILT: Mapping[str | None, Callable[[JSON], str]] = {
    "malformed": lambda result: (text := _json({"result": result}))[: max(2, len(text) * 2 // 3)],
    "stale": lambda result: _json({"warning": "from a cache of 30 days ago, not up to date", "result": result}),
}
