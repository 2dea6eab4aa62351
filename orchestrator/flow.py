"""The way of the data, on one page: configuration, tasks, sweep, plan, engine, record, journal, results.

A new run is the resume of an empty directory: both go the same way. What comes before the first send is in `preparation.py`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager, closing, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

from providers.errors import InputError, first_error
from providers.messages import JSON
from providers.provider import Adapter
from runners.answer import Scorer, Solver
from runners.bitmap import Bitmap
from runners.client import DEFAULT_OUTPUT_TOKENS
from runners.compaction import Compactor, Replay
from runners.decisions import DecisionLog
from runners.dispatch import Dispatcher, NoUsableInstance
from runners.engines.local import LocalEngine
from runners.journal import Journal
from runners.lease import SlotLease
from runners.monitor import Monitor
from runners.open_samples import OpenSamples
from runners.opened import Opened
from runners.record import Record
from runners.shutdown import Shutdown
from runners.sinks.sink import open_sink
from runners.spending import Purse
from runners.standstill import StandstillWatch
from runners.worker import work
from sharding.planner import SweepPlan

from .budgets import Voice, open_budgets, open_purse, time_limited
from .capacity.target import PaidSender
from .directory import Manifest, RunDirectory
from .drift import Asked, Finding, ask_canaries
from .ending import Ending, count_open, ending_of
from .env import Environment
from .events import Events, OnEvent
from .preparation import Prepared
from .progress import shown
from .refusal_watch import RefusalWatch
from .rehearsal import Rehearsal, rehearse_prepared
from .resumption import Resumption, bring_back, chosen, make_sound
from .spent import spent_so_far
from .state import UserState, user_state
from .wiring import Limiting, dispatchers_of, exchange_of, instances_of, method_of, open_providers, prices_of

log = logging.getLogger(__name__)

ALERTS = frozenset({"instance_lost", "health", "refusals", "drift", "drift_unknown"})
"""Decisions that people are told of."""


@dataclass(frozen=True, slots=True)
class Attendance:
    """What the caller brings: code of its own, the means to stop, and what a resume is asked."""

    shutdown: Shutdown = field(default_factory=Shutdown)
    solver: Solver | None = None
    scorer: Scorer | None = None
    on_event: OnEvent | None = None
    resumption: Resumption = field(default_factory=Resumption)


async def carry_out(
    prepared: Prepared, directory: RunDirectory, environment: Environment, attendance: Attendance
) -> Ending:
    """Run what `directory` does not hold yet. Raises InputError when it belongs to another configuration or process, or is damaged."""
    with directory.held():
        manifest = directory.read_manifest()
        _require_same(manifest, prepared.plan())
        rehearsed = await _rehearsed(prepared, attendance)
        started_at = time.time()
        compactor = Compactor(directory.journal, open_sink(manifest.storage_format, directory.results))
        make_sound(directory, compactor, repairs=attendance.resumption.repairs)
        replay = compactor.replay(manifest.total)
        if attendance.resumption.only == "refused":
            bring_back(directory, compactor, replay.done)
        asked = chosen(attendance.resumption.only, compactor, replay.done)
        part_records = prepared.loaded.config.run.part_records
        journal = Journal(directory.journal, compactor, replay.done, segment_records=part_records)
        async with aclosing(Events(attendance.on_event, prepared.loaded.config.run.notify)) as events:
            config = prepared.loaded.config
            purse = open_purse(config.run, prices_of(config), spent_so_far(directory))
            opening = _open(prepared, directory, environment, journal, purse)
            async with _opened(opening, attendance.shutdown) as site:
                if site is None:
                    ending = _ended_before_it_began(manifest, replay, attendance.shutdown)
                    ending = replace(ending, spent=purse.spent, unanswered=purse.unanswered)
                else:
                    ending = await _Crew(site, manifest, attendance, events).carry_out(replay, asked)
            ending = replace(ending, rehearsed_s=rehearsed.duration_s if rehearsed else None)
            directory.note_execution({"started_at": started_at, "ended_at": time.time(), **ending.as_row()})
            events.emit("run_finished", {"run": str(directory.path), **ending.as_row()})
    return ending


async def _rehearsed(prepared: Prepared, attendance: Attendance) -> Rehearsal | None:
    if not prepared.loaded.config.run.rehearse:
        return None
    return await rehearse_prepared(prepared, attendance.solver, attendance.scorer)


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
class _Site:
    """What is open while a run goes on."""

    prepared: Prepared
    adapters: Mapping[str, Adapter]
    journal: Journal
    decisions: DecisionLog
    state: UserState
    identities: Mapping[str, str]
    """Of the instances that outlive the run, by name."""
    purse: Purse
    """What the executions before spent, and the canaries."""
    canaries: Sequence[Finding]


@asynccontextmanager
async def _open(
    prepared: Prepared, directory: RunDirectory, environment: Environment, journal: Journal, purse: Purse
) -> AsyncIterator[_Site]:
    """Providers, journal, decision log; and the locks on every key, so that no other run throttles this one."""
    state = user_state()
    async with journal, open_providers(prepared.loaded, environment, directory.simulator_log) as adapters:
        instances = [one for its in instances_of(prepared.loaded, adapters).values() for one in its]
        identities = {one.name: found for one in instances if (found := adapters[one.provider].identity(one))}
        shares = prepared.loaded.config.run.share
        locks = nullcontext() if shares else state.locked(list(identities.values()), str(directory.path))
        with closing(DecisionLog(directory.decisions)) as decisions, locks:
            is_due = journal.done.count < journal.done.size and not _was_checked(directory)
            canaries = await _canaries(prepared, adapters, purse) if is_due else []
            yield _Site(prepared, adapters, journal, decisions, state, identities, purse, canaries)


def _was_checked(directory: RunDirectory) -> bool:
    """By an earlier execution: a run pays for its canaries once."""
    return any(one.get("drift_checked") for one in directory.executions())


async def _canaries(prepared: Prepared, adapters: Mapping[str, Adapter], purse: Purse) -> list[Finding]:
    """Whether the instances of a model are one model; of nobody, unless it is asked for."""
    loaded, number = prepared.loaded, prepared.loaded.config.run.drift_check
    if number is None:
        return []
    paid = {name: PaidSender(sender, purse, DEFAULT_OUTPUT_TOKENS) for name, sender in adapters.items()}
    return await ask_canaries(loaded, prepared.sweep.sweep, Asked(instances_of(loaded, adapters), paid), number)


@asynccontextmanager
async def _opened(opening: AbstractAsyncContextManager[_Site], shutdown: Shutdown) -> AsyncIterator[_Site | None]:
    """None where the run is told to stop while it opens: nothing is in flight yet, so nothing has a grace."""
    site = None
    async with AsyncExitStack() as stack:
        async with shutdown.bounded(has_grace=False):
            site = await stack.enter_async_context(opening)
        yield site


def _ended_before_it_began(manifest: Manifest, replay: Replay, shutdown: Shutdown) -> Ending:
    nothing = Monitor(manifest.total, replay.done.count, {}).statistics()
    ending = ending_of(manifest, count_open(replay.done, None), nothing, shutdown, [])
    return replace(ending, possibly_billed_twice=replay.possibly_billed_twice, damaged=replay.damaged)


class _Crew:
    """The engine at work: what it does with a sample, and where the record goes."""

    def __init__(self, site: _Site, manifest: Manifest, attendance: Attendance, events: Events) -> None:
        self._site = site
        self._run = site.prepared.loaded.config.run
        self._manifest = manifest
        self._attendance = attendance
        self._events = events
        self._user_errors = self._run.max_user_errors
        self._open_samples = OpenSamples()
        self._refusals = RefusalWatch(partial(self._decide, "", "refusals"))
        self._dispatchers = self._staff()
        config = site.prepared.loaded.config
        self._voice = Voice(attendance.shutdown, site.decisions, events.emit)
        self._budgets = open_budgets(self._run, prices_of(config), site.purse.spent, self._voice)
        self._exchange = replace(
            exchange_of(config, self._dispatchers, self._budgets),
            on_first_send=site.journal.started,
            on_unbilled=site.journal.unbilled,
        )
        self._method = method_of(
            site.prepared.loaded, manifest.run_id, site.prepared.sweep, attendance.solver, attendance.scorer
        )

    def _staff(self) -> dict[str, Dispatcher]:
        """Every model's stations, starting from what earlier runs have learnt about them."""
        site = self._site
        learned = {} if self._run.cold else site.state.learned(site.identities)
        limiting = Limiting(self._run.rate_mode, self._decide, learned)
        return dispatchers_of(instances_of(site.prepared.loaded, site.adapters), site.adapters, limiting)

    def _decide(self, instance: str, event: str, evidence: Mapping[str, JSON]) -> None:
        self._site.decisions(instance, event, evidence)
        if event in ALERTS:
            self._events.emit(event, {"instance": instance, **evidence})

    def _tell_drifts(self) -> None:
        for finding in self._site.canaries:
            if finding.drifts:
                self._decide(finding.instance, "drift", {"model": finding.model, "evidence": finding.sentence})
            if finding.unanswered:
                said = {"model": finding.model, "evidence": finding.unanswered}
                self._decide(finding.instance, "drift_unknown", said)

    def _tell_stall(self, found: Mapping[str, JSON]) -> None:
        """What every open sample waits for: on the screen, to whoever listens, and for good."""
        waits = [wait.as_row() for wait in self._open_samples.waits()]
        said = {**found, "open_samples": len(self._open_samples), "waits": waits}
        self._site.decisions("", "run_stalled", said)
        self._events.emit("run_stalled", said)

    def _tell_standstill(self, found: Mapping[str, JSON]) -> None:
        """In the watching thread: the loop may never move again."""
        self._site.decisions("", "loop_blocked", found)
        self._events.emit_from_thread("loop_blocked", found)

    async def carry_out(self, replay: Replay, asked: Bitmap | None) -> Ending:
        """Run every stage over what is left, or what of it is `asked` for; then remember what was learnt."""
        self._tell_drifts()
        monitor = Monitor(self._manifest.total, replay.done.count, self._dispatchers, self._budgets.shares)
        stalls = monitor.stall_watch(self._run.stall_after_s, self._tell_stall)
        with (
            monitor,
            stalls,
            StandstillWatch(self._tell_standstill),
            shown(monitor, self._run.display),
            time_limited(self._run.time_limit_s, self._voice),
        ):
            lost = await self._run_stages(self._site.prepared.plan(replay.done, asked), monitor)
            await self._site.journal.flush()  # or the last group would be missing from the statistics
        self._remember()
        still_open = count_open(self._site.journal.done, asked)
        ending = ending_of(self._manifest, still_open, monitor.statistics(), self._attendance.shutdown, lost)
        return replace(
            ending,
            possibly_billed_twice=replay.possibly_billed_twice,
            damaged=replay.damaged,
            spent=self._budgets.purse.spent,
            unanswered=self._site.purse.unanswered + self._budgets.purse.unanswered,
            retries_refused=self._budgets.retries.refused,
            refusals=self._refusals.sentences,
            refused=self._refusals.listing,
            drifts=tuple(finding.sentence for finding in self._site.canaries if finding.drifts),
            is_drift_checked=any(finding.answered for finding in self._site.canaries),
        )

    async def _run_stages(self, plan: SweepPlan, monitor: Monitor) -> list[NoUsableInstance]:
        """Stage by stage, watched: a journal that fails ends the run at once."""
        shutdown, journal = self._attendance.shutdown, self._site.journal
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

    async def _work(self, opened: Opened, lease: SlotLease) -> Record:
        log.debug("%s taken up by %s", opened.sample.sample_id, opened.instance, extra={"planned": opened.planned})
        with self._open_samples.working(opened):
            return await work(opened, self._method, self._exchange, lease)

    async def _deliver(self, monitor: Monitor, record: Record) -> None:
        self._site.journal.append(record, partial(monitor.count, record))
        _tell(record)
        self._refusals.note(record)
        if record.error_class == "user_code":
            self._user_errors -= 1
            if self._user_errors == 0:
                more = "run.max_user_errors says how many such samples a run goes past"
                self._attendance.shutdown.drain(f"your own code failed: {record.error_message} ({more})")
        with self._open_samples.delivering(record.ordinal, record.task_id):
            await self._site.journal.room()

    def _remember(self) -> None:
        """Write down how every limiter stands, and keep what it has learnt for the next run."""
        learned = {}
        for dispatcher in self._dispatchers.values():
            for name, station in dispatcher.stations.items():
                self._site.decisions(name, "end", station.limiter.snapshot())
                if name in self._site.identities and (found := station.limiter.export()):
                    learned[self._site.identities[name]] = found
        if not self._run.share:  # what two runs found together is no limit of one
            self._site.state.remember(learned)


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
