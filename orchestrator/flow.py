"""The way of the data, on one page: configuration, tasks, sweep, plan, engine, record, journal, results.

A new run is the resume of an empty directory: both go the same way.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from providers.credentials import ApiKey
from providers.errors import InputError
from providers.instance import Instance
from providers.provider import Adapter
from runners.answer import Scorer, Solver
from runners.bitmap import Bitmap
from runners.compaction import Compactor, Replay
from runners.decisions import DecisionLog
from runners.dispatch import Dispatcher, NoUsableInstance
from runners.engines.local import LocalEngine
from runners.journal import Journal
from runners.lease import SlotLease
from runners.monitor import Monitor
from runners.opened import Opened
from runners.record import Record
from runners.shutdown import Shutdown
from runners.sinks.sink import open_sink
from runners.worker import work
from sharding.planner import Layout, SweepPlan, build_plan

from .directory import Manifest, RunDirectory, new_directory
from .ending import Ending, ending_of
from .env import Environment
from .loading import LoadedConfig
from .progress import shown
from .sweeps import OpenSweep, method_parts, open_sweep
from .wiring import (
    Limiting,
    check_method,
    dispatchers_of,
    exchange_of,
    instances_of,
    method_of,
    offline_adapters,
    open_providers,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that is known before anything is sent."""

    loaded: LoadedConfig
    sweep: OpenSweep
    instances: Mapping[str, Sequence[Instance]]
    scorer: str | None = None
    """The name of a scorer that was passed in from Python: it wins over every name in the file."""

    def plan(self, done: Bitmap | None = None) -> SweepPlan:
        """Shards over what is not done yet."""
        remaining = None if done is None or not done.count else lambda ordinal: ordinal not in done
        layout = Layout(self.loaded.config.run.stagger_s, remaining, method_parts(self.loaded.config, self.scorer))
        return build_plan(self.sweep.sweep, self.instances, layout)


@dataclass(frozen=True, slots=True)
class Attendance:
    """What the caller brings: code of its own, and the means to stop."""

    shutdown: Shutdown = field(default_factory=Shutdown)
    solver: Solver | None = None
    scorer: Scorer | None = None


def prepare(
    loaded: LoadedConfig, key: Callable[[str], ApiKey], *, solver: Solver | None = None, scorer: Scorer | None = None
) -> Prepared:
    """Read the tasks, lay out the sweep, name the instances. Raises InputError for whatever a person can have got wrong,
    so that nothing has been made by then; `key` does where a variable is missing."""
    check_method(loaded.config, solver, scorer)
    instances = instances_of(loaded, offline_adapters(loaded, key))
    prepared = Prepared(loaded, open_sweep(loaded), instances, code_name(scorer) if scorer else None)
    _require_shard(prepared.plan(), loaded.config.run.debug_process_num)
    return prepared


def code_name(code: Solver | Scorer) -> str:
    """What a person's own function is called in fingerprints: `module:function`."""
    return f"{code.__module__}:{getattr(code, '__qualname__', type(code).__qualname__)}"


def _require_shard(plan: SweepPlan, number: int | None) -> None:
    shards = len(plan.stages[0])
    if number is not None and number > shards:
        raise InputError(
            f"DEBUG_PROCESS_NUM is {number}, but the plan has {shards} shards; choose one from 1 to {shards}"
        )


def create(prepared: Prepared) -> RunDirectory:
    """A new run directory with its manifest."""
    config, plan = prepared.loaded.config, prepared.plan()
    directory = new_directory(Path(config.run.output_dir))
    directory.write_manifest(
        Manifest(
            run_id=directory.path.name,
            raw=prepared.loaded.raw,
            base=str(prepared.loaded.base),
            storage_format=config.run.storage_format,
            total=len(prepared.sweep.sweep),
            fingerprint=plan.fingerprint,
            parts=plan.parts,
        )
    )
    return directory


async def carry_out(
    prepared: Prepared, directory: RunDirectory, environment: Environment, attendance: Attendance
) -> Ending:
    """Run what `directory` does not hold yet. Raises InputError when it belongs to another configuration or process."""
    with directory.held():
        return await _carry_out(prepared, directory, environment, attendance)


