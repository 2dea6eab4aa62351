"""The limits of a run (US dollars and tokens over all its executions, time and retries in each) and their alerts.

What earlier executions spent is settled in the journal (`runners/journal/spending_log.py`): of a killed one, its records and what it had
reserved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from providers.messages import JSON
from runners.calls.budget import NEAR, Budget, BudgetLimits, BudgetListeners, BudgetShare, PriceUsd, Spending
from runners.calls.retry import RetryBudget
from runners.decisions.decision_log import Decide
from runners.event_loop.shutdown import Shutdown
from runners.journal.spending_log import SpendingLog

from ...config.sections.durations import told
from ...config.settings import RunConfig

OF_THE_RUN = "run"
"""Takes the place of the instance's name in decisions about the whole run."""


@dataclass(frozen=True, slots=True)
class BudgetAlerts:
    """The alerts of a run's budgets: they record a decision, emit an event, and drain the run when a budget is spent."""

    shutdown: Shutdown
    decide: Decide
    emit: Callable[[str, Mapping[str, JSON]], None]

    def near(self, share: BudgetShare) -> None:
        """Record and emit that a budget is nearly spent."""
        details: dict[str, JSON] = {
            "budget": share.name,
            "spent": share.spent,
            "limit": share.limit,
            "evidence": str(share),
        }
        self.decide(OF_THE_RUN, "budget_near", details)
        self.emit("budget_near", details)

    def reached(self, reason: str) -> None:
        """Record that a budget is spent, and drain the run."""
        if not self.shutdown.draining.is_set():
            self.decide(OF_THE_RUN, "budget_reached", {"reason": reason})
        self.shutdown.drain(reason)

    def retries_spent(self, how: str) -> None:
        """Record that the retry budget is spent."""
        self.decide(OF_THE_RUN, "retry_budget_spent", {"evidence": how})


@dataclass(frozen=True, slots=True)
class Budgets:
    """The budget and the retry budget of one execution."""

    budget: Budget
    retries: RetryBudget

    def shares(self) -> list[BudgetShare]:
        """Return the spent share of each limit of the budget."""
        return self.budget.bounds.shares(self.budget.spent)


def open_budget(
    run: RunConfig,
    price_usd: PriceUsd,
    before: Spending,
    spending_log: SpendingLog,
    listeners: BudgetListeners | None = None,
) -> Budget:
    """Build the budget of tokens and US dollars, with what earlier executions spent. Its spending is what the journal settles."""
    limits = BudgetLimits(run.token_limit, run.cost_limit_usd)
    spending_log.budget = Budget(price_usd, limits, before, listeners, spending_log)
    return spending_log.budget


def open_budgets(
    run: RunConfig, price_usd: PriceUsd, before: Spending, spending_log: SpendingLog, budget_alerts: BudgetAlerts
) -> Budgets:
    """Build the budget and the retry budget of a run, connected to its alerts."""
    listeners = BudgetListeners(budget_alerts.near, budget_alerts.reached)
    budget = open_budget(run, price_usd, before, spending_log, listeners)
    return Budgets(budget, RetryBudget(run.retry_budget, on_spent=budget_alerts.retries_spent))


@contextmanager
def time_limited(limit_s: float | None, budget_alerts: BudgetAlerts) -> Iterator[None]:
    """Report when `limit_s` is nearly over, and drain the run when it is over; requests in flight then have the grace period."""
    if limit_s is None:
        yield
        return
    loop = asyncio.get_running_loop()
    reason = f"the time limit is reached: {told(limit_s)} since this execution began to send"
    timers = [
        loop.call_later(NEAR * limit_s, budget_alerts.near, BudgetShare("time", NEAR * limit_s, limit_s, "s")),
        loop.call_later(limit_s, budget_alerts.reached, reason),
    ]
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()
