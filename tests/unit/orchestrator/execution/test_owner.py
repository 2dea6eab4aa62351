"""An owner is built from plain values, and reaches its driver through nothing but the link."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from orchestrator.config.environment import Environment
from orchestrator.config.loading import LoadedConfig, load_config
from orchestrator.execution.alerts.budgets import Budgets
from orchestrator.execution.components import no_key
from orchestrator.execution.context import RunContext, UserCode
from orchestrator.execution.forecast.rehearsal import _senders
from orchestrator.execution.owner import LocalParts, Owner, OwnerAssignment, assign_all
from orchestrator.execution.prepare import prepare
from providers.messages import JSON
from runners.calls.budget import Budget, BudgetLimits, Spending
from runners.calls.retry import RetryBudget
from runners.engines.local import LocalEngine
from runners.event_loop.shutdown import Shutdown
from runners.event_loop.virtual_time import run_virtual
from runners.samples.bitmap import Bitmap
from runners.samples.record import Record

Load = Callable[..., LoadedConfig]

DEPLOYMENT = {"dialect": "azure", "latency": {"ttft_s": 0.1, "itl_s": 0.0}}
SECTIONS: dict[str, Any] = {
    "providers": {"sim": {"type": "simulator", "deployments": {"m-1": DEPLOYMENT, "m-2": DEPLOYMENT}}},
    "models": {"m": {"provider": "sim", "deployments": ["m-1", "m-2"]}},
    "run": {"stagger_s": [0], "rate_mode": "adaptive"},
}


class NotingDriver:
    """Keeps what its owner says."""

    def __init__(self, token_limit: int | None = None) -> None:
        self.budgets = Budgets(Budget(bounds=BudgetLimits(tokens=token_limit)), RetryBudget(100))
        self.sent: set[int] = set()
        self.records: list[Record] = []

    def started(self, ordinal: int) -> None:
        self.sent.add(ordinal)

    def unbilled(self, ordinal: int) -> None:
        self.sent.discard(ordinal)

    def decided(self, instance: str, event: str, evidence: Mapping[str, JSON]) -> None:
        """Nothing is asked about it here."""

    async def finished(self, record: Record) -> None:
        self.records.append(record)


@dataclass(frozen=True)
class OwnerReport:
    """What an owner has to say at the end."""

    limited: list[str]
    waits: Mapping[str, JSON]


@pytest.fixture
def context(load: Load) -> RunContext:
    return prepare(load(SECTIONS), no_key)


def carried(assignment: OwnerAssignment) -> OwnerAssignment:
    """The assignment as another process reads it."""
    return OwnerAssignment(**orjson.loads(orjson.dumps(asdict(assignment))))


async def execute(context: RunContext, assignment: OwnerAssignment, driver: NotingDriver) -> OwnerReport:
    with ExitStack() as stack:
        owner = Owner(assignment, LocalParts(context, _senders(context, stack), UserCode()), driver)
        engine = LocalEngine(owner.dispatchers, owner.work, owner.deliver, Shutdown(), Bitmap(8))
        await engine.execute(context.whole_plan, 0)
        return OwnerReport([report.instance for report in owner.limiter_reports()], owner.waits())


def test_an_assignment_survives_the_way_to_another_process_and_opens_the_same_there(context: RunContext) -> None:
    sent = assign_all("run", context, {"sim/m-1": {"limit": 3}})
    received = carried(sent)
    assert received == sent
    there = prepare(load_config(received.config, Environment({}), base=Path(received.base)), no_key)
    assert [instance.name for instance in there.providers.all_instances()] == received.instances
    assert there.whole_plan.fingerprint == context.whole_plan.fingerprint


def test_every_record_and_every_first_request_is_told_to_the_driver(context: RunContext) -> None:
    driver = NotingDriver()
    report = run_virtual(execute(context, carried(assign_all("r1", context)), driver))
    assert sorted(driver.sent) == sorted(record.ordinal for record in driver.records) == list(range(8))
    assert {record.run_id for record in driver.records} == {"r1"}
    assert report.waits == {"open_samples": 0, "waits": []}


def test_an_owner_reserves_from_the_drivers_budget(context: RunContext) -> None:
    driver = NotingDriver(token_limit=10)
    run_virtual(execute(context, assign_all("run", context), driver))
    assert driver.records == []
    assert driver.budgets.budget.spent == Spending()
    assert driver.budgets.budget.reached.startswith("the token limit is reached")


def test_an_owner_has_the_instances_of_its_assignment_alone(context: RunContext) -> None:
    assignment = OwnerAssignment(**{**asdict(assign_all("run", context)), "instances": ["sim/m-2"]})
    driver = NotingDriver()
    report = run_virtual(execute(context, assignment, driver))
    assert report.limited == ["sim/m-2"]
    assert {record.instance for record in driver.records} == {"sim/m-2"}