async def _carry_out(
    prepared: Prepared, directory: RunDirectory, environment: Environment, attendance: Attendance
) -> Ending:
    manifest = directory.read_manifest()
    _require_same(manifest, prepared.plan())
    started_at = time.time()
    compactor = Compactor(directory.journal, open_sink(manifest.storage_format, directory.results))
    replay = compactor.replay(manifest.total)
    async with _providers_and_journal(prepared, directory, environment, replay, compactor) as (adapters, journal):
        with closing(DecisionLog(directory.decisions)) as decisions:
            limiting = Limiting(prepared.loaded.config.run.rate_mode, decisions)
            dispatchers = dispatchers_of(instances_of(prepared.loaded, adapters), adapters, limiting)
            monitor = Monitor(manifest.total, replay.done.count, dispatchers)
            crew = _Crew(prepared, manifest.run_id, journal, monitor, attendance, dispatchers)
            lost = await crew.run_stages(prepared.plan(replay.done))
    ending = ending_of(manifest, journal.done, monitor.statistics(), attendance.shutdown, lost)
    ending = replace(ending, possibly_billed_twice=replay.possibly_billed_twice, damaged=replay.damaged)
    directory.note_execution({"started_at": started_at, "ended_at": time.time(), **ending.as_row()})
    return ending


def _require_same(manifest: Manifest, plan: SweepPlan) -> None:
    if manifest.fingerprint == plan.fingerprint:
        return
    changed = sorted(name for name, part in plan.parts.items() if manifest.parts.get(name) != part)
    shown = "; ".join(f"{name} was {manifest.parts.get(name)}, is {plan.parts[name]}" for name in changed)
    raise InputError(
        f"{manifest.run_id} holds results of another configuration ({shown}); start a new run for this one"
    )


@asynccontextmanager
async def _providers_and_journal(
    prepared: Prepared, directory: RunDirectory, environment: Environment, replay: Replay, compactor: Compactor
) -> AsyncIterator[tuple[Mapping[str, Adapter], Journal]]:
    async with (
        open_providers(prepared.loaded, environment, directory.simulator_log) as adapters,
        Journal(directory.journal, compactor, replay.done) as journal,
    ):
        yield adapters, journal


class _Crew:
    """The engine at work: what it does with a sample, and where the record goes."""

    def __init__(
        self,
        prepared: Prepared,
        run_id: str,
        journal: Journal,
        monitor: Monitor,
        attendance: Attendance,
        dispatchers: Mapping[str, Dispatcher],
    ) -> None:
        config = prepared.loaded.config
        self._journal = journal
        self._monitor = monitor
        self._attendance = attendance
        self._user_errors = config.run.max_user_errors
        self._exchange = exchange_of(config, dispatchers, journal.started)
        self._method = method_of(prepared.loaded, run_id, prepared.sweep, attendance.solver, attendance.scorer)
        self._dispatchers = dispatchers
        self._display = config.run.display
        self._rebalances = config.run.rebalance

    async def run_stages(self, plan: SweepPlan) -> list[NoUsableInstance]:
        """Stage by stage, watched: a journal that fails ends the run at once."""
        try:
            with self._monitor, shown(self._monitor, self._display):
                async with asyncio.TaskGroup() as group:
                    watch = group.create_task(self._journal.watch(), name="journal watch")
                    lost = await self._stages(plan)
                    watch.cancel()
        except ExceptionGroup as group:
            raise _first(group) from None  # hundreds of samples fail of one bug: one traceback says it
        return lost

    async def _stages(self, plan: SweepPlan) -> list[NoUsableInstance]:
        engine = LocalEngine(
            self._dispatchers,
            self._work,
            self._deliver,
            self._attendance.shutdown,
            self._journal.done,
            self._rebalances,
        )
        lost: list[NoUsableInstance] = []
        for stage in range(len(plan.stages)):
            if not self._attendance.shutdown.draining.is_set():
                lost += await engine.execute(plan, stage)
        return lost

    async def _work(self, opened: Opened, lease: SlotLease) -> Record:
        log.debug("%s taken up by %s", opened.sample.sample_id, opened.planned, extra={"planned": opened.planned})
        return await work(opened, self._method, self._exchange, lease)

    async def _deliver(self, record: Record) -> None:
        self._journal.append(record, partial(self._monitor.count, record))
        _tell(record)
        if record.error_class == "user_code":
            self._user_errors -= 1
            if self._user_errors <= 0:
                self._attendance.shutdown.request(f"your own code failed: {record.error_message}")
        await self._journal.room()


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


def _first(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
