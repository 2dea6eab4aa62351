"""How the samples of a run are solved and scored: the configuration's names, or the user's own code, as functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import cast

from providers.errors import InputError
from runners.samples.answer import Scorer, Solver, guard_scorer, guard_solver
from runners.samples.solvers import SOLVERS, ToolUse, build_solver
from runners.samples.worker import Method
from runners.tools.reliability import Reliability
from runners.tools.simulated_tools import ToolFunction
from sharding.plan import Sample
from sharding.tasks.tool_results import declared_results

from ..config.loading import LoadedConfig
from ..config.settings import Config
from ..config.user_code import load_function
from ..open_sweep import OpenSweep
from ..scoring.registry import NEEDS_TARGET, build_scorer, given_index_base, scorer_name, spelt_out
from ..scoring.targets.check import check_targets, file_of, find_index_bases
from ..scoring.targets.lettered import check_lettered
from .context import RunContext, UserCode
from .history.trust import untrusted


def build_method(run_id: str, context: RunContext, code: UserCode) -> Method:
    """Build how samples are solved, scored and priced. Code from Python wins over the file's names."""
    solver = guard_solver(code.solver, "your solver") if code.solver else _solver(context.config)
    return Method(run_id, solver, _scorer_of(context, code), context.price_usd)


def _scorer_of(context: RunContext, code: UserCode) -> Callable[[Sample], Scorer]:
    """Build the function that finds a sample's scorer: it is looked up by the sample's row only where the task sets have several."""
    if code.scorer:
        own_scorer = guard_scorer(code.scorer, "your scorer")
        return lambda _sample: own_scorer
    scorers, sweep = ConfiguredScorers(context.config, context.sweep), context.sweep.sweep
    if scorers.only is not None:
        only = scorers.only
        return lambda _sample: only
    return lambda sample: scorers.of(sweep.row(sample.ordinal))


class ConfiguredScorers:
    """The scorers of a configuration, by the row of a task."""

    def __init__(self, config: Config, opened: OpenSweep) -> None:
        self._tasks = opened.tasks
        self._default = spelt_out(config.run.scorer)
        self._built: dict[tuple[str, str | None], Scorer] = {}
        for spelt in dict.fromkeys(spelt_out(entry.scorer or config.run.scorer) for entry in config.tasks):
            bases = _index_bases(spelt, self._default, opened)
            self._built[spelt, None] = build_scorer(spelt, next(iter(bases.values()), None))
            if len(set(bases.values())) > 1:
                self._built.update({(spelt, file): build_scorer(spelt, base) for file, base in bases.items()})
        self.only = next(iter(self._built.values())) if len(self._built) == 1 else None
        """The scorer of all rows, if there is only one."""

    def of(self, row: int) -> Scorer:
        """Return the scorer of a row."""
        if self.only is not None:
            return self.only
        spelt = self._tasks.scorer(row) or self._default
        return self._built.get((spelt, file_of(self._tasks, row))) or self._built[spelt, None]


def _index_bases(spelt: str, default: str, opened: OpenSweep) -> Mapping[str, int]:
    """Return the number of the first option by file, where the scorer is `choice` and its targets are numbers."""
    if scorer_name(spelt) != "choice":
        return {}
    tasks = opened.tasks
    rows = [row for row in range(len(tasks)) if (tasks.scorer(row) or default) == spelt]
    base = given_index_base(spelt)
    return find_index_bases(tasks, rows) if base is None else {file_of(tasks, row): base for row in rows}


def check_scorers(config: Config, opened: OpenSweep, *, has_begun: bool) -> list[str]:
    """Raise InputError with file and row where a built-in scorer cannot grade a task. It reads every selected task once.

    Return what a user should know before the first request. Of a run that `has_begun`, what makes grading doubtful is told, not refused.
    """
    warnings: list[str] = []
    by_entry = {spelt_out(entry.scorer or config.run.scorer): entry.scorer is not None for entry in config.tasks}
    default = spelt_out(config.run.scorer)
    is_run_scorer_named = "scorer" in config.run.model_fields_set
    for spelt, is_entry_named in by_entry.items():
        name = scorer_name(spelt)
        if name in NEEDS_TARGET:
            rows = opened.sweep.rows
            own = (
                rows if len(by_entry) == 1 else [row for row in rows if (opened.tasks.scorer(row) or default) == spelt]
            )
            bases = _index_bases(spelt, default, opened)
            is_named = is_entry_named or is_run_scorer_named
            warnings += check_targets(opened.tasks, own, name, bases, is_named=is_named)
            warnings += check_lettered(opened.tasks, own, name, is_named=is_named or has_begun)
    return warnings


def check_method(config: Config, code: UserCode) -> None:
    """Raise InputError if the file names an unknown solver or scorer, or if what is passed is no coroutine function."""
    if inspect.isfunction(code.solver) and not inspect.iscoroutinefunction(code.solver):
        raise InputError(f"your solver {code.solver.__qualname__} must be `async def`")
    if code.solver is None:
        _solver(config)
    if code.scorer is None:
        for entry in config.tasks:
            build_scorer(spelt_out(entry.scorer or config.run.scorer))


def _solver(config: Config) -> Solver:
    name = config.run.solver
    if name in SOLVERS:
        return build_solver(name, tool_use(config))
    if ":" in name:
        return guard_solver(cast("Solver", load_function(name, "solver")), f"the solver {name}")
    raise InputError(f"run.solver: no solver {name!r}; known: {', '.join(SOLVERS)}, or module:function")


def tool_use(config: Config) -> ToolUse:
    """Build the settings with which built-in solvers use tools; each of the user's own tools is imported once."""
    tools = config.tools
    return ToolUse(
        tools.max_turns,
        tools.failure_kinds,
        config.tool_formats(),
        cache(_load_tool),
        Reliability(**dict(tools.reliability)),
    )


def _load_tool(name: str) -> ToolFunction:
    """Import a user's tool. Its return value is checked when it is called."""
    return cast("ToolFunction", load_function(name, "tool"))


def _require_trusted(loaded: LoadedConfig, function: str) -> None:
    if not loaded.is_trusted:
        raise InputError(untrusted(f"resume would run the tool {function}"))


def tool_functions(loaded: LoadedConfig, open_: OpenSweep) -> dict[str, ToolFunction]:
    """Return the person's own functions that tasks name as their tools, by what they are.

    Raises InputError with file and row if a task declares results that the tool loop cannot use, or a function in the run of somebody else.
    A solver of one's own may do without.
    """
    config, found = loaded.config, dict[str, ToolFunction]()
    if config.run.solver == "single_turn" or not open_.tasks.declares_results:
        return found
    load, is_required = tool_use(config).load, config.run.solver == "tool_loop"
    for row in open_.sweep.rows:
        task = open_.tasks[row]
        try:
            for declared in declared_results(task).values():
                if declared.function is not None:
                    _require_trusted(loaded, declared.function)
                    found[f"the tool {declared.function}"] = load(declared.function)
        except InputError as error:
            if is_required:
                raise InputError(f"{open_.tasks.origin(row)}, task {task.task_id}: {error}") from error
    return found
