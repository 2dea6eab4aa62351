"""A rehearsal of a sweep: the real pools, limiters, retries and rebalancing on a virtual clock, against simulated instances."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from providers.instance import Instance
from providers.messages import JSON
from providers.provider import RouteSpec, Sender
from providers.simulator.adapter import instances_with_keys
from providers.simulator.answers.source import AnswerSource, EchoAnswers
from providers.simulator.endpoint import DEPLOYMENT_KEY
from providers.simulator.in_process import InProcessSimulator, Place
from providers.simulator.settings.provider import EndpointSettings, SimulatorSettings
from runners.calls.budget import Budget
from runners.calls.retry import RetryBudget
from runners.dispatch.dispatcher import Dispatcher
from runners.dispatch.instance_state import InstanceState
from runners.engines.local import LocalEngine
from runners.event_loop.shutdown import Shutdown
from runners.event_loop.virtual_time import run_virtual
from runners.samples.answer import ScorerFunction, Solver
from runners.samples.bitmap import Bitmap
from runners.samples.record import Record

from ...config.environment import flags_of, read_environment
from ...config.loading import ConfigSource, load_config
from ...open_sweep import needed_models
from ...simulation.answers import sweep_answers
from ..alerts.budgets import Budgets
from ..components import no_key
from ..context import RunContext, UserCode
from ..owner import LocalParts, Owner, assign_all
from ..prepare import prepare

UNKNOWN = EndpointSettings()
"""The model of an instance that was not measured: no quota, 0.2 s and 10 ms per token."""


WAITED_SHARE = 0.1
"""Share of the time below which a gate is not reported as the limit."""


@dataclass(frozen=True, slots=True)
class InstanceForecast:
    """The forecast for one instance of a rehearsed sweep."""

    instance: str
    model: str
    samples: int
    """Samples that this instance answered."""
    requests: int
    """Requests that it was sent, with retries and refused ones."""
    refused: int
    """Requests that it throttled."""
    tokens: int
    bound_by: str
    """What limited it: the limiter's gate with the longest wait, or `workers`."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The forecast of a sweep: time, requests, tokens and cost, as a run on a virtual clock took them."""

    duration_s: float
    """Seconds of virtual time from the first request to the last record."""
    samples: int
    """Samples that were run."""
    requests: int
    """Requests that were sent, with retries and refused ones."""
    refused: int
    """Requests that an instance throttled."""
    input_tokens: int
    """Input tokens, those of judges included."""
    output_tokens: int
    """Output tokens, those of judges included."""
    cost_usd: float | None
    """The cost, that of judges included; None if no price is known."""
    outcomes: Mapping[str, int]
    """The number of samples for each outcome."""
    instances: Sequence[InstanceForecast]
    """The forecast for each instance."""


async def rehearse(
    config: ConfigSource,
    *,
    model: Sequence[str] | str | None = None,
    limit: int | None = None,
    settings: Mapping[str, JSON] | None = None,
) -> Rehearsal:
    """Rehearse the sweep of a file: needs no key and sends nothing.

    Simulators are what their entry says; other instances what `rehearse_as` says of their model.
    """
    flags = flags_of(model, limit, settings)
    context = prepare(load_config(config, read_environment(config), flags), no_key)
    try:
        return await rehearse_prepared(context)
    finally:
        context.sweep.tasks.close()


async def rehearse_prepared(
    context: RunContext, solver: Solver | None = None, scorer: ScorerFunction | None = None
) -> Rehearsal:
    """Rehearse on a separate thread, because a notebook's loop may already run. A user's own solver is rehearsed, too."""
    return await asyncio.to_thread(rehearse_now, context, solver, scorer)


def rehearse_now(context: RunContext, solver: Solver | None = None, scorer: ScorerFunction | None = None) -> Rehearsal:
    """Rehearse in this thread."""
    return run_virtual(_rehearse(context, UserCode(solver, scorer)))


class _RehearsalTotals:
    """A DriverLink that sums over records and keeps none: nothing is spent, billed or stored."""

    def __init__(self, retry_budget: float) -> None:
        self.budgets = Budgets(Budget(), RetryBudget(retry_budget))
        self.outcomes: Counter[str] = Counter()
        self.input_tokens = 0
        self.output_tokens = 0
        self.cost_usd: float | None = None
        self.answered: Counter[str] = Counter()

    def started(self, ordinal: int) -> None:
        """Ignore it: no request is billed."""

    def unbilled(self, ordinal: int) -> None:
        """Ignore it: no request is billed."""

    def decided(self, instance: str, event: str, evidence: Mapping[str, JSON]) -> None:
        """Ignore it: a rehearsal has no decision log."""

    async def finished(self, record: Record) -> None:
        self.outcomes[record.outcome] += 1
        self.input_tokens += record.input_tokens + record.judge_input_tokens
        self.output_tokens += record.output_tokens + record.judge_output_tokens
        self.answered[str(record.instance)] += 1
        for cost_usd in (record.cost_usd, record.judge_cost_usd):
            if cost_usd is not None:
                self.cost_usd = (self.cost_usd or 0.0) + cost_usd


