"""The way of the data, on one page: configuration, tasks, sweep, plan, engine, record, journal, results.

A new run is the resume of an empty directory: both go the same way. What comes before the first send is in `preparation.py`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager, closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial

from providers.errors import InputError, first_error
from providers.messages import JSON, Adaptation
from providers.provider import Adapter
from runners.calls.active_sample import ActiveSample
from runners.calls.budget import Budget
from runners.calls.budgeted_sender import BudgetedSender
from runners.calls.client import DEFAULT_OUTPUT_TOKENS
from runners.dispatch.decision_log import DecisionLog
from runners.dispatch.dispatcher import Dispatcher, NoUsableInstance
from runners.dispatch.slots import SlotLease
from runners.engines.local import LocalEngine
from runners.event_loop.loop_watchdog import LoopWatchdog
from runners.journal.compaction import Compactor, Replay
from runners.journal.journal import Journal
from runners.journal.sinks.open_sink import open_sink
from runners.monitor import Monitor
from runners.samples.answer import Scorer, Solver
from runners.samples.bitmap import Bitmap
from runners.samples.in_flight_samples import InFlightSamples
from runners.samples.record import Record
from runners.samples.worker import work
from runners.shutdown import Shutdown
from sharding.planner import SweepPlan

from ..config.environment import Environment
from ..results.directory import Manifest, RunDirectory
from ..ui.progress import shown
from .alerts.budgets import BudgetAlerts, open_budget, open_budgets, time_limited
from .alerts.drift import DriftFinding, DriftTargets, ask_canaries
from .alerts.events import Events, OnEvent
from .alerts.open_files import fit_workers, free_sockets
from .alerts.refusal_watch import RefusalWatch
from .alerts.shared_quotas import learned_of
from .components import (
    Limiting,
    call_context_of,
    dispatchers_of,
    instances_of,
    method_of,
    open_providers,
    prices_of,
    say_adapted,
)
from .outcome import RunOutcome, count_pending, outcome_of
from .prepare import Prepared
from .rehearsal import Rehearsal, rehearse_prepared
from .resumption import ResumeOptions, bring_back, chosen, make_sound
from .spent import spent_so_far
from .user_state import UserState, user_state

log = logging.getLogger(__name__)

ALERTS = frozenset({"instance_lost", "health", "refusals", "drift", "drift_unknown", "quota_shared", "open_files"})
"""Decisions that people are told of."""


@dataclass(frozen=True, slots=True)
class RunHooks:
    """What the caller brings: code of its own, the means to stop, and what a resume is asked."""

    shutdown: Shutdown = field(default_factory=Shutdown)
    solver: Solver | None = None
    scorer: Scorer | None = None
    on_event: OnEvent | None = None
    resumption: ResumeOptions = field(default_factory=ResumeOptions)


async def execute(prepared: Prepared, directory: RunDirectory, environment: Environment, hooks: RunHooks) -> RunOutcome:
    """Run what `directory` does not hold yet. Raises InputError when it belongs to another configuration or process, or is damaged."""
    with directory.held():
        manifest = directory.read_manifest()
        _require_same(manifest, prepared.plan())
        rehearsed = await _rehearsed(prepared, hooks)
        started_at = time.time()
        compactor = Compactor(directory.journal, open_sink(manifest.storage_format, directory.results))
        make_sound(directory, compactor, repairs=hooks.resumption.repairs)
        replay = compactor.replay(manifest.total)
        if hooks.resumption.only == "refused":
            bring_back(directory, compactor, replay.done)
        asked = chosen(hooks.resumption.only, compactor, replay.done)
        part_records = prepared.loaded.config.run.part_records
        journal = Journal(directory.journal, compactor, replay.done, segment_records=part_records)
        async with aclosing(Events(hooks.on_event, prepared.loaded.config.run.notify)) as events:
            config = prepared.loaded.config
            budget = open_budget(config.run, prices_of(config), spent_so_far(directory))
            opening = _open(prepared, directory, _Means(environment, journal, budget, events))
            async with _opened(opening, hooks.shutdown) as resources:
                if resources is None:
                    run_outcome = _ended_before_it_began(manifest, replay, hooks.shutdown)
                    run_outcome = replace(run_outcome, spent=budget.spent, unanswered=budget.unanswered)
                else:
                    run_outcome = await _RunExecutor(resources, manifest, hooks, events).execute(replay, asked)
            run_outcome = replace(run_outcome, rehearsed_s=rehearsed.duration_s if rehearsed else None)
            directory.note_execution({"started_at": started_at, "ended_at": time.time(), **run_outcome.as_row()})
            events.emit("run_finished", {"run": str(directory.path), **run_outcome.as_row()})
    return run_outcome


async def _rehearsed(prepared: Prepared, hooks: RunHooks) -> Rehearsal | None:
    if not prepared.loaded.config.run.rehearse:
        return None
    return await rehearse_prepared(prepared, hooks.solver, hooks.scorer)


def _require_same(manifest: Manifest, plan: SweepPlan) -> None:
    if manifest.fingerprint == plan.fingerprint:
        return
    changed = sorted(name for name, part in plan.parts.items() if manifest.parts.get(name) != part)
    shown = "; ".join(f"{name} was {manifest.parts.get(name)}, is {plan.parts[name]}" for name in changed)
    raise InputError(
        f"{manifest.run_id} holds results of another configuration ({shown}); "
        "resume it as it was, with the same solver and scorer, or start a new run"
    )


@dataclass(frozen=True, slots=True)
class _RunResources:
    """What is open while a run goes on."""

    prepared: Prepared
    adapters: Mapping[str, Adapter]
    journal: Journal
    decisions: DecisionLog
    state: UserState
    identities: Mapping[str, str]
    """Of the instances that outlive the run, by name."""
    budget: Budget
    """What the executions before spent, and the canaries."""
    canaries: Sequence[DriftFinding]


@dataclass(frozen=True, slots=True)
class _Means:
    """What a run is opened with."""

    environment: Environment
    journal: Journal
    budget: Budget
    events: Events


@asynccontextmanager
async def _open(prepared: Prepared, directory: RunDirectory, means: _Means) -> AsyncIterator[_RunResources]:
    """Journal, decision log, providers; and the locks on every key, so that no other run throttles this one."""
    state, journal, budget = user_state(), means.journal, means.budget
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(journal)
        decisions = stack.enter_context(closing(DecisionLog(directory.decisions)))
        tell = partial(_tell_adapted, decisions, means.events)
        providers = open_providers(prepared.loaded, means.environment, directory.simulator_log, tell)
        adapters = await stack.enter_async_context(providers)
        instances = [one for its in instances_of(prepared.loaded, adapters).values() for one in its]
        identities = {one.name: found for one in instances if (found := adapters[one.provider].identity(one))}
        if not prepared.loaded.config.run.share:
            stack.enter_context(state.locked(list(identities.values()), str(directory.path)))
        is_due = journal.done.count < journal.done.size and not _was_checked(directory)
        canaries = await _canaries(prepared, adapters, budget) if is_due else []
        yield _RunResources(prepared, adapters, journal, decisions, state, identities, budget, canaries)


def _tell_adapted(decisions: DecisionLog, events: Events, instance: str, adaptation: Adaptation) -> None:
    """To the terminal, to whoever listens, and for good."""
    said: Mapping[str, JSON] = asdict(adaptation)
    say_adapted(instance, adaptation)
    decisions(instance, "adapted", said)
    events.emit("adapted", {"instance": instance, **said})


def _was_checked(directory: RunDirectory) -> bool:
    """By an earlier execution: a run pays for its canaries once."""
    return any(one.get("drift_checked") for one in directory.executions())


async def _canaries(prepared: Prepared, adapters: Mapping[str, Adapter], budget: Budget) -> list[DriftFinding]:
    """Whether the instances of a model are one model; of nobody, unless it is asked for."""
    loaded, number = prepared.loaded, prepared.loaded.config.run.drift_check
    if number is None:
        return []
    paid = {name: BudgetedSender(sender, budget, DEFAULT_OUTPUT_TOKENS) for name, sender in adapters.items()}
    return await ask_canaries(loaded, prepared.sweep.sweep, DriftTargets(instances_of(loaded, adapters), paid), number)


@asynccontextmanager
async def _opened(
    opening: AbstractAsyncContextManager[_RunResources], shutdown: Shutdown
) -> AsyncIterator[_RunResources | None]:
    """None where the run is told to stop while it opens: nothing is in flight yet, so nothing has a grace."""
    resources = None
    async with AsyncExitStack() as stack:
        async with shutdown.bounded(has_grace=False):
            resources = await stack.enter_async_context(opening)
        yield resources


def _ended_before_it_began(manifest: Manifest, replay: Replay, shutdown: Shutdown) -> RunOutcome:
    nothing = Monitor(manifest.total, replay.done.count, {}).statistics()
    run_outcome = outcome_of(manifest, count_pending(replay.done, None), nothing, shutdown, [])
    return replace(run_outcome, possibly_billed_twice=replay.possibly_billed_twice, damaged=replay.damaged)


class _RunExecutor:
    """The engine at work: what it does with a sample, and where the record goes."""

    def __init__(self, resources: _RunResources, manifest: Manifest, hooks: RunHooks, events: Events) -> None:
        self._resources = resources
        self._run = resources.prepared.loaded.config.run
        self._manifest = manifest
        self._attendance = hooks
        self._events = events
        self._user_errors = self._run.max_user_errors
        self._open_samples = InFlightSamples()
        self._refusals = RefusalWatch(partial(self._decide, "", "refusals"))
        self._dispatchers = self._build_dispatchers()
        config = resources.prepared.loaded.config
        self._voice = BudgetAlerts(hooks.shutdown, resources.decisions, events.emit)
        self._budgets = open_budgets(self._run, prices_of(config), resources.budget.spent, self._voice)
        self._exchange = replace(
            call_context_of(config, self._dispatchers, self._budgets),
            on_first_send=resources.journal.started,
            on_unbilled=resources.journal.unbilled,
        )
        self._method = method_of(
            resources.prepared.loaded, manifest.run_id, resources.prepared.sweep, hooks.solver, hooks.scorer
        )

    def _build_dispatchers(self) -> dict[str, Dispatcher]:
        """Every model's stations, starting from what earlier runs have learnt about them."""
        resources = self._resources
        learned = {} if self._run.cold else resources.state.learned(resources.identities)
        limiting = Limiting(self._run.rate_mode, self._decide, learned)
        samples = resources.journal.done.size - resources.journal.done.count
        instances, sentence = fit_workers(
            instances_of(resources.prepared.loaded, resources.adapters), samples, free_sockets()
        )
        if sentence:
            self._decide("", "open_files", {"evidence": sentence})
        return dispatchers_of(instances, resources.adapters, limiting)

    def _decide(self, instance: str, event: str, evidence: Mapping[str, JSON]) -> None:
        self._resources.decisions(instance, event, evidence)
        if event in ALERTS:
            self._events.emit(event, {"instance": instance, **evidence})

    def _tell_drifts(self) -> None:
        for finding in self._resources.canaries:
            if finding.drifts:
                self._decide(finding.instance, "drift", {"model": finding.model, "evidence": finding.sentence})
            if finding.unanswered:
                said = {"model": finding.model, "evidence": finding.unanswered}
                self._decide(finding.instance, "drift_unknown", said)

    def _tell_stall(self, found: Mapping[str, JSON]) -> None:
        """What every open sample waits for: on the screen, to whoever listens, and for good."""
        waits = [wait.as_row() for wait in self._open_samples.waits()]
        said = {**found, "open_samples": len(self._open_samples), "waits": waits}
        self._resources.decisions("", "run_stalled", said)
        self._events.emit("run_stalled", said)

    def _tell_blocked_loop(self, found: Mapping[str, JSON]) -> None:
        """In the watching thread: the loop may never move again."""
        self._resources.decisions("", "loop_blocked", found)
        self._events.emit_from_thread("loop_blocked", found)

    async def execute(self, replay: Replay, asked: Bitmap | None) -> RunOutcome:
        """Run every stage over what is left, or what of it is `asked` for; then remember what was learnt."""
        self._tell_drifts()
        monitor = Monitor(self._manifest.total, replay.done.count, self._dispatchers, self._budgets.shares)
        stalls = monitor.stall_watch(self._run.stall_after_s, self._tell_stall)
        with (
            monitor,
            stalls,
            LoopWatchdog(self._tell_blocked_loop),
            shown(monitor, self._run.display),
            time_limited(self._run.time_limit_s, self._voice),
        ):
            lost = await self._run_stages(self._resources.prepared.plan(replay.done, asked), monitor)
            await self._resources.journal.flush()  # or the last group would be missing from the statistics
        self._remember()
        still_open = count_pending(self._resources.journal.done, asked)
        run_outcome = outcome_of(self._manifest, still_open, monitor.statistics(), self._attendance.shutdown, lost)
        return replace(
            run_outcome,
            possibly_billed_twice=replay.possibly_billed_twice,
            damaged=replay.damaged,
            spent=self._budgets.budget.spent,
            unanswered=self._resources.budget.unanswered + self._budgets.budget.unanswered,
            retries_refused=self._budgets.retries.refused,
            refusals=self._refusals.sentences,
            refused=self._refusals.listing,
            drifts=tuple(finding.sentence for finding in self._resources.canaries if finding.drifts),
            is_drift_checked=any(finding.answered for finding in self._resources.canaries),
        )

    async def _run_stages(self, plan: SweepPlan, monitor: Monitor) -> list[NoUsableInstance]:
        """Stage by stage, watched: a journal that fails ends the run at once."""
        shutdown, journal = self._attendance.shutdown, self._resources.journal
        deliver = partial(self._deliver, monitor)
        engine = LocalEngine(self._dispatchers, self._work, deliver, shutdown, journal.done, self._run.rebalance)
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

    async def _work(self, active: ActiveSample, slot: SlotLease) -> Record:
        log.debug("%s taken up by %s", active.sample.sample_id, active.instance, extra={"planned": active.planned})
        with self._open_samples.working(active):
            return await work(active, self._method, self._exchange, slot)

    async def _deliver(self, monitor: Monitor, record: Record) -> None:
        self._resources.journal.append(record, partial(monitor.count, record))
        _tell(record)
        self._refusals.note(record)
        if record.error_class == "user_code":
            self._user_errors -= 1
            if self._user_errors == 0:
                more = "run.max_user_errors says how many such samples a run goes past"
                self._attendance.shutdown.drain(f"your own code failed: {record.error_message} ({more})")
        with self._open_samples.delivering(record.ordinal, record.task_id):
            await self._resources.journal.room()

    def _remember(self) -> None:
        """Write down how every limiter stands, and keep what it has learnt for the next run."""
        for dispatcher in self._dispatchers.values():
            for name, instance_state in dispatcher.instance_states.items():
                self._resources.decisions(name, "end", instance_state.limiter.snapshot())
        if not self._run.share:  # what two runs found together is no limit of one
            self._resources.state.remember(learned_of(self._dispatchers, self._resources.identities))


def _tell(record: Record) -> None:
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
