"""What every load test begins with, from opening to calibration; and the test of one setting. The commands print what comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from providers.adapters.openai_compatible import OpenAISettings
from providers.instance import Instance
from providers.messages import Usage
from runners.calls.budget import Budget, BudgetLimits, LimitReached
from runners.calls.budgeted_sender import BudgetedSender
from runners.load import LoadGenerator, Target

from ...config.environment import Environment
from ...config.loading import LoadedConfig
from ...execution.components import prices_of, require_prices
from ...execution.user_state import user_state
from ..workload.load_estimate import SOME_TOKENS
from ..workload.prompts import SyntheticPrompts
from ..workload.workload import Workload
from .calibration import calibrate
from .live import LoadMonitor, shown
from .server_metrics import ServerWatch, metrics_address, require_metrics
from .spec import with_prompts
from .target import OpenTarget, open_target
from .trial import LoadObserver, LoadSetting, Trial, run_trial


@dataclass(frozen=True, slots=True)
class LoadOrder:
    """Whom to load, and with what."""

    loaded: LoadedConfig
    environment: Environment
    workload: Workload
    names: Sequence[str] = ()
    """Instances, deployments or models; none means all of the one model."""
    calibrates: bool = True
    reads_server_metrics: bool = True
    metrics_url: str | None = None
    """None looks beside the API of a server of one's own."""


@dataclass(frozen=True, slots=True)
class Session:
    """Instances that are open, held against other runs, and paid for; prompts in the words that the endpoint counts."""

    target: OpenTarget
    workload: Workload
    budget: Budget
    is_priced: bool
    metrics_address: str | None
    attempt_s: float

    def scheduled(self, instances: Sequence[Instance]) -> Target:
        return Target(instances, self.target.senders, self.workload.request, self.attempt_s)


@asynccontextmanager
async def open_session(order: LoadOrder, owner: str) -> AsyncIterator[Session]:
    """Raises InputError where something is missing or wrong; nothing has been sent then."""
    config = order.loaded.config
    require_prices(config)
    if order.metrics_url is not None:
        await require_metrics(order.metrics_url)
    price_usd = prices_of(config)
    budget = Budget(price_usd, BudgetLimits(config.run.token_limit, config.run.cost_limit_usd))
    async with open_target(order.loaded, order.environment, order.names) as opened:
        with user_state().locked([] if config.run.share else list(opened.identities.values()), owner):
            target = _paid(opened, budget, order.workload)
            workload = await _calibrated(order, target)
            is_priced = price_usd(opened.model, Usage(1, 1)) is not None
            yield Session(
                target, workload, budget, is_priced, _metrics_address(order, opened), config.run.attempt_timeout_s
            )


def _paid(opened: OpenTarget, budget: Budget, workload: Workload) -> OpenTarget:
    """The same, paid from `purse`."""
    most = round(workload.max_output_tokens or SOME_TOKENS)
    return replace(opened, senders={name: BudgetedSender(one, budget, most) for name, one in opened.senders.items()})


async def _calibrated(order: LoadOrder, target: OpenTarget) -> Workload:
    prompts = order.workload.prompt
    if not order.calibrates or not isinstance(prompts, SyntheticPrompts):
        return order.workload
    instance = target.instances[0]
    try:
        found = await calibrate(prompts, instance, target.senders[instance.provider], "bench")
    except LimitReached:
        return order.workload  # the load will say so
    return with_prompts(order.workload, found)


def _metrics_address(order: LoadOrder, target: OpenTarget) -> str | None:
    """Of a server of one's own; hosted ones publish nothing."""
    settings = order.loaded.providers[target.instances[0].provider]
    if not order.reads_server_metrics or order.metrics_url is not None:
        return order.metrics_url
    return metrics_address(settings.base_url) if isinstance(settings, OpenAISettings) else None


@dataclass(frozen=True, slots=True)
class MeasuredSetting:
    """What came of one setting."""

    trial: Trial
    target: OpenTarget
    workload: Workload
    """With the words that the endpoint counts."""
    cost_usd: float | None
    """None where no price is known."""
    ended_at: datetime


@dataclass(slots=True)
class EarlyStop:
    """Ends a load early: nothing more is sent, what is in flight is waited for."""

    reason: str = ""
    load_generator: LoadGenerator | None = None

    def take(self, load_generator: LoadGenerator) -> None:
        self.load_generator = load_generator
        load_generator.gone = self.reason

    def pull(self, reason: str) -> None:
        self.reason = reason
        if self.load_generator is not None:
            self.load_generator.gone = reason


async def measure_setting(
    order: LoadOrder,
    setting: LoadSetting,
    early_stop: EarlyStop,
    *,
    display: str | None = None,
    expected: int | None = None,
) -> MeasuredSetting:
    """`expected` requests, where their number is known. Raises InputError; nothing has been sent then."""
    async with open_session(order, "bench run") as session:
        server = ServerWatch(session.metrics_address)
        monitor = LoadMonitor(server, expected)

        def start(load_generator: LoadGenerator) -> None:
            early_stop.take(load_generator)
            monitor.start(load_generator)

        with shown(monitor, display):
            trial = await run_trial(
                session.target, session.workload, setting, LoadObserver(server, start, monitor.take)
            )
    cost_usd = session.budget.spent.cost_usd if session.is_priced else None
    return MeasuredSetting(trial, session.target, session.workload, cost_usd, datetime.now(UTC))
