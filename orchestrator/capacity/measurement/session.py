"""The start of every load test, from opening the target to calibration, and the test of one setting. The commands print the results."""

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
from runners.load.run_load import LoadGenerator, Target

from ...config.environment import Environment
from ...config.loading import LoadedConfig
from ...execution.components import prices_of, require_prices
from ...execution.limits.user_state import user_state
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
    """The target of a load test and its workload."""

    loaded: LoadedConfig
    environment: Environment
    workload: Workload
    names: Sequence[str] = ()
    """Instances, deployments or models; empty means all instances of the only model."""
    calibrates: bool = True
    reads_server_metrics: bool = True
    metrics_url: str | None = None
    """None tries the metrics beside the API of a self-hosted server."""


@dataclass(frozen=True, slots=True)
class Session:
    """Open instances, locked against other runs, with a budget, and prompts that are calibrated to the endpoint."""

    target: OpenTarget
    workload: Workload
    budget: Budget
    is_priced: bool
    metrics_address: str | None
    attempt_s: float

    def scheduled(self, instances: Sequence[Instance]) -> Target:
        """Return the target that sends to these instances."""
        return Target(instances, self.target.senders, self.workload.request, self.attempt_s)


@asynccontextmanager
async def open_session(order: LoadOrder, owner: str) -> AsyncIterator[Session]:
    """Open the target, lock it and calibrate the prompts. Raises InputError before any request where something is missing or wrong."""
    config = order.loaded.config
    price_usd = prices_of(config)
    require_prices(config, price_usd)
    if order.metrics_url is not None:
        await require_metrics(order.metrics_url)
    budget = Budget(price_usd, BudgetLimits(config.run.token_limit, config.run.cost_limit_usd))
    async with open_target(order.loaded, order.environment, order.names) as opened:
        keys = list(opened.identities.values()) if config.run.lock and not config.run.share else []
        with user_state().locked(keys, owner):
            target = _paid(opened, budget, order.workload)
            workload = await _calibrated(order, target)
            is_priced = price_usd(opened.model, Usage(1, 1)) is not None
            yield Session(
                target, workload, budget, is_priced, _metrics_address(order, opened), config.run.attempt_timeout_s
            )


def _paid(opened: OpenTarget, budget: Budget, workload: Workload) -> OpenTarget:
    """Return the same target with senders that spend from `budget`."""
    most = round(workload.max_output_tokens or SOME_TOKENS)
    return replace(
        opened, senders={name: BudgetedSender(sender, budget, most) for name, sender in opened.senders.items()}
    )


async def _calibrated(order: LoadOrder, target: OpenTarget) -> Workload:
    prompts = order.workload.prompt
    if not order.calibrates or not isinstance(prompts, SyntheticPrompts):
        return order.workload
    instance = target.instances[0]
    try:
        calibrated = await calibrate(prompts, instance, target.senders[instance.provider], "bench")
    except LimitReached:
        return order.workload  # the load reports it
    return with_prompts(order.workload, calibrated)


def _metrics_address(order: LoadOrder, target: OpenTarget) -> str | None:
    """Return the metrics address of a self-hosted server; hosted services publish none."""
    settings = order.loaded.providers[target.instances[0].provider]
    if not order.reads_server_metrics or order.metrics_url is not None:
        return order.metrics_url
    return metrics_address(settings.base_url) if isinstance(settings, OpenAISettings) else None


@dataclass(frozen=True, slots=True)
class MeasuredSetting:
    """The result of one setting."""

    trial: Trial
    target: OpenTarget
    workload: Workload
    """With the calibrated prompts."""
    cost_usd: float | None
    """None where no price is known."""
    ended_at: datetime


@dataclass(slots=True)
class EarlyStop:
    """A switch that ends a load early: no request is sent after it, and requests in flight are awaited."""

    reason: str = ""
    load_generator: LoadGenerator | None = None

    def take(self, load_generator: LoadGenerator) -> None:
        """Take the load generator, and stop it at once where the stop came before."""
        self.load_generator = load_generator
        load_generator.gone = self.reason

    def pull(self, reason: str) -> None:
        """Stop the load and keep the reason."""
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
    """Run and measure one setting; `expected` is the number of requests where it is known. Raises InputError before any request."""
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
