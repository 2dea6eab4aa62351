"""Multi-provider batch test orchestrator for LLM evaluation. Everything a user imports is here; nothing else is public."""

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

    from .api import RunStopped, rehearse_sync, resume, resume_sync, run, run_sync
    from .execution.rehearsal import Rehearsal, rehearse
    from .results.compare.comparison import Comparison
    from .results.run import Run
    from .results.summary_table import Summary

_HOMES = {
    "Answer": "runners.samples.answer",
    "ChatResponse": "providers.messages",
    "Comparison": "orchestrator.results.compare.comparison",
    "InputError": "providers.errors",
    "ModelClient": "runners.calls.client",
    "OrchestratorError": "providers.errors",
    "ProviderError": "providers.errors",
    "Rehearsal": "orchestrator.execution.rehearsal",
    "Run": "orchestrator.results.run",
    "RunStopped": "orchestrator.api",
    "Sample": "sharding.plan",
    "Score": "runners.samples.answer",
    "Scorer": "runners.samples.answer",
    "SimulatedTools": "runners.tools.simulated_tools",
    "Solver": "runners.samples.answer",
    "StorageError": "providers.errors",
    "Summary": "orchestrator.results.summary_table",
    "Task": "sharding.tasks.task",
    "rehearse": "orchestrator.execution.rehearsal",
    "rehearse_sync": "orchestrator.api",
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
    "rehearse",
    "rehearse_sync",
    "resume",
    "resume_sync",
    "run",
    "run_sync",
]


def __getattr__(name: str) -> object:
    """Import on first use: `import orchestrator` costs nothing that is not needed."""
    if name not in _HOMES:
        raise AttributeError(f"module 'orchestrator' has no attribute {name!r}")
    _require_own_packages()
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def _require_own_packages() -> None:
    """Say it in one sentence when another package of the same generic name stands before ours on the path."""
    for name, ours in (("providers", "errors"), ("sharding", "plan"), ("runners", "monitor")):
        if importlib.util.find_spec(f"{name}.{ours}") is None:
            found = importlib.util.find_spec(name)
            place = found.origin if found and found.origin else "an unknown place"
            raise ImportError(f"the package {name!r} at {place} stands before orchestrator's own; rename or remove it")