async def _rehearse(context: RunContext, code: UserCode) -> Rehearsal:
    run, plan, loop = context.config.run, context.whole_plan, asyncio.get_running_loop()
    totals = _RehearsalTotals(run.retry_budget)
    with ExitStack() as stack:
        parts = LocalParts(context, _senders(context, stack), code)
        owner = Owner(assign_all("rehearsal", context), parts, totals)
        done = Bitmap(len(context.sweep.sweep))
        engine = LocalEngine(owner.dispatchers, owner.work, owner.deliver, Shutdown(), done, run.rebalance)
        since = loop.time()
        for stage in range(len(plan.stages)):
            await engine.execute(plan, stage)
        return _forecast(totals, owner.dispatchers, loop.time() - since)


def _forecast(totals: _RehearsalTotals, dispatchers: Mapping[str, Dispatcher], duration_s: float) -> Rehearsal:
    instance_states = [
        instance_state for dispatcher in dispatchers.values() for instance_state in dispatcher.instance_states.values()
    ]
    return Rehearsal(
        duration_s=duration_s,
        samples=totals.outcomes.total(),
        requests=sum(_sends(instance_state) for instance_state in instance_states),
        refused=sum(instance_state.counters.throttled for instance_state in instance_states),
        input_tokens=totals.input_tokens,
        output_tokens=totals.output_tokens,
        cost_usd=totals.cost_usd,
        outcomes=dict(totals.outcomes),
        instances=[_instance_forecast(instance_state, totals.answered) for instance_state in instance_states],
    )


def _instance_forecast(instance_state: InstanceState, answered: Mapping[str, int]) -> InstanceForecast:
    name = instance_state.instance.name
    return InstanceForecast(
        instance=name,
        model=instance_state.instance.model,
        samples=answered.get(name, 0),
        requests=_sends(instance_state),
        refused=instance_state.counters.throttled,
        tokens=instance_state.counters.tokens,
        bound_by=_bound_by(instance_state.limiter.snapshot(asyncio.get_running_loop().time())),
    )


def _bound_by(snapshot: Mapping[str, JSON]) -> str:
    """Return the gate with the longest wait if the limiter reports waits; else its mode."""
    waits = snapshot.get("time_under")
    if not isinstance(waits, Mapping):
        return str(snapshot.get("mode", "workers"))
    known = {gate: float(wait_s) for gate, wait_s in waits.items() if isinstance(wait_s, int | float)}
    longest = max((gate for gate in known if gate != "idle"), key=lambda gate: known[gate], default="idle")
    return longest if known.get(longest, 0.0) > WAITED_SHARE * sum(known.values()) else "workers"


def _sends(instance_state: InstanceState) -> int:
    return instance_state.counters.succeeded + instance_state.counters.throttled + instance_state.counters.failed


def _senders(context: RunContext, stack: ExitStack) -> dict[str, Sender]:
    """Build one simulated server per provider."""
    senders: dict[str, Sender] = {}
    for name in {instance.provider for group in context.instances.values() for instance in group}:
        server = _modelled(name, context)
        stack.callback(server.close)
        senders[name] = server
    return senders


def _modelled(provider: str, context: RunContext) -> InProcessSimulator:
    settings = context.loaded.providers[provider]
    if isinstance(settings, SimulatorSettings):
        answers: AnswerSource = sweep_answers(context.loaded, context.sweep.sweep, settings)
        return InProcessSimulator(settings, answers, _simulator_places(provider, settings, context))
    own = [instance for group in context.instances.values() for instance in group if instance.provider == provider]
    believed = SimulatorSettings(deployments={instance.name: _believed(instance, context) for instance in own})
    limit = context.config.generation.as_generation().output_limit
    answers = EchoAnswers(max(1, limit // 4)) if limit else EchoAnswers()
    return InProcessSimulator(believed, answers, {instance.name: (DEPLOYMENT_KEY, instance.name) for instance in own})


def _simulator_places(provider: str, settings: SimulatorSettings, context: RunContext) -> dict[str, Place]:
    config = context.config
    return {
        instance.name: (key, instance.deployment)
        for model in needed_models(config)
        for route in config.models[model].all_routes()
        if route.provider == provider
        for instance, key in instances_with_keys(provider, settings, model, RouteSpec(route.deployments, route.keys))
    }


def _believed(instance: Instance, context: RunContext) -> EndpointSettings:
    return context.config.models[instance.model].rehearse_as or UNKNOWN
