"""Multi-provider batch test orchestrator for LLM evaluation. The names in `__all__` are the public interface.

Run a sweep: `run(config)` and `resume(path)` are coroutines, `run_sync` and `resume_sync` are plain functions. All return a `Run`, which
reads the results: `to_arrow`, `to_pandas`, `summary`, `compare`. `RunStopped` is raised when a run ended early. `rehearse` and
`rehearse_sync` return a `Rehearsal`: the forecast of a sweep on a virtual clock, without sending a request. `rescore` and `rescore_sync`
grade the stored answers of a run again and return the new `Run`.

Your own code: `solver=` takes a coroutine function, `scorer=` a coroutine or a plain function, or the name of a built-in scorer.

- `Solver` is `Callable[[Sample, ModelClient], Awaitable[Answer | str]]`. It gets one `Sample`, whose `task.messages` are the question. It
  calls `model.chat(...)` as often as it needs and returns an `Answer` or its text.
- `Scorer` is `Callable[[Sample, Answer, ModelClient], Awaitable[Score]]`. It compares the `Answer` with `sample.task.target` and returns a
  `Score`, True or False, or a number from 0 to 1. It may leave out `model`, a `ModelClient` that may ask a judge:
  `model.chat(messages, model="name of a model of the sweep")`.

    async def solve(sample, model):
        response = await model.chat(sample.task.messages)
        return response.text

    async def score(sample, answer, model):
        is_right = answer.text.strip() == sample.task.target
        return Score(1.0, "full") if is_right else Score(0.0, "failed")

Your code is part of the configuration that results belong to: the source of its modules, and the files that it declares:

    @declares(reads=["registry.json"])
    async def score(sample, answer, model): ...

Errors: every error of this package is an `OrchestratorError`. `InputError` means a wrong configuration or argument, `ProviderError` a
request that failed, `StorageError` a file that cannot be read or written.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from providers.errors import InputError, OrchestratorError, ProviderError, StorageError
    from providers.messages import ChatResponse
    from runners.calls.client import ModelClient
    from runners.samples.answer import Answer, Score, Scorer, Solver
    from runners.tools.simulated_tools import SimulatedTools
    from sharding.plan import Sample
    from sharding.tasks.task import Task

    from .api import RunStopped, rehearse_sync, rescore, rescore_sync, resume, resume_sync, run, run_sync
    from .config.own_code import declares
    from .execution.forecast.rehearsal import Rehearsal, rehearse
    from .results.compare.comparison import Comparison
    from .results.run import Run
    from .results.summaries.summary_table import Summary

_HOMES = {
    "Answer": "runners.samples.answer",
    "ChatResponse": "providers.messages",
    "Comparison": "orchestrator.results.compare.comparison",
    "InputError": "providers.errors",
    "ModelClient": "runners.calls.client",
    "OrchestratorError": "providers.errors",
    "ProviderError": "providers.errors",
    "Rehearsal": "orchestrator.execution.forecast.rehearsal",
    "Run": "orchestrator.results.run",
    "RunStopped": "orchestrator.api",
    "Sample": "sharding.plan",
    "Score": "runners.samples.answer",
    "Scorer": "runners.samples.answer",
    "SimulatedTools": "runners.tools.simulated_tools",
    "Solver": "runners.samples.answer",
    "StorageError": "providers.errors",
    "Summary": "orchestrator.results.summaries.summary_table",
    "Task": "sharding.tasks.task",
    "rehearse": "orchestrator.execution.forecast.rehearsal",
    "rehearse_sync": "orchestrator.api",
    "declares": "orchestrator.config.own_code",
    "rescore": "orchestrator.api",
    "rescore_sync": "orchestrator.api",
    "resume": "orchestrator.api",
    "resume_sync": "orchestrator.api",
    "run": "orchestrator.api",
    "run_sync": "orchestrator.api",
}

__all__ = [
    "Answer",
    "ChatResponse",
    "Comparison",
    "InputError",
    "ModelClient",
    "OrchestratorError",
    "ProviderError",
    "Rehearsal",
    "Run",
    "RunStopped",
    "Sample",
    "Score",
    "Scorer",
    "SimulatedTools",
    "Solver",
    "StorageError",
    "Summary",
    "Task",
    "declares",
    "rehearse",
    "rehearse_sync",
    "rescore",
    "rescore_sync",
    "resume",
    "resume_sync",
    "run",
    "run_sync",
]


def __getattr__(name: str) -> object:
    """Import an exported name on first use, so that `import orchestrator` stays fast."""
    if name not in _HOMES:
        raise AttributeError(f"module 'orchestrator' has no attribute {name!r}")
    _require_own_packages()
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the exported names, sorted."""
    return sorted(__all__)


def _require_own_packages() -> None:
    """Raise ImportError where another package with the same name comes earlier on `sys.path` than ours."""
    for name, own_module in (("providers", "errors"), ("sharding", "plan"), ("runners", "durable")):
        if importlib.util.find_spec(f"{name}.{own_module}") is None:
            spec = importlib.util.find_spec(name)
            origin = spec.origin if spec and spec.origin else "an unknown path"
            raise ImportError(f"the package {name!r} at {origin} stands before orchestrator's own; rename or remove it")
