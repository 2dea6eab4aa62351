"""Limits of a configuration as live objects: who is told what, what was spent before, and what must be known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.loading import LoadedConfig
from orchestrator.config.settings import RunConfig
from orchestrator.execution.alerts.budgets import BudgetAlerts, open_budgets, time_limited
from orchestrator.execution.components import no_key
from orchestrator.execution.forecast.estimate import estimate
from orchestrator.execution.history.older_spending import spent_before_settlements
from orchestrator.execution.history.spent import settle_killed, spent_so_far
from orchestrator.execution.prepare import prepare
from orchestrator.results.run_directory.directory import RunDirectory
from providers.errors import InputError
from providers.messages import JSON, Usage
from runners.calls.budget import NOTHING, Budget, LimitReached, Spending
from runners.event_loop.shutdown import Shutdown
from runners.instants import instant
from runners.journal.compaction import Compactor
from runners.journal.frames import frame
from runners.journal.journal import Journal
from runners.journal.sinks.open_sink import open_sink
from runners.journal.sinks.sink import StorageFormat
from runners.journal.spending_log import Settlement, SpendingLog
from runners.limits.permit import Cost
from runners.samples.record import Record

Load = Callable[..., LoadedConfig]
MakeRecord = Callable[..., Record]


class Audience:
    """What was said, and to whom."""

    def __init__(self) -> None:
        self.decided: list[tuple[str, str]] = []
        self.emitted: list[tuple[str, JSON]] = []
        self.shutdown = Shutdown()
        self.budget_alerts = BudgetAlerts(self.shutdown, self._decide, self._emit)

    def _decide(self, instance: str, event: str, evidence: Mapping[str, JSON]) -> None:
        self.decided.append((instance, event))

    def _emit(self, event: str, details: Mapping[str, JSON]) -> None:
        self.emitted.append((event, details["evidence"]))


@pytest.mark.looptime
async def test_a_limit_is_announced_when_near_and_drains_the_run_when_reached(tmp_path: Path) -> None:
    audience = Audience()
    run = RunConfig(token_limit=1000)
    budgets = open_budgets(
        run, lambda _model, _usage: None, Spending(850), SpendingLog(tmp_path), audience.budget_alerts
    )
    reserved = await budgets.budget.reserve("m", Cost(50, 50))
    budgets.budget.commit("m", reserved, Usage(50, 40))
    assert audience.emitted == [("budget_near", "940 of 1,000 tokens")]
    with pytest.raises(LimitReached):
        await budgets.budget.reserve("m", Cost(50, 50))
    assert audience.shutdown.reason.startswith("the token limit is reached: 940 of 1,000 tokens are spent")
    assert audience.decided == [("run", "budget_near"), ("run", "budget_reached")]


@pytest.mark.looptime
async def test_a_time_limit_is_announced_when_near_and_drains_the_run_when_it_is_over() -> None:
    audience, loop = Audience(), asyncio.get_running_loop()
    with time_limited(3600.0, audience.budget_alerts):
        await asyncio.sleep(3239)
        assert audience.emitted == []
        await audience.shutdown.wait(10_000)
        assert loop.time() == 3600
    assert audience.emitted == [("budget_near", "3,240 of 3,600 s")]
    assert audience.shutdown.reason == "the time limit is reached: 1:00:00 since this execution began to send"


@pytest.mark.looptime
async def test_a_run_that_ends_in_time_hears_nothing_of_its_limit() -> None:
    audience = Audience()
    with time_limited(100.0, audience.budget_alerts):
        await asyncio.sleep(50)
    await asyncio.sleep(100)
    assert (audience.decided, audience.shutdown.draining.is_set()) == ([], False)


def test_a_spent_retry_budget_is_a_decision(tmp_path: Path) -> None:
    audience = Audience()
    run, log = RunConfig(retry_budget=0), SpendingLog(tmp_path)
    retries = open_budgets(run, lambda _m, _u: None, NOTHING, log, audience.budget_alerts).retries
    while retries.take():
        pass
    retries.take()
    assert audience.decided == [("run", "retry_budget_spent")]


# ------------------------------------------------------------------ before
def written(
    directory: RunDirectory, form: StorageFormat, records: list[Record], spending_log: SpendingLog | None = None
) -> None:
    """An execution that leaves `records`."""

    async def execution() -> None:
        compactor = Compactor(directory.journal, open_sink(form, directory.results))
        done = compactor.replay(100).done
        async with Journal(
            directory.journal, compactor, done, segment_records=100, spending_log=spending_log
        ) as journal:
            for record in records:
                journal.append(record, lambda: None)

    asyncio.run(execution())


def record_at(make_record: MakeRecord, ordinal: int, at: float, outcome: str = "ok") -> Record:
    """A record of 15 tokens and 0.25 dollars."""
    spending: dict[str, Any] = {"input_tokens": 6, "output_tokens": 3, "cost_usd": 0.125}
    judging: dict[str, Any] = {"judge_input_tokens": 4, "judge_output_tokens": 2, "judge_cost_usd": 0.125}
    return make_record(ordinal=ordinal, outcome=outcome, completed_at=instant(at), **spending, **judging)


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    found = RunDirectory(tmp_path)
    found.results.mkdir()
    found.journal.mkdir()
    return found


@pytest.mark.parametrize("form", ["parquet", "json"])
def test_what_was_spent_is_the_last_settlement_and_what_the_journal_holds_after_it(
    directory: RunDirectory, make_record: MakeRecord, form: StorageFormat
) -> None:
    assert spent_so_far(directory, form, SpendingLog(directory.journal)) == Settlement()
    an_hour_ago = [record_at(make_record, 0, 100.0), record_at(make_record, 1, 101.0, "infra_failure")]
    spending_log = SpendingLog(directory.journal)
    spending_log.budget = Budget(before=Spending(70, 1.5))
    written(directory, form, an_hour_ago, spending_log)
    settled = Settlement(Spending(70, 1.5), NOTHING, 1)
    assert SpendingLog(directory.journal).settlement == settled
    assert spent_so_far(directory, form, SpendingLog(directory.journal)) == settled, (
        "and not what its records add up to"
    )
    with_the_clock_behind = [record_at(make_record, 2, 50.0), record_at(make_record, 1, 51.0, "infra_failure")]
    killed(directory, form, with_the_clock_behind)
    found = spent_so_far(directory, form, SpendingLog(directory.journal))
    assert (found.spent, found.presumed) == (Spending(100, 2.0), NOTHING)


@pytest.mark.parametrize("form", ["parquet", "json"])
def test_what_a_killed_execution_had_reserved_counts_as_spent(
    directory: RunDirectory, make_record: MakeRecord, form: StorageFormat
) -> None:
    async def reserve(spending: Spending) -> None:
        await SpendingLog(directory.journal).reserve(spending)

    asyncio.run(reserve(Spending(40, 0.75)))
    killed(directory, form, [record_at(make_record, 0, 100.0)])
    spending_log = SpendingLog(directory.journal)
    found = spent_so_far(directory, form, spending_log)
    assert (found.spent, found.presumed) == (Spending(40, 0.75), Spending(25, 0.5))
    spending_log.settle(replace(found, segment=2))
    asyncio.run(reserve(Spending(50, 1.0)))
    found = spent_so_far(directory, form, SpendingLog(directory.journal))
    assert (found.spent, found.presumed) == (Spending(50, 1.0), Spending(35, 0.75)), "over any number of kills"


def test_unresolved_records_that_a_crash_left_twice_count_once(
    directory: RunDirectory, make_record: MakeRecord
) -> None:
    killed(directory, "json", [record_at(make_record, 0, 100.0, "infra_failure")])
    unresolved = directory.journal / "unresolved.log"
    unresolved.write_bytes(2 * unresolved.read_bytes())
    assert spent_so_far(directory, "json", SpendingLog(directory.journal)).spent == Spending(15, 0.25)


@pytest.mark.parametrize("form", ["parquet", "json"])
def test_kills_that_leave_no_part_count_once_each(
    directory: RunDirectory, make_record: MakeRecord, form: StorageFormat
) -> None:
    SpendingLog(directory.journal).settle(Settlement(Spending(70, 1.5), segment=1))
    found = []
    for ordinal in range(3):
        killed(directory, form, [record_at(make_record, ordinal, 100.0, "infra_failure")])
        settlement = settled(directory, form)
        found.append((settlement.spent.tokens, settlement.segment))
    assert found == [(85, 2), (100, 3), (115, 4)]
    assert settled(directory, form) == settlement


def test_after_an_older_version_too_kills_that_leave_no_part_count_once(
    directory: RunDirectory, make_record: MakeRecord
) -> None:
    directory.note_execution({"ended_at": 50.0, "spent_tokens": 70, "spent_usd": 1.5})
    killed(directory, "json", [record_at(make_record, 0, 100.0, "infra_failure")])
    assert settled(directory, "json") == settled(directory, "json") == Settlement(Spending(85, 1.75), segment=1)


@pytest.mark.parametrize("form", ["parquet", "json"])
@pytest.mark.parametrize("outcome", ["ok", "infra_failure"])
def test_what_a_judge_took_counts_where_the_answer_came_from_the_cache(
    directory: RunDirectory, make_record: MakeRecord, form: StorageFormat, outcome: str
) -> None:
    killed(directory, form, [replace(record_at(make_record, 0, 100.0, outcome), cache_hit=True)])
    assert spent_so_far(directory, form, SpendingLog(directory.journal)).spent == Spending(6, 0.125)


def settled(directory: RunDirectory, form: StorageFormat) -> Settlement:
    """What a resume settles."""
    compactor = Compactor(directory.journal, open_sink(form, directory.results))
    return settle_killed(directory, form, compactor).settlement or Settlement()


def killed(directory: RunDirectory, form: StorageFormat, records: list[Record]) -> None:
    """An execution that is killed, and the replay of the next: `records` are in a segment, then in a part or unresolved."""
    compactor = Compactor(directory.journal, open_sink(form, directory.results))
    number = max(compactor.next_number(), SpendingLog(directory.journal).next_segment)
    (directory.journal / f"{number:06d}.log").write_bytes(b"".join(map(frame, records)))
    compactor.replay(100)


@pytest.mark.parametrize("form", ["parquet", "json"])
def test_what_a_run_of_an_older_version_spent_is_the_last_noted_total_and_the_records_since(
    directory: RunDirectory, make_record: MakeRecord, form: StorageFormat
) -> None:
    assert spent_before_settlements(directory) is None
    written(directory, form, [record_at(make_record, 0, 100.0), record_at(make_record, 1, 101.0, "infra_failure")])
    assert spent_so_far(directory, form, SpendingLog(directory.journal)).spent == Spending(30, 0.5)
    directory.note_execution({"ended_at": 150.0, "spent_tokens": 70, "spent_usd": 1.5})
    assert spent_before_settlements(directory) == Spending(70, 1.5), "a sample that was stopped midway left no record"
    written(directory, form, [record_at(make_record, 1, 200.0), record_at(make_record, 2, 201.0, "infra_failure")])
    assert spent_before_settlements(directory) == Spending(100, 2.0)
    assert spent_so_far(directory, form, SpendingLog(directory.journal)).spent == Spending(100, 2.0)
    directory.note_execution({"ended_at": 250.0, "spent_tokens": 0, "spent_usd": 0.0})
    assert spent_before_settlements(directory) == Spending(70, 1.5), "no note takes back what an earlier one says"


# ------------------------------------------------------------------ prices and plans
PRICE = {"input_per_million": 1.0, "output_per_million": 2.0}


def test_a_limit_on_cost_needs_every_models_price(load: Load) -> None:
    models = {name: {"provider": "sim", "deployments": [name]} for name in ("m", "n", "o")}
    sim = {"type": "simulator", "deployments": {name: {} for name in models}}
    sections = {"models": models, "providers": {"sim": sim}, "prices": {"n": PRICE}}
    prepare(load(sections), no_key)
    with pytest.raises(InputError, match="nobody knows what m, o costs: add them to `prices:`"):
        prepare(load({**sections, "run": {"cost_limit_usd": 5}}), no_key)
    prepare(load({**sections, "run": {"cost_limit_usd": 5}, "sweep": {"models": ["n"]}}), no_key)


def test_a_plan_estimates_what_the_sweep_may_take(load: Load) -> None:
    loaded = load({"prices": {"m": PRICE}, "generation": {"max_tokens": 50}, "sweep": {"epochs": 3}})
    prepared = prepare(loaded, no_key)
    found = asdict(estimate(prepared, prepared.plan())["m"])
    assert found["most_output_tokens"] == 8 * 3 * 50
    assert 8 * 3 * 4 <= found["input_tokens"] <= 8 * 3 * 10
    assert found["most_cost_usd"] == pytest.approx((found["input_tokens"] + 2 * found["most_output_tokens"]) / 1e6)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("time_limit_s", "90m"),
        ("sample_timeout_s", 60),
        ("attempt_timeout_s", 5),
        ("token_limit", 10),
        ("retry_budget", 0.1),
    ],
)
def test_every_bound_of_a_run_can_be_set_in_the_environment(load: Load, setting: str, value: object) -> None:
    loaded = load(variables={f"ORCHESTRATOR_RUN__{setting.upper()}": str(value)})
    assert getattr(loaded.config.run, setting) == (5400 if value == "90m" else value)
