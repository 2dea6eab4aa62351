"""The driver: plan, journal, budgets, monitor, events and decisions. It touches no key: an owner does, and says to it what happens.

It implements DriverLink. A record is appended to the journal at once and counted when it is durable.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from providers.errors import first_error
from providers.messages import JSON
from runners.cache.answer_cache import AnswerCache
from runners.calls.budget import Budget
from runners.decisions.decision_log import DecisionLog
from runners.dispatch.dispatcher import NoUsableInstance
from runners.engines.local import LocalEngine
from runners.event_loop.loop_watchdog import LoopWatchdog
from runners.journal.journal import Journal
from runners.journal.spending_log import SpendingLog
from runners.samples.monitor import Monitor
from runners.samples.record import Record
from sharding.planner import SweepPlan

from ..results.run_directory.directory import Manifest
from ..ui.progress import shown
from .alerts.budgets import BudgetAlerts, open_budgets, time_limited
from .alerts.drift import DriftFinding
from .alerts.events import Events
from .alerts.refusal_watch import RefusalWatch
from .alerts.shared_quotas import learned_of
from .canaries import drift_decisions
from .context import RunContext, RunHooks
from .history.outcome import RunOutcome, count_pending, outcome_of
from .history.resumption import PendingWork
from .limits.user_state import UserState
from .owner import Owner

log = logging.getLogger(__name__)

ALERTS = frozenset(
    {"instance_lost", "health", "refusals", "drift", "drift_unknown", "quota_shared", "answer_floor", "open_files"}
)
"""Decisions that are reported to the user."""


@dataclass(frozen=True, slots=True)
class DriverResources:
    """What the driver holds open during a run."""

    manifest: Manifest
    pending: PendingWork
    journal: Journal
    decisions: DecisionLog
    state: UserState
    identities: Mapping[str, str]
    """The identities that outlive the run, by instance name."""
    spending_log: SpendingLog
    budget: Budget
    """What earlier executions and the canaries spent."""
    canaries: Sequence[DriftFinding]
    cache: AnswerCache | None


class Driver:
    """The driver, which executes a plan through an owner and stores the results."""

    def __init__(self, context: RunContext, resources: DriverResources, hooks: RunHooks, events: Events) -> None:
        self._run = context.config.run
        self._resources = resources
        self.started, self.unbilled = resources.journal.started, resources.journal.unbilled
        self._shutdown = hooks.shutdown
        self._events = events
        self._alerts = BudgetAlerts(hooks.shutdown, resources.decisions, events.emit)
        self.budgets = open_budgets(
            self._run, context.price_usd, resources.budget.spent, resources.spending_log, self._alerts
        )
        self._user_errors = self._run.max_user_errors
        self._refusals = RefusalWatch(partial(self.decided, "", "refusals"))
        self._monitor: Monitor

    # ------------------------------------------------------------------ what the owner says
    def decided(self, instance: str, event: str, evidence: Mapping[str, JSON]) -> None:
        """Write a decision to the log of decisions, and report it to the user if it concerns the user."""
        self._resources.decisions(instance, event, evidence)
        if event in ALERTS:
            self._events.emit(event, {"instance": instance, **evidence})

    async def finished(self, record: Record) -> None:
        """Append a record, count it when it is durable, and wait while the disk is behind."""
        self._resources.journal.append(record, partial(self._monitor.count, record))
        if log.isEnabledFor(logging.DEBUG):
            _log_record(record)
        self._refusals.note(record)
        if record.error_class == "user_code":
            self._count_user_error(record)
        await self._resources.journal.room()

    def _count_user_error(self, record: Record) -> None:
        self._user_errors -= 1
        if self._user_errors == 0:
            more = "run.max_user_errors says how many such samples a run goes past"
            self._shutdown.drain(f"your own code failed: {record.error_message} ({more})")

    # ------------------------------------------------------------------ execution
    def learned(self) -> Mapping[str, Mapping[str, JSON]]:
        """Look up what earlier runs have learnt of the instances; for a cold start only when the last one ended."""
        return self._resources.state.learned(self._resources.identities, is_cold=self._run.cold)

    async def execute(self, owner: Owner, plan: SweepPlan) -> RunOutcome:
        """Run every remaining stage, then remember what was learnt."""
        resources = self._resources
        for instance, event, evidence in drift_decisions(resources.canaries):
            self.decided(instance, event, evidence)
        done_before = resources.pending.replay.done.count
        self._monitor = Monitor(resources.manifest.total, done_before, owner.dispatchers, self.budgets.shares)
        with self._watched(owner):
            lost = await self._execute_stages(owner, plan)
            await resources.journal.flush()  # or the last group would be missing from the statistics
        self._remember(owner)
        return self._outcome(lost)

    @contextmanager
    def _watched(self, owner: Owner) -> Iterator[None]:
        """Show the progress, and detect a stalled run, a blocked loop and a reached time limit."""
        with (
            self._monitor,
            self._monitor.stall_watch(self._run.stall_after_s, partial(self._tell_stall, owner)),
            LoopWatchdog(self._tell_blocked_loop),
            shown(self._monitor, self._run.display),
            time_limited(self._run.time_limit_s, self._alerts),
        ):
            yield

    def _tell_stall(self, owner: Owner, evidence: Mapping[str, JSON]) -> None:
        """Report what every open sample waits for: on the screen, to the listeners and in the run directory."""
        if owner.expects_answer():
            return
        stall = {**evidence, **owner.waits()}
        self._resources.decisions("", "run_stalled", stall)
        self._events.emit("run_stalled", stall)

    def _tell_blocked_loop(self, evidence: Mapping[str, JSON]) -> None:
        """Report it in the watching thread, because the loop may never continue."""
        self._resources.decisions("", "loop_blocked", evidence)
        self._events.emit_from_thread("loop_blocked", evidence)

    async def _execute_stages(self, owner: Owner, plan: SweepPlan) -> list[NoUsableInstance]:
        """Execute stage by stage while watching the journal: if it fails, the run ends at once."""
        shutdown, journal = self._shutdown, self._resources.journal
        engine = LocalEngine(
            owner.dispatchers,
            owner.work,
            owner.deliver,
            shutdown,
            journal.done,
            self._run.rebalance,
            owner.in_flight,
        )
        lost: list[NoUsableInstance] = []
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(journal.watch(), name="journal watch")
                for stage in range(len(plan.stages)):
                    if not shutdown.draining.is_set():
                        lost += await engine.execute(plan, stage)
                watch.cancel()
        except ExceptionGroup as group:
            raise first_error(group) from None  # hundreds of samples fail of one bug: one traceback says it
        return lost

    def _remember(self, owner: Owner) -> None:
        """Record the state of every limiter, and keep what it has learnt for the next run."""
        reports = list(owner.limiter_reports())
        for report in reports:
            self._resources.decisions(report.instance, "end", report.snapshot)
        identities = self._resources.identities
        learned = {} if self._run.share else learned_of(reports, identities)  # two runs together find no limit of one
        self._resources.state.remember(
            learned, {identities[name] for name in (report.instance for report in reports) if name in identities}
        )

    def _outcome(self, lost: Sequence[NoUsableInstance]) -> RunOutcome:
        resources, budgets = self._resources, self.budgets
        still_open = count_pending(resources.journal.done, resources.pending.asked)
        run_outcome = outcome_of(resources.manifest, still_open, self._monitor.statistics(), self._shutdown, lost)
        return replace(
            run_outcome,
            possibly_billed_twice=resources.pending.replay.possibly_billed_twice,
            damaged=resources.pending.replay.damaged,
            spent=budgets.budget.spent,
            presumed=resources.spending_log.presumed,
            unanswered=resources.budget.unanswered + budgets.budget.unanswered,
            retries_refused=budgets.retries.refused,
            refusals=self._refusals.sentences,
            refused=self._refusals.listing,
            drifts=tuple(finding.sentence for finding in resources.canaries if finding.drifts),
            is_drift_checked=any(finding.answered for finding in resources.canaries),
            cache=resources.cache.counts if resources.cache else None,
        )


def _log_record(record: Record) -> None:
    log.debug(
        "%s %s by %s: task %s, HTTP %s, %d attempts, %d refusals, %.3f s, %s",
        record.sample_id,
        record.outcome,
        record.instance,
        record.task_id,
        record.status,
        record.attempts,
        record.throttles,
        record.total_s,
        record.error_message or record.grade,
        extra={"planned": record.planned_instance},
    )
