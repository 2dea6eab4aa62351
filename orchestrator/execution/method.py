"""How the samples of a run are solved and scored: the configuration's names, or the user's own code, as functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
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

from ..config.settings import Config
from ..config.user_code import load_function
from ..open_sweep import OpenSweep
from ..scoring.registry import build_scorer, spelt_out
from .context import RunContext, UserCode


def build_method(run_id: str, context: RunContext, code: UserCode) -> Method:
    """Build how samples are solved, scored and priced. Code from Python wins over the file's names."""
    solver = guard_solver(code.solver, "your solver") if code.solver else _solver(context.config)
    return Method(run_id, solver, _scorer_of(context, code), context.price_usd)


def _scorer_of(context: RunContext, code: UserCode) -> Callable[[Sample], Scorer]:
    """Build the function that finds a sample's scorer: it is looked up by the sample's row only where the task sets have several."""
    tasks, sweep, default = context.sweep.tasks, context.sweep.sweep, context.config.run.scorer
    if code.scorer:
        own_scorer = guard_scorer(code.scorer, "your scorer")
        return lambda _sample: own_scorer
    scorers = {
        name: build_scorer(name) for name in {spelt_out(entry.scorer or default) for entry in context.config.tasks}
    }
    if len(scorers) == 1:
        (only,) = scorers.values()
        return lambda _sample: only
    return lambda sample: scorers[tasks.scorer(sweep.row(sample.ordinal)) or spelt_out(default)]


def check_method(config: Config, code: UserCode) -> None:
    """Raise InputError if the file names an unknown solver or scorer, or if what is passed is no coroutine function."""
    for name, function in (("solver", code.solver), ("scorer", code.scorer)):
        if inspect.isfunction(function) and not inspect.iscoroutinefunction(function):
            raise InputError(f"your {name} {function.__qualname__} must be `async def`")
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


def check_tools(config: Config, open_: OpenSweep) -> None:
    """Raise InputError with file and row if a task declares results that the tool loop cannot use."""
    if config.run.solver != "tool_loop":
        return
    load = tool_use(config).load
    for row in open_.sweep.rows:
        try:
            for declared in declared_results(open_.tasks[row]).values():
                if declared.function is not None:
                    load(declared.function)
        except InputError as error:
            raise InputError(f"{open_.tasks.origin(row)}: {error}") from error
