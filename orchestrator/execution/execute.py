"""The way of the data, on one page: prepare, open, execute the stages, end.

`prepare.py` has opened what a run needs (a RunContext). A new run is the resume of an empty directory: both go the way of `execute`. The
driver (`driver.py`) holds plan, journal, budgets and display; the owner (`owner.py`) holds all that touches a key.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager, closing
from dataclasses import asdict, dataclass, replace
from functools import partial

from providers.messages import JSON, Adaptation
from runners.decisions.decision_log import DecisionLog
from runners.durable import storing
from runners.event_loop.shutdown import Shutdown
from runners.journal.journal import Journal
from runners.journal.spending_log import SpendingLog
from runners.samples.monitor import Monitor

from ..config.environment import Environment
from ..results.run_directory.directory import Manifest, RunDirectory
from .alerts.budgets import open_budget
from .alerts.events import Events
from .alerts.open_files import fit_workers, free_sockets
from .answer_cache import open_cache
from .canaries import ask_due_canaries
from .components import say_adapted
from .context import RunContext, RunHooks
from .driver import Driver, DriverResources
from .forecast.rehearsal import rehearse_prepared
from .history.outcome import RunOutcome, count_pending, outcome_of
from .history.resumption import PendingWork, find_pending, require_same
from .history.spent import settle_killed
from .limits.user_state import user_state
from .owner import LocalParts, Owner, assign_all


@dataclass(frozen=True, slots=True)
class _Execution:
    """The directory of an execution, and the samples that are left to run."""

    context: RunContext
    directory: RunDirectory
    manifest: Manifest
    pending: PendingWork
    hooks: RunHooks


async def execute(
    context: RunContext, directory: RunDirectory, environment: Environment, hooks: RunHooks
) -> RunOutcome:
    """Run what `directory` does not hold yet. Raises InputError when it belongs to another configuration or process, or is damaged."""
    with storing(directory.path, of_disk=True), directory.held(locks=context.config.run.lock):
        manifest = directory.read_manifest()
        changed = require_same(manifest, context.whole_plan, changed_code=hooks.resumption.changed_code)
        rehearsed_s = await _rehearsed_s(context, hooks)
        started_at = time.time()
        execution = _Execution(context, directory, manifest, find_pending(directory, manifest, hooks.resumption), hooks)
        async with aclosing(Events(hooks.on_event, context.config.run.notify)) as events:
            run_outcome = replace(await _execute_pending(execution, environment, events), rehearsed_s=rehearsed_s)
            row = {"started_at": started_at, "ended_at": time.time(), **run_outcome.as_row()}
            directory.note_execution({**row, "changed_code": changed} if changed else row)
            events.emit("run_finished", {"run": str(directory.path), **run_outcome.as_row()})
    return run_outcome


async def _rehearsed_s(context: RunContext, hooks: RunHooks) -> float | None:
    """Rehearse if it is configured; return what the run is expected to take."""
    if not context.config.run.rehearse:
        return None
    return (await rehearse_prepared(context, hooks.solver, hooks.scorer)).duration_s


async def _execute_pending(execution: _Execution, environment: Environment, events: Events) -> RunOutcome:
    """Open everything, join driver and owner, and execute the plan of what is left."""
    context, pending, hooks = execution.context, execution.pending, execution.hooks
    manifest, compactor = execution.manifest, pending.compactor
    spending_log = settle_killed(execution.directory, manifest.storage_format, compactor)
    async with _stoppable(_open(execution, environment, spending_log, events), hooks.shutdown) as resources:
        if resources is None:
            return _ended_before_it_began(execution, spending_log)
        driver = Driver(context, resources, hooks, events)
        follows_samples = logging.getLogger(__package__).isEnabledFor(logging.DEBUG)
        assignment = assign_all(execution.manifest.run_id, context, driver.learned(), follows_samples=follows_samples)
        fitted = _fit_to_open_files(context, pending, driver)
        owner = Owner(assignment, LocalParts(fitted, fitted.providers.adapters, hooks.code, resources.cache), driver)
        return await driver.execute(owner, context.plan(pending.replay.done, pending.asked))


def _fit_to_open_files(context: RunContext, pending: PendingWork, driver: Driver) -> RunContext:
    """Lower the workers if the system allows fewer open files than the samples in flight need, and report it."""
    done = pending.replay.done
    instances, sentence = fit_workers(context.instances, done.size - done.count, free_sockets())
    if sentence:
        driver.decided("", "open_files", {"evidence": sentence})
    return replace(context, providers=replace(context.providers, instances=instances))


@asynccontextmanager
async def _open(
    execution: _Execution, environment: Environment, spending_log: SpendingLog, events: Events
) -> AsyncIterator[DriverResources]:
    """Open journal and decisions, start the simulators, lock every key against other runs, and ask the canaries."""
    context, directory, pending = execution.context, execution.directory, execution.pending
    run, providers, state, done = context.config.run, context.providers, user_state(), pending.replay.done
    async with AsyncExitStack() as stack:
        journal = Journal(
            directory.journal, pending.compactor, done, segment_records=run.part_records, spending_log=spending_log
        )
        await stack.enter_async_context(journal)
        decisions = stack.enter_context(closing(DecisionLog(directory.decisions)))
        on_adapted = partial(_tell_adapted, decisions, events)
        await stack.enter_async_context(providers.serving(environment, directory.simulator_log, on_adapted))
        identities = providers.identities(providers.all_instances())
        if run.lock and not run.share:
            stack.enter_context(state.locked(list(identities.values()), str(directory.path)))
        cache = open_cache(context)
        if cache is not None:
            stack.enter_context(closing(cache))
        budget = open_budget(run, context.price_usd, spending_log.settled, spending_log)
        canaries = await ask_due_canaries(context, directory, done, budget)
        yield DriverResources(
            execution.manifest, pending, journal, decisions, state, identities, spending_log, budget, canaries, cache
        )


def _tell_adapted(decisions: DecisionLog, events: Events, instance: str, adaptation: Adaptation) -> None:
    """Report to the terminal and to the listeners, and write to the run directory."""
    evidence: Mapping[str, JSON] = asdict(adaptation)
    say_adapted(instance, adaptation)
    decisions(instance, "adapted", evidence)
    events.emit("adapted", {"instance": instance, **evidence})


@asynccontextmanager
async def _stoppable(
    opening: AbstractAsyncContextManager[DriverResources], shutdown: Shutdown
) -> AsyncIterator[DriverResources | None]:
    """Yield None if the run is stopped while it opens: nothing is in flight yet, so there is no grace period."""
    resources = None
    async with AsyncExitStack() as stack:
        async with shutdown.bounded(has_grace=False):
            resources = await stack.enter_async_context(opening)
        yield resources


def _ended_before_it_began(execution: _Execution, spending_log: SpendingLog) -> RunOutcome:
    manifest, replay = execution.manifest, execution.pending.replay
    statistics = Monitor(manifest.total, replay.done.count, {}).statistics()
    run_outcome = outcome_of(manifest, count_pending(replay.done, None), statistics, execution.hooks.shutdown, [])
    return replace(
        run_outcome,
        possibly_billed_twice=replay.possibly_billed_twice,
        damaged=replay.damaged,
        spent=spending_log.settled,
        presumed=spending_log.presumed,
        unanswered=spending_log.budget.unanswered if spending_log.budget else 0,
    )
