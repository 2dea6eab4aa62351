"""The drift check inside a run: done once per run, paid from its budget, and reported as decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from providers.messages import JSON
from runners.calls.budget import Budget
from runners.calls.budgeted_sender import BudgetedSender
from runners.calls.call import DEFAULT_OUTPUT_TOKENS
from runners.samples.bitmap import Bitmap

from ..results.run_directory.directory import RunDirectory
from .alerts.drift import DriftFinding, DriftTargets, ask_canaries
from .context import RunContext


async def ask_due_canaries(
    context: RunContext, directory: RunDirectory, done: Bitmap, budget: Budget
) -> list[DriftFinding]:
    """Check whether the instances of a model serve one model; none are checked unless it is configured and not yet done."""
    number = context.config.run.drift_check
    if number is None or done.count == done.size or _was_checked(directory):
        return []
    adapters = context.providers.adapters
    paid = {name: BudgetedSender(adapter, budget, DEFAULT_OUTPUT_TOKENS) for name, adapter in adapters.items()}
    return await ask_canaries(context.loaded, context.sweep.sweep, DriftTargets(context.instances, paid), number)


def _was_checked(directory: RunDirectory) -> bool:
    """Look for the check in earlier executions: a run pays for its canaries only once."""
    return any(row.get("drift_checked") for row in directory.executions())


def drift_decisions(findings: Sequence[DriftFinding]) -> Iterator[tuple[str, str, Mapping[str, JSON]]]:
    """List instance, event and evidence of what is reported to the user."""
    for finding in findings:
        if finding.drifts:
            yield finding.instance, "drift", {"model": finding.model, "evidence": finding.sentence}
        if finding.unanswered:
            yield finding.instance, "drift_unknown", {"model": finding.model, "evidence": finding.unanswered}
