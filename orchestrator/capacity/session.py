"""A load test of one setting from end to end: open, calibrate, send, measure. The command prints what comes back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from providers.messages import Usage
from providers.openai_compatible import OpenAISettings
from runners.load import Gunner
from runners.spending import Bounds, LimitReached, Purse

from ..env import Environment
from ..loading import LoadedConfig
from ..wiring import prices_of, require_prices
from .calibration import calibrate
from .cost import SOME_TOKENS
from .live import LoadMonitor, shown
from .prompts import SyntheticPrompts
from .server_metrics import ServerWatch, metrics_address
from .spec import with_prompts
from .target import Choice, OpenTarget, PaidSender, open_target
from .trial import Setting, Trial, Watch, run_trial
from .workload import Workload


@dataclass(frozen=True, slots=True)
class Order:
    """One setting that is to be measured."""

    choice: Choice
    workload: Workload
    setting: Setting
    calibrates: bool = True
    reads_server_metrics: bool = True
    display: str | None = None
    expected: int | None = None
    """Requests, where their number is known."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of an order."""

    trial: Trial
    target: OpenTarget
    workload: Workload
    """With the words that the endpoint counts."""
    cost_usd: float | None
    """None where no price is known."""
    ended_at: datetime


@dataclass(slots=True)
class Brake:
    """Ends a load early: nothing more is sent, what is in flight is waited for."""

    reason: str = ""
    gunner: Gunner | None = None

    def take(self, gunner: Gunner) -> None:
        self.gunner = gunner
        gunner.gone = self.reason

    def pull(self, reason: str) -> None:
        self.reason = reason
        if self.gunner is not None:
            self.gunner.gone = reason


async def measure_order(loaded: LoadedConfig, environment: Environment, order: Order, brake: Brake) -> Measured:
    """Raises InputError where something is missing or wrong; nothing has been sent then."""
    require_prices(loaded.config)
    price_usd = prices_of(loaded.config)
    purse = Purse(price_usd, Bounds(loaded.config.run.token_limit, loaded.config.run.cost_limit_usd))
    async with open_target(loaded, environment, order.choice) as opened:
        target = _paid(opened, purse, order.workload)
        workload = await _calibrated(order, target)
        server = ServerWatch(_metrics_address(loaded, opened) if order.reads_server_metrics else None)
        monitor = LoadMonitor(server, order.expected)

        def start(gunner: Gunner) -> None:
            brake.take(gunner)
            monitor.start(gunner)

        with shown(monitor, order.display):
            trial = await run_trial(target, workload, order.setting, Watch(server, start, monitor.take))
    is_priced = price_usd(opened.model, Usage(1, 1)) is not None
    return Measured(trial, opened, workload, purse.spent.cost_usd if is_priced else None, datetime.now(UTC))


def _paid(opened: OpenTarget, purse: Purse, workload: Workload) -> OpenTarget:
    """The same, paid from `purse`."""
    most = round(workload.max_output_tokens or SOME_TOKENS)
    return replace(opened, senders={name: PaidSender(one, purse, most) for name, one in opened.senders.items()})


async def _calibrated(order: Order, target: OpenTarget) -> Workload:
    prompts = order.workload.prompt
    if not order.calibrates or not isinstance(prompts, SyntheticPrompts):
        return order.workload
    instance = target.instances[0]
    try:
        found = await calibrate(prompts, instance, target.senders[instance.provider], order.setting.label)
    except LimitReached:
        return order.workload  # the load will say so
    return with_prompts(order.workload, found)


def _metrics_address(loaded: LoadedConfig, target: OpenTarget) -> str | None:
    """Of a server of one's own; hosted ones publish nothing."""
    settings = loaded.providers[target.instances[0].provider]
    return metrics_address(settings.base_url) if isinstance(settings, OpenAISettings) else None
