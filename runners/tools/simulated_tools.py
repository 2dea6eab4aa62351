"""Simulated tools: they answer what the task declares, and fail as often as the sweep says.

Whether a call fails is one uniform draw per (task, epoch, tool, how often the sample has called that tool before): the same for every
model and prompt type, whatever else was called in between; and since a call fails where its draw is not below the success rate, what
fails at 0.8 fails at 0.5 as well. Nothing here waits: a timeout is a result that says so.
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

ToolFunction = Callable[[Mapping[str, JSON]], JSON | Awaitable[JSON]]
"""A tool that a person wrote. Its exceptions are theirs; a result that tells the model of an error is returned."""
LoadFunction = Callable[[str], ToolFunction]

FAILURE_KINDS = ("error", "timeout", "empty", "malformed", "stale")
"""How a simulated tool fails, equally often."""
TIMEOUT_S = 30
"""What a timeout claims to have waited for."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    content: str
    """What the model reads."""
    failure: str | None = None
    """One of FAILURE_KINDS, where the draw said so."""
    rejection: str | None = None
    """`unknown_tool` or `bad_arguments`: the call reached no tool, and nothing was drawn for it."""

    def noted_on(self, call: ToolCall, turn: int) -> ToolCall:
        """`call` with what became of it, as an Answer holds it."""
        ending = {"result": self.content, "failure": self.failure, "rejection": self.rejection}
        return {**call, "turn": turn, **ending}


def no_function(name: str) -> ToolFunction:
    """Where nobody can import a person's own tools."""
    raise LookupError(f"{name} cannot be imported here")


def draw_failure(sample_seed: int, tool: str, earlier: int, success_rate: float, kinds: Sequence[str]) -> str | None:
    """How a call of `tool` fails, after `earlier` calls of it; None where it does not."""
    call = f"{tool}/{earlier}"
    if draw_uniform(sample_seed, "tool", call) < success_rate:
        return None
    return kinds[int(draw_uniform(sample_seed, "tool failure", call) * len(kinds))]


class SimulatedTools:
    """The tools of one sample."""

    def __init__(self, sample: Sample, load: LoadFunction = no_function, kinds: Sequence[str] = FAILURE_KINDS) -> None:
        self._sample = sample
        self._load = load
        self._kinds = kinds
        self._names = {tool_name(tool) for tool in sample.task.tools}
        self._declared = declared_results(sample.task)
        self._called: Counter[str] = Counter()

    async def call(self, call: ToolCall) -> ToolResult:
        """Answer one call as it stands in a reply. Raises UserCodeError where a person's own tool does not work."""
        name, text = named(call)
        if not name:
            return _rejected("bad_arguments", "the call is not valid JSON with a name and arguments; write it again")
        if name not in self._names:
            known = ", ".join(sorted(self._names)) or "none"
            return _rejected("unknown_tool", f"there is no tool {name!r}; the tools are: {known}")
        try:
            arguments = orjson.loads(text or "{}")
        except orjson.JSONDecodeError as error:
            return _rejected("bad_arguments", f"the arguments are not valid JSON ({error.msg}); call {name} again")
        if not isinstance(arguments, dict):
            return _rejected("bad_arguments", f"the arguments must be a JSON object; call {name} again")
        return await self._execute(name, arguments)

    async def _execute(self, name: str, arguments: Mapping[str, JSON]) -> ToolResult:
        earlier = self._called[name]
        self._called[name] += 1
        rate = self._sample.cell.tool_success_rate
        failure = draw_failure(self._sample.seed, name, earlier, rate, self._kinds)
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
            found = self._load(declared.function)(arguments)
            result = await found if inspect.isawaitable(found) else found
            orjson.dumps(result)
        except orjson.JSONEncodeError as error:
            message = f"{where} returned what JSON cannot hold on task {self._sample.task.task_id}: {error}"
            raise UserCodeError(message) from error
        except Exception as error:
            message = f"{where} raised {type(error).__name__} on task {self._sample.task.task_id}: {error}"
            raise UserCodeError(message) from error
        return result


def named(call: ToolCall) -> tuple[str, str]:
    """A call's tool, and its arguments as the model wrote them."""
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
"""Failures that leave nothing of the result."""
_SPOILT: Mapping[str | None, Callable[[JSON], str]] = {
    "malformed": lambda result: (text := _json({"result": result}))[: max(2, len(text) * 2 // 3)],
    "stale": lambda result: _json({"warning": "from a cache of 30 days ago, not up to date", "result": result}),
}
