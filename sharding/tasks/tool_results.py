"""The results of a task's simulated tools, which the task declares in `metadata.tool_results`, by tool.

{"get_weather": {"result": "sunny"},
 "convert":     {"cases": [{"arguments": {"amount": 5}, "result": 5.5}], "result": "no rate known"},
 "search":      {"function": "my_tools:search"}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from providers.errors import InputError
from providers.messages import JSON
from providers.suggestion import suggestion

from .task import Task

ACKNOWLEDGED: JSON = {"status": "success"}
"""The result of a tool for which the task declares nothing."""
UNFORESEEN: JSON = {"error": "nothing is known for these arguments"}
"""The result of a tool with cases where no case matches and no default result is declared."""
KEYS = ("result", "cases", "function")
DECLARED = "tool_results"
"""The key of the metadata."""


@dataclass(frozen=True, slots=True)
class DeclaredResult:
    """The declared results of one tool."""

    result: JSON = None
    cases: Sequence[tuple[Mapping[str, JSON], JSON]] = ()
    """Pairs of arguments and their result."""
    function: str | None = None
    """`module:function` that gets the arguments as a mapping and returns the result."""

    def result_of(self, arguments: Mapping[str, JSON]) -> JSON:
        """Return the result of the case with these arguments, else the default result."""
        return next((result for expected, result in self.cases if expected == arguments), self.result)


NOTHING_DECLARED = DeclaredResult(ACKNOWLEDGED)


def declared_results(task: Task) -> Mapping[str, DeclaredResult]:
    """Read the declared results by tool. Raises InputError with the reason only; the caller adds file and row."""
    declared = (task.metadata or {}).get(DECLARED, {})
    if not isinstance(declared, Mapping):
        raise InputError("metadata.tool_results must map tools to their results, e.g. {get_weather: {result: sunny}}")
    return {name: _read(f"metadata.tool_results.{name}", entry) for name, entry in declared.items()}


def _read(where: str, entry: JSON) -> DeclaredResult:
    if not isinstance(entry, Mapping) or not entry:
        raise InputError(f"{where} must have a result, cases or a function, e.g. {{result: sunny}}")
    for key in entry:
        if key not in KEYS:
            raise InputError(f'{where}: unknown key "{key}"; {suggestion(key, KEYS)}')
    function = entry.get("function")
    if function is not None and (not isinstance(function, str) or ":" not in function or len(entry) > 1):
        raise InputError(f"{where}.function must be module:function, without a result or cases beside it")
    cases = entry.get("cases", [])
    if not isinstance(cases, list):
        raise InputError(f"{where}.cases must be a list of {{arguments, result}}")
    return DeclaredResult(entry.get("result", UNFORESEEN), [_case(where, case) for case in cases], function)


def _case(where: str, case: JSON) -> tuple[Mapping[str, JSON], JSON]:
    arguments = case.get("arguments") if isinstance(case, Mapping) else None
    if not isinstance(case, Mapping) or not isinstance(arguments, Mapping) or "result" not in case:
        raise InputError(f"{where}.cases: every case needs arguments, an object, and a result")
    return arguments, case["result"]
